"""`GET /ws`: from the request to a connection that listens, and its end.

Belongs here: who may connect (ticket, origin, scope) and the life of one request. Does not: what is
sent (connection.py).
"""

import logging
import time
from typing import Any
from urllib.parse import urlsplit

import gevent
import redis
import sqlalchemy.exc
from flask import Flask, Response, g, request
from flask_sock import Sock
from sqlalchemy import select

from shop_api.db.outages import describe
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import Principal
from shop_api.metrics.definitions import (
    rate_limit_refusals,
    websocket_connection_duration,
    websocket_connections_active,
    websocket_errors,
)
from shop_api.models import tenants
from shop_api.realtime import connection as closing
from shop_api.realtime.actors import admit
from shop_api.realtime.connection import Connection
from shop_api.realtime.messages import LISTEN_SCOPE, MESSAGE_LIMIT_BYTES
from shop_api.realtime.metrics import UNAVAILABLE, count_close
from shop_api.realtime.services import RealtimeServices
from shop_api.realtime.tickets import find_ticket, redeem_ticket
from shop_api.realtime.transport import SERVER_OPTIONS, Inbox, close_politely

ENDPOINT = "listen"
# The limit of connections, as it is named among a plan's limits.
POLICY = "subscriptions"

logger = logging.getLogger(__name__)


def add_websocket(app: Flask, services: RealtimeServices) -> None:
    """Route `/ws` on the application."""
    app.config["SOCK_SERVER_OPTIONS"] = {
        **SERVER_OPTIONS,
        "max_message_size": MESSAGE_LIMIT_BYTES,
    }
    sock = Sock(app)

    @app.before_request
    def admit() -> Response | None:
        if request.endpoint == ENDPOINT:
            g.principal = _admit(services)
        return None

    @sock.route("/ws", endpoint=ENDPOINT)
    def listen(websocket: Any) -> None:
        _listen(services, websocket, g.principal)


def _admit(services: RealtimeServices) -> Principal | None:
    """Who connects, None for a bad ticket. What a page may not do at all is refused as HTTP.

    A bad ticket is told by a close code, which browsers show to the page; a refused handshake they
    do not.
    """
    if services.hub.is_draining:
        raise _unavailable("The server is restarting.")
    try:
        ticket = request.args.get("ticket", "")
        holder = find_ticket(services.redis, ticket)
        # before the ticket is taken: what is refused here may be tried again
        if holder is not None and not _is_origin_allowed(services, holder):
            websocket_errors.labels("origin_not_allowed").inc()
            raise DomainError(
                ErrorKind.FORBIDDEN,
                "origin_not_allowed",
                "This origin is not among the tenant's CORS origins.",
            )
        standings = services.actors.standings([holder] if holder is not None else [])
        principal = redeem_ticket(services.redis, ticket)
    except (redis.RedisError, sqlalchemy.exc.SQLAlchemyError) as error:
        logger.warning("cannot admit a listener: %s", describe(error))
        websocket_errors.labels(UNAVAILABLE).inc()
        raise _unavailable("A store is away. Try again shortly.") from error
    return principal and admit(principal, standings)


def _unavailable(detail: str) -> DomainError:
    return DomainError(ErrorKind.UNAVAILABLE, "unavailable", detail, retry_after_seconds=1)


def _is_origin_allowed(services: RealtimeServices, principal: Principal) -> bool:
    """Programs send no Origin; a page's is this host, or one allowed on all tenants or its own."""
    origin = request.headers.get("Origin")
    if origin is None or _is_this_host(origin):
        return True
    if origin in services.settings.cors_origins:
        return True
    with tenant_session(services.engine, principal.tenant_id) as session:
        statement = select(tenants.c.cors_origins).where(tenants.c.id == principal.tenant_id)
        return origin in (session.execute(statement).scalar() or [])


def _is_this_host(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc == request.host


def _listen(services: RealtimeServices, websocket: Any, principal: Principal | None) -> None:
    if principal is None:
        count_close(closing.CLOSE_BAD_TICKET)
        close_politely(
            websocket, closing.CLOSE_BAD_TICKET, "unknown, used, expired or revoked ticket"
        )
    elif LISTEN_SCOPE not in principal.scopes:
        count_close(closing.CLOSE_SCOPE)
        close_politely(websocket, closing.CLOSE_SCOPE, f"this needs the scope {LISTEN_SCOPE}")
    else:
        with services.subscriptions.hold(
            principal.tenant_id, principal.limits.subscriptions
        ) as is_within:
            if is_within and _join(services, websocket, principal):
                return
            if not is_within:
                _refuse_one_more(websocket, principal.limits.subscriptions)
    # reads the client's close frame, if it sends one
    websocket.thread.run()


def _refuse_one_more(websocket: Any, limit: int) -> None:
    count_close(closing.CLOSE_TOO_MANY)
    rate_limit_refusals.labels(POLICY).inc()
    close_politely(
        websocket,
        closing.CLOSE_TOO_MANY,
        f"at most {limit} connections at once (policy {POLICY}): close another one",
    )


def _join(services: RealtimeServices, websocket: Any, principal: Principal) -> bool:
    """Listen until the end; False when the tenant's events cannot be followed."""
    try:
        feed = services.hub.enter(principal.tenant_id)
    except sqlalchemy.exc.SQLAlchemyError as error:
        logger.warning("cannot open a feed: %s", describe(error))
        websocket_errors.labels(UNAVAILABLE).inc()
        close_politely(websocket, closing.CLOSE_TRY_AGAIN, "try again shortly")
        return False
    connection = Connection(
        new_id(services.log.clock()), principal, websocket, services.log, feed, services.settings
    )
    feed.connections.add(connection)
    try:
        _serve(websocket, connection)
    finally:
        feed.connections.discard(connection)
        services.hub.leave(feed)
    return True


def _serve(websocket: Any, connection: Connection) -> None:
    """Read until the connection is over, beside its writer."""
    started = time.monotonic()
    websocket.input_buffer = Inbox(connection.handle)
    writer = gevent.spawn(connection.write)
    websocket_connections_active.inc()
    try:
        websocket.thread.run()
    finally:
        connection.detach()
        writer.join()
        seconds = time.monotonic() - started
        code = connection.close_code or int(websocket.close_reason)
        websocket_connections_active.dec()
        websocket_connection_duration.observe(seconds)
        count_close(code)
        logger.info(
            "connection closed",
            extra={
                "connection_id": str(connection.id),
                "tenant_id": str(connection.tenant_id),
                "code": code,
                "duration_seconds": round(seconds, 3),
            },
        )
