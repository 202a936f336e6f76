"""Asking the stores whether they answer."""

import redis
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


def is_database_ready(engine: Engine) -> bool:
    """Whether Postgres answers a statement now."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except (DBAPIError, PoolTimeoutError):
        return False
    return True


def is_redis_ready(client: redis.Redis) -> bool:
    """Whether Redis answers a ping now."""
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
