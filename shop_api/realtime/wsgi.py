"""The realtime process's entry point for gunicorn: `shop_api.realtime.wsgi:app`.

Loaded in the worker, after gevent has patched the standard library and before anything else is
imported that waits: psycopg chooses its way of waiting when it is imported.
"""

from shop_api.metrics.processes import count_start
from shop_api.realtime.app import create_realtime_app
from shop_api.settings import Settings

app = create_realtime_app(Settings())
count_start("realtime")
