"""Whether requests can be served, and what of the whole stands how: asked once a second at most.

Belongs here: checks, each with a short limit of its own, and what they amount to. Does not: who may
see which of it (endpoints.py), and SQL (repository.py).
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.deadlines import deadline
from shop_api.db.read_routing import ReadRouting
from shop_api.domains.operations.repository import find_lake_as_of
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError
from shop_api.stack.children import KINDS
from shop_api.stack.instances import Instance, list_instances

EXTENSION = "shop_api.readiness"

KEPT_SECONDS = 1.0
# of the check of Postgres; Redis's client has its own limit
LIMIT_SECONDS = 1.0

READY, BEHIND, UNAVAILABLE = "ready", "behind", "unavailable"


@dataclass(frozen=True, slots=True)
class Health:
    """What was found at one time; None: it did not answer."""

    # how long Postgres and Redis took
    postgres_seconds: float | None
    redis_seconds: float | None
    lake_as_of: datetime | None = None
    instances: list[Instance] = field(default_factory=list)

    @property
    def status(self) -> str:
        """`unavailable` without Postgres, `degraded` without Redis."""
        if self.postgres_seconds is None:
            return UNAVAILABLE
        return READY if self.redis_seconds is not None else "degraded"


class Readiness:
    """Checks, and keeps what it found for a moment, however many ask."""

    def __init__(
        self,
        engine: Engine,
        client: redis.Redis,
        reads: ReadRouting | None,
        lake_late_after_seconds: float,
    ) -> None:
        self._engine = engine
        self._redis = client
        self._reads = reads
        self._lake_late_after_seconds = lake_late_after_seconds
        self._lock = threading.Lock()
        self._found: tuple[float, Health] | None = None

    def find(self) -> Health:
        """How it stands; whoever comes while another checks is told what was found before."""
        found = self._found
        if found is not None and (
            time.monotonic() - found[0] < KEPT_SECONDS or self._lock.locked()
        ):
            return found[1]
        with self._lock:
            found = self._found
            if found is None or time.monotonic() - found[0] >= KEPT_SECONDS:
                found = self._found = (time.monotonic(), self._check())
            return found[1]

    def dependencies(self, health: Health) -> dict[str, Any]:
        """Each dependency, for those who run it."""
        found = {
            "postgres": _answering(health.postgres_seconds),
            "redis": _answering(health.redis_seconds),
            "lake": _lake(health, self._lake_late_after_seconds),
            "relay": _relay(health),
        }
        if self._reads is not None:
            replica = self._reads.replica
            lag, serves = replica.lag_seconds, replica.serves()
            status = READY if serves else UNAVAILABLE if lag is None else BEHIND
            found["replica"] = {"status": status, "lag_seconds": _rounded(lag)}
        return found

    def close(self) -> None:
        """Close its connection."""
        self._engine.dispose()

    def _check(self) -> Health:
        postgres_seconds = lake_as_of = None
        started = time.perf_counter()
        try:
            with deadline.within(LIMIT_SECONDS), self._engine.connect() as connection:
                lake_as_of = find_lake_as_of(connection)
            postgres_seconds = time.perf_counter() - started
        except (DBAPIError, PoolTimeoutError, DomainError):
            postgres_seconds = None
        redis_seconds, instances = None, []
        started = time.perf_counter()
        try:
            instances = list_instances(self._redis)
            redis_seconds = time.perf_counter() - started
        except redis.RedisError:
            instances = []
        return Health(postgres_seconds, redis_seconds, lake_as_of, instances)


def count_instances(instances: list[Instance]) -> dict[str, Any]:
    """How many of each kind run, and since when the quietest of them has said nothing."""
    counts: dict[str, Any] = {}
    for kind in KINDS:
        ages = [found.heartbeat_age_seconds for found in instances if found.kind == kind]
        counts[kind] = {"count": len(ages), "oldest_heartbeat_seconds": max(ages, default=None)}
    return counts


def _answering(seconds: float | None) -> dict[str, Any]:
    status = UNAVAILABLE if seconds is None else READY
    return {"status": status, "seconds": _rounded(seconds)}


def _lake(health: Health, late_after_seconds: float) -> dict[str, Any]:
    as_of = health.lake_as_of
    age = _age(as_of)
    status = UNAVAILABLE if age is None else BEHIND if age > late_after_seconds else READY
    return {"status": status, "as_of": as_of, "lag_seconds": age}


def _relay(health: Health) -> dict[str, Any]:
    """The relay of the worker that leads, as that told it with its heartbeat."""
    told = [found.state.get("relay_caught_up_at") for found in health.instances]
    newest = max((datetime.fromisoformat(text) for text in told if text), default=None)
    return {"status": UNAVAILABLE if newest is None else READY, "lag_seconds": _age(newest)}


def _age(instant: datetime | None) -> float | None:
    return None if instant is None else _rounded((utc_now() - instant).total_seconds())


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 6)
