"""Gunicorn's configuration of the realtime process: `-c python:shop_api.realtime.gunicorn_config`.

Belongs here: names gunicorn reads. Does not: settings of the application (settings.py).
"""

import resource
import ssl
from typing import Any

from shop_api.kernel.logs import JsonFormatter, log_uncaught_exceptions
from shop_api.settings import Settings
from shop_api.stack.children import authority
from shop_api.stack.interrupts import end_forked_at_sigterm

_settings = Settings()

bind = authority(_settings.host, _settings.realtime_port)
workers = _settings.realtime_workers
worker_class = "shop_api.realtime.gunicorn_worker.RealtimeWorker"
worker_connections = _settings.realtime_connections
graceful_timeout = int(_settings.shutdown_grace_seconds)
keepalive = 5
# the most there is: a hundred products and as many orders fit in the query
limit_request_line = 8190
if _settings.tls_certificate:
    certfile, keyfile = str(_settings.tls_certificate), str(_settings.tls_key)
if _settings.tls_client_ca:
    ca_certs, cert_reqs = str(_settings.tls_client_ca), ssl.CERT_REQUIRED
# a control socket in the home directory would be shared by two copies
control_socket_disable = True
accesslog = None
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter, "process": "realtime"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": _settings.log_level, "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": _settings.log_level, "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "ERROR", "handlers": [], "propagate": True},
    },
}


def on_starting(_server: Any) -> None:
    """Allow as many open sockets as the system lets this process have; workers that end early."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    end_forked_at_sigterm()
    log_uncaught_exceptions()
