"""The api process's WSGI entry point: `granian --interface wsgi shop_api.wsgi:app`.

Belongs here: settings → application. Does not: wiring (app.py).
"""

from shop_api.app import create_app
from shop_api.kernel.logs import configure_logging
from shop_api.metrics.processes import count_start
from shop_api.settings import Settings

settings = Settings()
configure_logging("api", settings.log_level)
app = create_app(settings)
count_start("api")
