"""`GET /events`: server-sent events, the same as over a WebSocket.

Belongs here: the request, with the api's own stages before it, and the stream. Does not: who may
listen (admission.py), what is sent (connection.py).

The head is written by hand and the body ends with the connection: a stream has no length, and a
client whose stream ends must come back over a new connection, to a process that accepts.
"""

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from math import inf
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from shop_api.db.request_redis import RequestRedis
from shop_api.db.sliding_windows import SlidingWindows
from shop_api.domains.accounts.service import Authenticator, TokenPolicy
from shop_api.domains.tenants.service import OriginDirectory
from shop_api.gateway.bounds import Bounds
from shop_api.gateway.cors import Cors
from shop_api.gateway.credentials import Credentials
from shop_api.gateway.leases import Leases
from shop_api.gateway.nonces import NonceBook
from shop_api.gateway.possession import Possession
from shop_api.gateway.problems import Problems
from shop_api.gateway.rate_limit import RateLimit
from shop_api.gateway.request_identity import RequestIdentity
from shop_api.gateway.signatures import SignatureChecker
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError, ErrorKind, FieldError, StartRefused
from shop_api.kernel.exchange import METHODS, OTHER_METHOD, Answer, Exchange, Header, Stage
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import Principal
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.realtime.admission import BAD_CREDENTIAL, BAD_TICKET, Admission, serve
from shop_api.realtime.connection import Connection
from shop_api.realtime.feed import Feed
from shop_api.realtime.frames import EVENT_STREAM
from shop_api.realtime.interest import Interest
from shop_api.realtime.metrics import EVENT_STREAMS
from shop_api.realtime.services import RealtimeServices
from shop_api.realtime.transport import SOCKET, WholeFrameSocket
from shop_api.settings import Settings

PATH = "/events"
# in the environ: what ends with the request, and the stream that was opened
HELD = "shop_api.held"
STREAM = "shop_api.stream"

HEADERS: tuple[Header, ...] = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-store, no-transform"),
    # nginx would gather the stream before it passes it on
    ("X-Accel-Buffering", "no"),
    ("Connection", "close"),
)
# How soon browsers come back, spread, so that those of a process that died do not come together.
RETRY_MIN_MILLISECONDS = 1_000
RETRY_MAX_MILLISECONDS = 3_000
MAX_EVENT_ID = 2**63 - 1

PARAMETERS = ("ticket", "last_event_id", "types", "products", "orders")
NO_CREDENTIAL = DomainError(
    ErrorKind.UNAUTHENTICATED,
    "unauthenticated",
    "Send a key or access token as `Authorization: Bearer …`, or a ticket as `?ticket=…`.",
)

Application = Callable[..., Iterable[bytes]]


class EventStreams:
    """WSGI middleware that answers `/events` and passes on all else."""

    def __init__(
        self, application: Application, services: RealtimeServices, requests: RequestRedis
    ) -> None:
        self._application = application
        self._first = build_stages(services, requests)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            return self._application(environ, start_response)
        method = environ["REQUEST_METHOD"]
        exchange = Exchange(environ, method if method in METHODS else OTHER_METHOD, PATH, utc_now())
        with ExitStack() as held:
            environ[HELD] = held
            answer = self._first(exchange)
            stream: _Stream | None = environ.get(STREAM)
            if stream is None:
                start_response(_status_line(answer.status), answer.headers)
                return (answer.body,) if isinstance(answer.body, bytes) else answer.body
            stream.serve(_head(answer))
        # tells gunicorn that the connection is over, as flask-sock does
        raise StopIteration


def build_stages(services: RealtimeServices, requests: RequestRedis) -> Stage:
    """The stages of the api's gateway that a request for a stream passes, and the stream's own."""
    settings = services.settings
    if not (settings.secret_key and settings.platform_key):
        raise StartRefused(
            "SHOP_SECRET_KEY and SHOP_PLATFORM_KEY must be set; `shop-api serve` sets them"
        )
    policy = TokenPolicy(
        SecretKeys.of(settings.secret_key, settings.accepted_secret_keys),
        settings.access_token_seconds,
        settings.refresh_token_seconds,
    )
    authenticator = Authenticator(
        services.engine, policy, settings.platform_key, settings.metrics_key
    )
    admission = Admission(services)
    limits = RateLimit(
        Opening(services, admission),
        Leases(SlidingWindows(requests)),
        settings.rate_limit_address,
        settings.rate_limit_user_ratio,
        settings.trusted_proxies,
    )
    possession = Possession(
        limits,
        SignatureChecker(NonceBook(requests), settings.signature_skew_seconds),
        has_certificates=settings.has_client_certificates,
    )
    bounds = Bounds(possession, settings.query_parameter_limit)
    credentials = Credentials(
        Tickets(bounds, admission), authenticator, settings.credential_cache_seconds
    )
    credentials.admit_stranger = limits.admit_stranger
    origins = OriginDirectory(services.engine)
    problems = Problems(Refusals(credentials))
    return RequestIdentity(Cors(problems, frozenset(settings.cors_origins), origins.is_known))


class Refusals:
    """The stage that counts what is refused, by its code."""

    def __init__(self, forward: Stage) -> None:
        self.forward = forward

    def __call__(self, exchange: Exchange) -> Answer:
        try:
            return self.forward(exchange)
        except DomainError as error:
            EVENT_STREAMS.errors.labels(error.code).inc()
            raise


class Tickets:
    """The stage that lets a ticket stand for a bearer; it is used up when the stream opens."""

    def __init__(self, forward: Stage, admission: Admission) -> None:
        self.forward = forward
        self.admission = admission

    def __call__(self, exchange: Exchange) -> Answer:
        if exchange.header("AUTHORIZATION") is None:
            ticket = _ticket(exchange)
            if ticket:
                exchange.principal = self.admission.find_holder(ticket, exchange.header("ORIGIN"))
            if exchange.principal is None:
                exchange.refusal = BAD_TICKET if ticket else NO_CREDENTIAL
        return self.forward(exchange)


class Opening:
    """The last stage: a place among the tenant's listeners, and the stream."""

    def __init__(self, services: RealtimeServices, admission: Admission) -> None:
        self.services = services
        self.admission = admission

    def __call__(self, exchange: Exchange) -> Answer:
        principal = exchange.principal
        assert principal is not None, "without one the request was refused"
        if exchange.method != "GET":
            raise DomainError(
                ErrorKind.NOT_ALLOWED, "method_not_allowed", "Use GET.", allowed_methods=["GET"]
            )
        self.admission.refuse_while_draining()
        origin, host = exchange.header("ORIGIN"), exchange.header("HOST") or ""
        self.admission.check_origin(principal, origin, host)
        has_ticket = exchange.header("AUTHORIZATION") is None
        confirmed = self.admission.confirm(principal)
        if confirmed is None:
            raise BAD_TICKET if has_ticket else BAD_CREDENTIAL
        asked = _Asked(exchange, confirmed)
        held: ExitStack = exchange.environ[HELD]
        feed = held.enter_context(self.admission.place_of(confirmed))
        # at last: what was refused before may be tried again with it
        if has_ticket and not self.admission.redeem(_ticket(exchange)):
            raise BAD_TICKET
        exchange.environ[STREAM] = _Stream(self.services, exchange, confirmed, asked, feed)
        return Answer(200, list(HEADERS), b"")


class _Asked:
    """What a request wants: types, products, orders, and where it resumes."""

    def __init__(self, exchange: Exchange, principal: Principal) -> None:
        given = _parameters(exchange)
        self.interest = Interest(principal.scopes)
        types = given.get("types")
        self.interest.choose(
            None if types is None else types.split(","),
            _ids(given, "products"),
            _ids(given, "orders"),
        )
        # what a browser sends when it comes back is newer than the URL it came with first
        header = exchange.header("LAST_EVENT_ID")
        self.last_event_id = _event_id(header or given.get("last_event_id") or None)


class _Stream:
    """One client's stream, from its head to its end."""

    def __init__(
        self,
        services: RealtimeServices,
        exchange: Exchange,
        principal: Principal,
        asked: _Asked,
        feed: Feed,
    ) -> None:
        settings = services.settings
        self._socket = WholeFrameSocket(exchange.environ[SOCKET])
        self._hub, self._feed = services.hub, feed
        # of a client that vanished nothing is read, as the stream goes one way
        self._socket.give_up_after(settings.websocket_idle_seconds)
        self._connection = Connection(
            new_id(services.log.clock()),
            principal,
            EventStreamTransport(self._socket, settings),
            asked.interest,
            services.log,
            feed,
            settings,
            asked.last_event_id,
        )

    def serve(self, head: bytes) -> None:
        """Send until either side ends it."""
        retry = random.randint(RETRY_MIN_MILLISECONDS, RETRY_MAX_MILLISECONDS)
        with contextlib.suppress(OSError):
            self._socket.send(b"%sretry: %d\n\n" % (head, retry))
            serve(self._hub, self._feed, self._connection, self._read, EVENT_STREAMS)

    def _read(self) -> None:
        """Until the client has hung up: it has nothing to say."""
        # a TLS socket that was ended cannot be read any more
        with contextlib.suppress(OSError, ValueError):
            while self._socket.recv(2048):
                pass


class EventStreamTransport:
    """A connection's blocks in the body of an answer."""

    __slots__ = ("_socket", "is_open", "pulse_seconds", "queue_length")

    form = EVENT_STREAM
    # a resume comes with the request
    resume_window_seconds = 0.0
    # a client says nothing: one that is gone is found by the system
    dead_at = inf

    def __init__(self, socket: WholeFrameSocket, settings: Settings) -> None:
        self._socket = socket
        self.is_open = True
        self.queue_length = settings.sse_queue_length
        self.pulse_seconds = settings.sse_comment_seconds

    @property
    def sending_since(self) -> float | None:
        """When the send that runs now began."""
        return self._socket.sending_since

    def send(self, data: bytes) -> None:
        """Send a block whole."""
        self._socket.send(data)

    def send_at_once(self, data: bytes) -> bool:
        """Send without waiting, if that can be."""
        return self._socket.send_at_once(data)

    def send_pulse(self, position: int | None) -> None:
        """A comment; with it the client resumes from a position without an event of it."""
        self._socket.send(b":\n\n" if position is None else b":\nid: %d\n\n" % position)

    def close(self, code: int, reason: str) -> None:
        """End the body: a browser comes back and resumes."""
        self.is_open = False
        self._socket.end()

    def abort(self) -> None:
        """End it now."""
        self.is_open = False
        self._socket.abort()


def _head(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {_status_line(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _ticket(exchange: Exchange) -> str:
    return dict(_query(exchange)).get("ticket", "")


def _query(exchange: Exchange) -> Iterator[tuple[str, str]]:
    yield from parse_qsl(exchange.environ.get("QUERY_STRING", ""), keep_blank_values=True)


def _parameters(exchange: Exchange) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in _query(exchange):
        if name not in PARAMETERS:
            known = ", ".join(PARAMETERS)
            raise _malformed("unknown_parameter", name, f"There are {known}.")
        if name in found:
            raise _malformed("invalid_parameter", name, "Give it once; ids and types in a list.")
        found[name] = value
    return found


def _ids(given: dict[str, str], name: str) -> list[UUID] | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return [UUID(part) for part in text.split(",")]
    except ValueError as error:
        raise _malformed("invalid_parameter", name, "Ids, separated by commas.") from error


def _event_id(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MAX_EVENT_ID):
        raise _malformed("invalid_parameter", "last_event_id", "The id of an event: digits.")
    return int(text)


def _malformed(code: str, name: str, detail: str) -> DomainError:
    return DomainError(
        ErrorKind.MALFORMED,
        code,
        "A query parameter is not acceptable; `errors` says which and why.",
        [FieldError(name, detail)],
    )
