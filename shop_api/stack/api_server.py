"""The api process: `python -m shop_api.stack.api_server`. Granian with this product's options.

Belongs here: how the server is configured. Does not: the application (wsgi.py).
"""

import logging
import resource
from pkgutil import resolve_name
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from shop_api.kernel.logs import JsonFormatter, configure_logging, last_words
from shop_api.settings import Settings
from shop_api.stack.interrupts import end_forked_at_sigterm
from shop_api.stack.loading import loading

TARGET = "shop_api.wsgi:app"
# URL and headers of a request; granian answers 431 beyond. Who sends half of them holds as much.
MAX_HEAD_BYTES = 65_536


class NotOfThreads(logging.Filter):
    """Leaves out Granian's warning of more threads than cores: ours wait for Postgres."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "which seems quite high" not in record.getMessage()


def log_configuration(level: str) -> dict[str, Any]:
    """Granian's own lines as JSON, like all others."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter, "process": "api"}},
        "filters": {"not_of_threads": {"()": NotOfThreads}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "filters": ["not_of_threads"],
            }
        },
        "loggers": {"_granian": {"handlers": ["stderr"], "level": level, "propagate": False}},
    }


def load(target: str) -> Any:
    """The application, in a worker: multiprocessing would print what keeps it from starting."""
    with last_words(), loading():
        return resolve_name(target)


def main() -> None:
    """Serve until SIGTERM or SIGINT; then no new requests, and the running ones finish."""
    settings = Settings()
    configure_logging("api", settings.log_level)
    end_forked_at_sigterm()
    # a connection takes a file, and shells begin with 1 024
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Granian(
        TARGET,
        address=settings.host,
        port=settings.api_port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=MAX_HEAD_BYTES),
        websockets=False,
        ssl_cert=settings.tls_certificate,
        ssl_key=settings.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,
        ssl_ca=settings.tls_client_ca,
        ssl_client_verify=settings.tls_client_ca is not None,
        workers=settings.api_workers,
        blocking_threads=settings.api_threads,
        backpressure=settings.api_connections,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=max(1, int(settings.shutdown_grace_seconds)),
        log_level=LogLevels(settings.log_level.lower()),
        log_dictconfig=log_configuration(settings.log_level),
    ).serve(target_loader=load)


if __name__ == "__main__":
    main()
