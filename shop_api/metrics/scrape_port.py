"""A port of the worker's own: `GET /metrics` and `/health/live`, for a machine that runs no more.

Belongs here: the two answers, on the standard library's server. Does not: what is counted
(definitions.py), the api's and realtime's own endpoints.
"""

import hmac
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shop_api.metrics.exposition import CONTENT_TYPE, exposition

# How long a client may take to send its request.
TIMEOUT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class ScrapePort(ThreadingHTTPServer):
    """Answers in threads of its own. Several workers of a machine share the port: any of them tells
    the metrics of all."""

    allow_reuse_port = True
    daemon_threads = True

    def __init__(self, host: str, port: int, metrics_key: str | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.metrics_key = metrics_key
        super().__init__((host, port), _Handler)

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self.serve_forever, name="scrape-port", daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_SECONDS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The name that the library calls for a GET."""
        if self.path == "/health/live":
            self._answer(200, b'{"status":"live"}', "application/json")
        elif self.path != "/metrics":
            self._answer(404, b'{"code":"not_found"}', "application/problem+json")
        elif not self._is_operator():
            self._answer(401, b'{"code":"unauthenticated"}', "application/problem+json")
        else:
            self._answer(200, exposition(), CONTENT_TYPE)

    def _is_operator(self) -> bool:
        assert isinstance(self.server, ScrapePort)
        key = self.server.metrics_key
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return bool(key) and hmac.compare_digest(given.encode(), str(key).encode())

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer realm="shop-api"')
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Nothing of the interpreter and its version."""
        return "shop-api"

    def log_message(self, format: str, *arguments: Any) -> None:
        """No line for each scrape, as in the api's log of its own level."""
        logger.debug(format, *arguments)
