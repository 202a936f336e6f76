"""The realtime process's entry point for gunicorn: `shop_api.realtime.wsgi:app`.

Loaded in the worker, after gevent has patched the standard library and before anything else is
imported that waits: psycopg chooses its way of waiting when it is imported.
"""

import atexit

from shop_api.metrics.processes import count_start
from shop_api.realtime.app import EXTENSION, create_realtime_app
from shop_api.settings import Settings
from shop_api.stack.instances import Heartbeat

settings = Settings()
app = create_realtime_app(settings)
count_start("realtime")
heartbeat = Heartbeat(str(settings.redis_url), "realtime")
heartbeat.start()
atexit.register(heartbeat.stop)
atexit.register(app.extensions[EXTENSION].subscriptions.close)
