"""Versions of a tenant's data, in Redis: a kept answer is used while those it was made from hold.

Belongs here: reading them before the data is read, and replacing them after a commit. Does not:
which data an event touches (resources.py), the answers (gateway).

A version is a random word, never used again: one that was lost with Redis is replaced by another,
and what was kept under the lost one is never found. A reader takes it before it reads the data. So
whatever it read is at least as new as the version says, and a version that is replaced after the
commit belongs to nothing older than the commit.
"""

import secrets
import threading
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import redis

from shop_api.db.request_redis import RedisAway, RequestRedis
from shop_api.spine.resources import Touch

# Of a tenant that nobody reads or writes; above the time any answer is kept.
EXPIRY_SECONDS = 86_400


def key_of(tenant_id: UUID, resource: str) -> str:
    """The Redis key of a version."""
    return f"version:{tenant_id}:{resource}"


def replace_versions(pipeline: redis.client.Pipeline, touched: Iterable[Touch]) -> None:
    """Give what has changed new versions, as part of a pipeline."""
    for tenant_id, resource in touched:
        pipeline.set(key_of(tenant_id, resource), secrets.token_hex(8), ex=EXPIRY_SECONDS)


class ResourceVersions:
    """Reads and replaces versions. Redis away, readers know of none and writers go on."""

    def __init__(self, client: RequestRedis) -> None:
        self._redis = client
        self._lock = threading.Lock()
        # what this process wrote and could not tell
        self._owed: set[Touch] = set()

    def touch(self, touched: Iterable[Touch]) -> None:
        """After a commit: replace the versions of what it changed.

        What cannot be told now is told before this process reads a version again; other processes
        hear of it from the relay, which reads the events.
        """
        changed = {*touched, *self._still_owed()}
        try:
            self._replace(changed)
        except RedisAway:
            with self._lock:
                self._owed |= changed

    def find(self, tenant_id: UUID, resources: Collection[str]) -> str | None:
        """The present versions of these as one; None when they are not known."""
        try:
            if self._owed:
                self._replace(self._still_owed())
            keys = [key_of(tenant_id, resource) for resource in resources]
            found: Any = self._redis.ask(lambda client: client.mget(keys))
            if None in found:
                found = self._redis.ask(lambda client: _begin(client, keys))
        except RedisAway:
            return None
        return None if None in found else b"".join(found).decode()

    def _still_owed(self) -> set[Touch]:
        # a copy: other threads add to it
        with self._lock:
            return set(self._owed)

    def _replace(self, changed: set[Touch]) -> None:
        self._redis.ask(lambda client: _replace(client, changed))
        if self._owed:
            with self._lock:
                self._owed -= changed


def _replace(client: redis.Redis, changed: set[Touch]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        replace_versions(pipeline, changed)
        pipeline.execute()


def _begin(client: redis.Redis, keys: list[str]) -> Any:
    """Versions where there are none; another process may be quicker."""
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.set(key, secrets.token_hex(8), ex=EXPIRY_SECONDS, nx=True)
        pipeline.mget(keys)
        return pipeline.execute()[-1]
