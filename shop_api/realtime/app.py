"""The realtime application: its only wiring.

Belongs here: building what the process works with, and how refusals are written. Does not: routes
(websocket.py, event_stream.py, health.py, metrics.py).
"""

import gevent
import redis
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from shop_api.db.engines import make_engine, require_safe_role_at_once
from shop_api.db.pool_watch import watch_pool
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError, ErrorKind, StartRefused
from shop_api.kernel.ids import new_id
from shop_api.kernel.problem import STATUS, problem_body, problem_headers
from shop_api.realtime.actors import ActorDirectory
from shop_api.realtime.event_log import EventLog
from shop_api.realtime.event_stream import EventStreams
from shop_api.realtime.health import add_health
from shop_api.realtime.hub import Hub
from shop_api.realtime.metrics import add_metrics
from shop_api.realtime.services import RealtimeServices
from shop_api.realtime.subscriptions import Subscriptions
from shop_api.realtime.websocket import WebSocketEnviron, add_websocket
from shop_api.settings import Settings

EXTENSION = "shop_api.realtime"
# Of what counts listeners and requests: a third of the lease it renews. Above what a request of the
# api waits, for a broadcast to 10 000 holds up every greenlet for a quarter of a second.
COUNTING_TIMEOUT_SECONDS = 1.0


def create_realtime_app(settings: Settings) -> Flask:
    """The application on the stores `settings` names; call it after gevent has patched."""
    if settings.database_url is None or settings.redis_url is None:
        raise StartRefused("set DATABASE_URL and REDIS_URL, or start with `shop-api serve`")
    engine = make_engine(
        settings.database_url, settings, statement_timeout_seconds=settings.deadline_seconds
    )
    require_safe_role_at_once(engine)
    watch_pool(engine, "realtime", "primary", sum(settings.pool_size))
    log = EventLog(engine, utc_now)
    client = redis.Redis.from_url(
        settings.redis_url, socket_timeout=5, socket_connect_timeout=5, health_check_interval=30
    )
    counting = RequestRedis(settings.redis_url, COUNTING_TIMEOUT_SECONDS)
    actors = ActorDirectory(engine, utc_now)
    services = RealtimeServices(
        settings=settings,
        engine=engine,
        redis=client,
        log=log,
        actors=actors,
        hub=Hub(log, actors, settings.redis_url),
        subscriptions=Subscriptions(counting.client, new_id(utc_now())),
    )
    services.hub.start()
    gevent.spawn(services.subscriptions.run)
    app = Flask("shop_api.realtime", static_folder=None)
    app.extensions[EXTENSION] = services
    routes = WebSocketEnviron(app.wsgi_app)
    app.wsgi_app = EventStreams(routes, services, counting)  # type: ignore[method-assign]
    app.register_error_handler(DomainError, _problem)
    app.register_error_handler(HTTPException, _http_problem)
    add_websocket(app, services)
    add_health(app, services)
    add_metrics(app, settings.metrics_key)
    return app


def _problem(error: DomainError) -> Response:
    body = problem_body(error, str(new_id(utc_now())), request.path)
    return Response(body, STATUS[error.kind].value, problem_headers(error))


def _http_problem(error: HTTPException) -> Response:
    """Werkzeug's refusals, as problems."""
    if error.code == 404:
        return _problem(DomainError(ErrorKind.NOT_FOUND, "not_found", "There is nothing here."))
    if error.code == 405:
        return _problem(
            DomainError(ErrorKind.NOT_ALLOWED, "method_not_allowed", "Use another method.")
        )
    if error.code is not None and error.code >= 500:
        return _problem(DomainError(ErrorKind.INTERNAL, "internal_error", "Something went wrong."))
    return _problem(
        DomainError(
            ErrorKind.MALFORMED,
            "websocket_expected",
            "This address speaks WebSocket: connect with a WebSocket client.",
        )
    )
