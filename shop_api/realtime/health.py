"""Health of the realtime process: alive, and ready for connections.

Belongs here: the two endpoints load balancers ask. Does not: the api's health (its own process).
"""

from collections.abc import Callable

import redis
import sqlalchemy.exc
from flask import Flask, Response, jsonify
from sqlalchemy import text

from shop_api.realtime.services import RealtimeServices


def add_health(app: Flask, services: RealtimeServices) -> None:
    """Route `/health/live` and `/health/ready`."""

    @app.get("/health/live")
    def live() -> Response:
        return jsonify(status="ok")

    @app.get("/health/ready")
    def ready() -> tuple[Response, int]:
        checks = {
            "postgres": _outcome(lambda: _ask_postgres(services)),
            "redis": _outcome(services.redis.ping),
            "subscription": "ok" if services.hub.is_subscribed else "reconnecting",
            "process": "draining" if services.hub.is_draining else "ok",
        }
        is_ready = all(outcome == "ok" for outcome in checks.values())
        status = "ok" if is_ready else "unavailable"
        return jsonify(status=status, checks=checks), 200 if is_ready else 503


def _ask_postgres(services: RealtimeServices) -> None:
    with services.engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def _outcome(ask: Callable[[], object]) -> str:
    try:
        ask()
    except (redis.RedisError, sqlalchemy.exc.SQLAlchemyError):
        return "unavailable"
    return "ok"
