"""Running the requests of a batch through the gateway; knows no Flask.

Each passes every stage as if it had come alone, with the batch's credential: it is logged, limited,
checked and committed by itself.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any

import msgspec

from shop_api.db.json import encode_json
from shop_api.kernel.api_versions import BY_NAME, NEWEST
from shop_api.kernel.exchange import IS_INNER, Exchange

EXTENSION = "shop_api.batch"

# requests of batches that one process runs at a time
THREADS = 8
# of all answers of a batch
ANSWER_LIMIT_BYTES = 10_000_000

# What a request of a batch is told besides its status and body.
TOLD = frozenset(
    {"content-type", "etag", "link", "location", "retry-after", "allow", "x-request-id"}
    | {"shop-version", "deprecation", "sunset"}
    | {"idempotency-replayed", "cache-control", "www-authenticate", "ratelimit"}
)
# What is the same for the batch and for each of its requests.
SHARED = frozenset(
    {"SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "REMOTE_ADDR", "HTTP_HOST"}
    | {"HTTP_AUTHORIZATION", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_TRACEPARENT"}
    | {"wsgi.url_scheme", "wsgi.version", "wsgi.errors"}
)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class InnerAnswer:
    """What a request of a batch was answered."""

    status: int
    headers: list[tuple[str, str]]
    # None: larger than all answers together may be
    body: bytes | None


class BatchRunner:
    """Runs requests of batches in threads of its own, which start with the first."""

    def __init__(self, application: Wsgi) -> None:
        self.application = application
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="batch")

    def close(self) -> None:
        """Let what runs finish, and start nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(
        self, outer: Exchange, requests: list[dict[str, Any]], key: str | None, seconds: float
    ) -> "tuple[list[bytes], bool]":
        """The answers as JSON, in the order of the requests, and whether all of them are final.

        A request without an Idempotency-Key gets one made from the batch's, so that a batch sent
        again does nothing twice. What has not been answered after `seconds` is told as 503: such an
        answer, like any that asks to come again, is not final.
        """
        ends_at = time.monotonic() + seconds
        running = [
            self._pool.submit(self._call, inner_environ(outer, request, index, key))
            for index, request in enumerate(requests)
        ]
        answers, room, is_final = [], ANSWER_LIMIT_BYTES, True
        for future in running:
            answer = _finished(future, max(0.0, ends_at - time.monotonic()))
            if answer.body is not None and len(answer.body) > room:
                answer = InnerAnswer(answer.status, answer.headers, None)
            room -= len(answer.body or b"")
            is_final = is_final and not _asks_to_come_again(answer)
            answers.append(_told(answer))
        return answers, is_final

    def _call(self, environ: dict[str, Any]) -> InnerAnswer:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            started.append((int(status[:3]), headers))

        chunks = self.application(environ, start_response)
        status, headers = started[-1]
        return InnerAnswer(status, headers, _joined(chunks))


def inner_environ(
    outer: Exchange, request: dict[str, Any], index: int, key: str | None
) -> dict[str, Any]:
    """The WSGI environment of a request, with the batch's credential."""
    path, _, query = request["path"].partition("?")
    environ = {name: outer.environ[name] for name in SHARED if name in outer.environ}
    body = request.get("body")
    data = b"" if body is None else encode_json(body).encode()
    environ |= {
        "REQUEST_METHOD": request["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": BytesIO(data),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        IS_INNER: True,
        # of the batch, and which of its requests
        "HTTP_X_REQUEST_ID": f"{outer.request_id[:120]}.{index}",
    }
    if outer.api_version != NEWEST:
        environ["HTTP_ACCEPT"] = BY_NAME[outer.api_version].media_type
    if body is not None:
        environ["CONTENT_TYPE"] = "application/json"
    for name, value in request.get("headers", {}).items():
        environ[f"HTTP_{name.upper()}"] = value
    if key is not None and request["method"] != "GET":
        digest = sha256(key.encode("latin-1")).hexdigest()
        environ.setdefault("HTTP_IDEMPOTENCY_KEY", f"batch-{digest}-{index}")
    return environ


def _joined(chunks: Iterable[bytes]) -> bytes | None:
    """A body, None when it is too large to be told."""
    found, size = [], 0
    try:
        for chunk in chunks:
            size += len(chunk)
            if size > ANSWER_LIMIT_BYTES:
                return None
            found.append(chunk)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    return b"".join(found)


def _finished(future: "Future[InnerAnswer]", seconds: float) -> InnerAnswer:
    try:
        return future.result(seconds)
    except NotInTime:
        has_started = not future.cancel()
    except CancelledError:
        has_started = False
    detail = (
        "The batch's deadline passed while this ran. It may still be done: send it again under the"
        " same Idempotency-Key."
        if has_started
        else "The batch's deadline passed before this was begun. Nothing was done."
    )
    problem = {
        "type": "urn:shop-api:problem:deadline_exceeded",
        "title": "Service Unavailable",
        "status": 503,
        "detail": detail,
        "code": "deadline_exceeded",
    }
    headers = [("Content-Type", "application/problem+json"), ("Retry-After", "1")]
    return InnerAnswer(503, headers, msgspec.json.encode(problem))


def _asks_to_come_again(answer: InnerAnswer) -> bool:
    """Whether the same request may be answered otherwise when it is sent again as it is."""
    is_in_flight = answer.status == 409 and b'"idempotency_key_in_flight"' in (answer.body or b"")
    return answer.status in (408, 429) or answer.status >= 500 or is_in_flight


def _told(answer: InnerAnswer) -> bytes:
    """An answer as JSON: a JSON body as it stands, to the byte."""
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        if name.lower() in TOLD:
            # of one name there are several lines: pages beside a list, and its successor
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    kind = next((value for name, value in answer.headers if name == "Content-Type"), "")
    body: Any = None
    is_omitted = answer.body is None
    if answer.body:
        if kind.partition(";")[0].endswith("json"):
            body = msgspec.Raw(answer.body)
        else:
            try:
                body = answer.body.decode()
            except UnicodeDecodeError:
                is_omitted = True
    return msgspec.json.encode(
        {
            "status": answer.status,
            "headers": headers,
            "body": body,
            "is_body_omitted": is_omitted,
        }
    )
