"""The last stage: Flask, and past it the reads that are answered without."""

from collections.abc import Callable
from typing import Any

from shop_api.kernel.exchange import ENVIRON_KEY, Answer, Exchange

# Answers up to this size are joined; larger ones, and streams of unknown length, pass as they come.
JOIN_LIMIT_BYTES = 4_000_000


# None for what is left to the WSGI application.
AnswerDirectly = Callable[[Exchange], Answer | None]


class Application:
    """Calls the WSGI application, for what is not answered directly, and collects its answer."""

    def __init__(self, wsgi_app: Any, answer_directly: AnswerDirectly) -> None:
        self.wsgi_app = wsgi_app
        self.answer_directly = answer_directly

    def __call__(self, exchange: Exchange) -> Answer:
        answer = self.answer_directly(exchange)
        return self._ask_application(exchange) if answer is None else answer

    def _ask_application(self, exchange: Exchange) -> Answer:
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
