"""Purges: kept answers that an operator says are not to be used again, in all processes.

Belongs here: recording a purge in Redis, hearing of it, and what it means for an answer. Does not:
the command (commands/cache.py).

An answer's version begins with the newest purge that means it, so that after a purge nothing older
is found, in memory or in Redis, and what was being made meanwhile is not found either. A process
asks for the purges once in a second (upkeep.py), not for each request.
"""

import re
import secrets
import time
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

import msgspec
import redis

from shop_api.db.request_redis import RedisAway, RequestRedis

KEY = "cache:purges"
BASE = "/api/v1/"
# No answer is kept longer.
LIFE_SECONDS = 3600.0
MAX_REMEMBERED = 10_000


class Purge(msgspec.Struct, frozen=True):
    """One purge: of a tenant or of all, of paths that match or of all."""

    id: str
    at: float
    tenant_id: UUID | None = None
    pattern: str | None = None

    def means(self, tenant_id: UUID, path: str) -> bool:
        """Whether the answers of a path are to be forgotten."""
        return (self.tenant_id is None or self.tenant_id == tenant_id) and (
            self.pattern is None or fnmatchcase(path, self.pattern)
        )


def can_match(pattern: str) -> bool:
    """Whether a pattern means any path that an answer may be kept of."""
    literal = re.split(r"[*?[]", pattern, maxsplit=1)[0]
    return literal.startswith(BASE) or (literal != pattern and BASE.startswith(literal))


def record_purge(client: redis.Redis, tenant_id: UUID | None, pattern: str | None) -> Purge:
    """Have every process forget what a purge means, within a second or so."""
    purge = Purge(secrets.token_hex(4), time.time(), tenant_id, pattern)
    with client.pipeline() as pipeline:
        pipeline.zadd(KEY, {msgspec.json.encode(purge): purge.at})
        pipeline.zremrangebyscore(KEY, "-inf", purge.at - LIFE_SECONDS)
        pipeline.expire(KEY, int(LIFE_SECONDS))
        pipeline.execute()
    return purge


class Purges:
    """The purges this process knows of."""

    def __init__(self, client: RequestRedis) -> None:
        self._redis = client
        self._known: dict[str, Purge] = {}
        # by tenant and path; replaced as a whole when a purge comes to be known
        self._epochs: dict[tuple[UUID, str], str] = {}

    def epoch(self, tenant_id: UUID, path: str) -> str:
        """What versions of a path's answers begin with; empty before the first purge."""
        if not self._known:
            return ""
        place = (tenant_id, path)
        epochs = self._epochs
        found = epochs.get(place)
        if found is None:
            meant = [purge for purge in self._known.values() if purge.means(tenant_id, path)]
            found = max(meant, key=lambda purge: purge.at).id + " " if meant else ""
            if len(epochs) >= MAX_REMEMBERED:
                epochs.clear()
            epochs[place] = found
        return found

    def refresh(self) -> None:
        """Ask Redis; what is known stays known for its time, whatever Redis has lost."""
        try:
            rows: Any = self._redis.ask(lambda client: client.zrange(KEY, 0, -1))
        except RedisAway:
            return
        now = time.time()
        found = [msgspec.json.decode(row, type=Purge) for row in rows]
        known = {
            purge.id: purge
            for purge in (*self._known.values(), *found)
            if purge.at > now - LIFE_SECONDS
        }
        if known.keys() != self._known.keys():
            self._known = known
            self._epochs = {}
