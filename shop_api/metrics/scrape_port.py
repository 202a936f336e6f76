"""A port of the worker's own: `GET /metrics` and `/health/live`, for a machine that runs no more.

Belongs here: the two answers, on the standard library's server, and how much of the process
strangers may hold. Does not: what is counted (definitions.py), the api's and realtime's own
endpoints.
"""

import hmac
import logging
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shop_api.metrics.exposition import CONTENT_TYPE, exposition

# How long a client may take to send its request and to take the answer, together.
REQUEST_SECONDS = 5.0
# Each holds a thread: a few scrapers and probes need no more.
CONNECTION_LIMIT = 16

logger = logging.getLogger(__name__)


class ScrapePort(ThreadingHTTPServer):
    """Answers in threads of its own, a few at once; who comes beyond is hung up on. Several workers
    of a machine share the port: any of them tells the metrics of all."""

    allow_reuse_port = True
    daemon_threads = True

    def __init__(self, host: str, port: int, metrics_key: str | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.metrics_key = metrics_key
        # when each connection is over
        self._ends_at: dict[Any, float] = {}
        super().__init__((host, port), _Handler)

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self.serve_forever, name="scrape-port", daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is a place for another connection."""
        if len(self._ends_at) >= CONNECTION_LIMIT:
            return False
        self._ends_at[request] = time.monotonic() + REQUEST_SECONDS
        return True

    def service_actions(self) -> None:
        """End connections whose time is over; the library calls it twice a second. A timeout of the
        socket would begin anew with each byte."""
        now = time.monotonic()
        for connection, ends_at in list(self._ends_at.items()):
            if now > ends_at:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    logger.debug("a connection had ended by itself")

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, and give its place back."""
        super().shutdown_request(request)
        self._ends_at.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An answer failed; most often its client went away."""
        error = sys.exception()
        level = logging.DEBUG if isinstance(error, ConnectionError) else logging.ERROR
        logger.log(level, "a request at the worker's port failed", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The name that the library calls for a GET."""
        path = self.path.partition("?")[0]
        if path == "/health/live":
            self._answer(200, b'{"status":"live"}', "application/json")
        elif path != "/metrics":
            self._answer(404, b'{"code":"not_found"}', "application/problem+json")
        elif not self._is_operator():
            self._answer(401, b'{"code":"unauthenticated"}', "application/problem+json")
        else:
            self._answer(200, exposition(), CONTENT_TYPE)

    def do_HEAD(self) -> None:
        """As a GET, without the body."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The library's own refusals; it takes other methods for ones that it was not taught."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._answer(405, b'{"code":"method_not_allowed"}', "application/problem+json")
        else:
            super().send_error(code, message, explain)

    def _is_operator(self) -> bool:
        assert isinstance(self.server, ScrapePort)
        key = self.server.metrics_key
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        is_bearer = scheme.lower() == "bearer"
        return bool(key) and is_bearer and hmac.compare_digest(given.encode(), str(key).encode())

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        # one request each: the time of a connection is the time of its request
        self.send_header("Connection", "close")
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer realm="shop-api"')
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Nothing of the interpreter and its version."""
        return "shop-api"

    def log_message(self, format: str, *arguments: Any) -> None:
        """No line for each scrape, as in the api's log of its own level."""
        logger.debug(format, *arguments)
