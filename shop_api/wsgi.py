"""The api process's WSGI entry point: `granian --interface wsgi shop_api.wsgi:app`.

Belongs here: settings → application, and what begins and ends with the process. Does not: wiring
(app.py).
"""

from multiprocessing.util import Finalize

from shop_api.app import create_app
from shop_api.gateway.access_log import write_line
from shop_api.kernel.logs import configure_logging
from shop_api.metrics.processes import count_start
from shop_api.settings import Settings
from shop_api.stack.instances import Heartbeat

settings = Settings()
configure_logging("api", settings.log_level)
app = create_app(settings)
count_start("api")
heartbeat = Heartbeat(str(settings.redis_url), "api")
heartbeat.start()


def end() -> None:
    """In reverse order of start; Granian has let the running requests finish."""
    heartbeat.stop()
    app.close()
    write_line.flush()


# Granian's workers are processes of multiprocessing, which end without Python's `atexit`
Finalize(None, end, exitpriority=0)
