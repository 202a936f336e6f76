"""The last stage: Flask."""

from typing import Any

from shop_api.kernel.exchange import ENVIRON_KEY, Answer, Exchange

# Answers up to this size are joined; larger ones, and streams of unknown length, pass as they come.
JOIN_LIMIT_BYTES = 4_000_000


class Application:
    """Calls the WSGI application and collects its answer."""

    def __init__(self, wsgi_app: Any) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, exchange: Exchange) -> Answer:
        exchange.environ[ENVIRON_KEY] = exchange
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            started.append((int(status[:3]), headers))

        chunks = self.wsgi_app(exchange.environ, start_response)
        status, headers = started[-1]
        length = next((value for name, value in headers if name == "Content-Length"), None)
        if length is None or int(length) > JOIN_LIMIT_BYTES:
            return Answer(status, list(headers), chunks)
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return Answer(status, list(headers), body)
