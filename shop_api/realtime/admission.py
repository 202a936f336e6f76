"""Who may listen, and one listener's time from its place to its end, over any transport.

Belongs here: tickets, origins, scopes and places, as errors that each transport tells in its way.
Does not: the transports (websocket.py, event_stream.py), what is sent (connection.py).
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import gevent
import redis
import sqlalchemy.exc
from sqlalchemy import select

from shop_api.db.outages import describe
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.principal import Principal
from shop_api.metrics.definitions import rate_limit_refusals
from shop_api.models import tenants
from shop_api.realtime.actors import admit
from shop_api.realtime.connection import Connection
from shop_api.realtime.feed import Feed
from shop_api.realtime.hub import Hub
from shop_api.realtime.messages import LISTEN_SCOPE
from shop_api.realtime.metrics import ListenerMetrics
from shop_api.realtime.services import RealtimeServices
from shop_api.realtime.tickets import find_ticket, redeem_ticket

# The limit of connections, as it is named among a plan's limits.
POLICY = "subscriptions"
BAD_TICKET = DomainError(
    ErrorKind.UNAUTHENTICATED,
    "invalid_ticket",
    "The ticket is unknown, used, expired or revoked. Get a new one.",
)
BAD_CREDENTIAL = DomainError(
    ErrorKind.UNAUTHENTICATED, "invalid_credential", "The credential no longer counts."
)
NO_SCOPE = DomainError(
    ErrorKind.FORBIDDEN, "insufficient_scope", f"This needs the scope {LISTEN_SCOPE}."
)
BAD_ORIGIN = DomainError(
    ErrorKind.FORBIDDEN,
    "origin_not_allowed",
    "This origin is not among the tenant's CORS origins.",
)

logger = logging.getLogger(__name__)


class Admission:
    """Lets listeners in. What it raises is a DomainError."""

    def __init__(self, services: RealtimeServices) -> None:
        self._services = services

    def refuse_while_draining(self) -> None:
        """Raise when this process is about to end."""
        if self._services.hub.is_draining:
            raise _unavailable("The server is restarting.")

    def find_holder(self, ticket: str, origin: str | None) -> Principal | None:
        """Who a ticket was issued to, without using it up; with the origins, for a page of one."""
        with _stores():
            holder = find_ticket(self._services.redis, ticket)
            if holder is None or origin is None:
                return holder
            with tenant_session(self._services.engine, holder.tenant_id) as session:
                statement = select(tenants.c.cors_origins).where(tenants.c.id == holder.tenant_id)
                origins = session.execute(statement).scalar() or ()
        return replace(holder, origins=frozenset(origins))

    def check_origin(self, principal: Principal, origin: str | None, host: str) -> None:
        """Programs send no Origin; a page's is this host, or one allowed on all tenants or its own.

        Before a ticket is used up: what is refused here may be tried again.
        """
        if origin is None or origin in principal.origins or _is_host(origin, host):
            return
        if origin not in self._services.settings.cors_origins:
            raise BAD_ORIGIN

    def confirm(self, principal: Principal) -> Principal | None:
        """The principal with the scopes it still has; None when it counts no more."""
        with _stores():
            standings = self._services.actors.standings([principal])
        return admit(principal, standings)

    def redeem(self, ticket: str) -> bool:
        """Use a ticket up; False when somebody has."""
        with _stores():
            return redeem_ticket(self._services.redis, ticket) is not None

    @contextmanager
    def place_of(self, principal: Principal) -> Iterator[Feed]:
        """A place among the tenant's listeners, for as long as the block runs, and their feed."""
        if LISTEN_SCOPE not in principal.scopes:
            raise NO_SCOPE
        limit = principal.limits.subscriptions
        with self._services.subscriptions.hold(principal.tenant_id, limit) as is_within:
            if not is_within:
                rate_limit_refusals.labels(POLICY).inc()
                raise _one_too_many(limit)
            with _stores():
                feed = self._services.hub.enter(principal.tenant_id)
            try:
                yield feed
            finally:
                self._services.hub.leave(feed)


def serve(
    hub: Hub,
    feed: Feed,
    connection: Connection,
    read: Callable[[], int | None],
    metrics: ListenerMetrics,
) -> None:
    """Listen until the client has gone: `read` returns then, with the code it gave if any."""
    started = time.monotonic()
    hub.join(feed, connection)
    writer = gevent.spawn(connection.write)
    metrics.active.inc()
    code = None
    try:
        code = read()
    finally:
        feed.connections.discard(connection)
        connection.detach()
        writer.join()
        seconds = time.monotonic() - started
        code = connection.close_code or code
        metrics.active.dec()
        metrics.duration.observe(seconds)
        metrics.count_close(code)
        logger.info(
            "connection closed",
            extra={
                "transport": metrics.transport,
                "connection_id": str(connection.id),
                "tenant_id": str(connection.tenant_id),
                "code": code,
                "duration_seconds": round(seconds, 3),
            },
        )


@contextmanager
def _stores() -> Iterator[None]:
    """Ask Redis or Postgres; a store that is away is 503."""
    try:
        yield
    except (redis.RedisError, sqlalchemy.exc.SQLAlchemyError) as error:
        logger.warning("cannot admit a listener: %s", describe(error))
        raise _unavailable("A store is away. Try again shortly.") from error


def _unavailable(detail: str) -> DomainError:
    return DomainError(ErrorKind.UNAVAILABLE, "unavailable", detail, retry_after_seconds=1)


def _one_too_many(limit: int) -> DomainError:
    return DomainError(
        ErrorKind.RATE_LIMITED,
        "too_many_connections",
        f"The plan has at most {limit} connections at once (policy {POLICY}): close another one.",
        retry_after_seconds=1,
    )


def _is_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc == host
