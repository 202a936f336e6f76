"""Health of the realtime process: alive, and ready for connections.

Belongs here: the two endpoints load balancers ask. Does not: the api's health (its own process).
Which check fails is told to those who hold the platform key alone.
"""

import hmac
from collections.abc import Callable

import redis
import sqlalchemy.exc
from flask import Flask, Response, jsonify, request
from sqlalchemy import text

from shop_api.db.deadlines import deadline
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.errors import DomainError
from shop_api.realtime.services import RealtimeServices

# of the check of Postgres; Redis's client has its own limit
LIMIT_SECONDS = 1.0


def add_health(app: Flask, services: RealtimeServices) -> None:
    """Route `/health/live` and `/health/ready`."""
    requests = RequestRedis(str(services.settings.redis_url))

    @app.get("/health/live")
    def live() -> Response:
        return jsonify(status="ok")

    @app.get("/health/ready")
    def ready() -> tuple[Response, int]:
        checks = {
            "postgres": _outcome(lambda: _ask_postgres(services)),
            "redis": _outcome(requests.client.ping),
            "subscription": "ok" if services.hub.is_subscribed else "reconnecting",
            "process": "draining" if services.hub.is_draining else "ok",
        }
        is_ready = all(outcome == "ok" for outcome in checks.values())
        body: dict[str, object] = {"status": "ok" if is_ready else "unavailable"}
        if _is_operator(services.settings.platform_key):
            body["checks"] = checks
        return jsonify(body), 200 if is_ready else 503


def _is_operator(platform_key: str | None) -> bool:
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return platform_key is not None and hmac.compare_digest(sent.encode(), platform_key.encode())


def _ask_postgres(services: RealtimeServices) -> None:
    with deadline.within(LIMIT_SECONDS), services.engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def _outcome(ask: Callable[[], object]) -> str:
    try:
        ask()
    except (redis.RedisError, sqlalchemy.exc.SQLAlchemyError, DomainError):
        return "unavailable"
    return "ok"
