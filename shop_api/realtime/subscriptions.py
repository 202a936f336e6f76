"""How many listen to a tenant at once, over all realtime processes, held to what its plan has.

Belongs here: counting in Redis, and the lease a process has on what it counted there. Does not: the
plans' figures (kernel/rate_limits.py), who may listen at all (websocket.py).

A process writes how many of a tenant's listeners it has. The figure counts for as long as the
process renews its lease, so that one that is killed holds nobody's place for longer than that.
While Redis is away each process counts its own.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import gevent
import redis

LEASE_SECONDS = 3.0
RENEW_SECONDS = 1.0
# How often all figures are written anew; those of tenants that nobody writes for are forgotten.
REWRITE_SECONDS = 600.0
KEPT_SECONDS = 1800

# Processes by when their lease ends.
LEASES = "subscriptions:leases"

# KEYS: the tenant's counts, the leases. ARGV: this process, how many it would have, the limit, how
# long counts are kept. Answers 1 when all together are within the limit.
TAKE = """
local clock = redis.call('TIME')
local now, total = clock[1] + clock[2] / 1e6, tonumber(ARGV[2])
local counts = redis.call('HGETALL', KEYS[1])
for i = 1, #counts, 2 do
    if counts[i] ~= ARGV[1] then
        local ends_at = redis.call('ZSCORE', KEYS[2], counts[i])
        if ends_at and tonumber(ends_at) > now then
            total = total + tonumber(counts[i + 1])
        else
            redis.call('HDEL', KEYS[1], counts[i])
        end
    end
end
if total > tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""
# KEYS: the leases. ARGV: this process, for how long. Answers 1 when its lease had ended, or never
# begun: what it counted may be gone.
RENEW = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
"""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Count:
    """How many of a tenant's listeners this process has; written by one greenlet at a time."""

    listeners: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Subscriptions:
    """The listeners of this process, as all processes count them."""

    def __init__(self, client: redis.Redis, process_id: UUID) -> None:
        self._redis = client
        self._process = str(process_id)
        self._take = client.register_script(TAKE)
        self._renew = client.register_script(RENEW)
        self._counts: dict[UUID, _Count] = {}
        # something was counted that Redis was not told
        self._is_behind = False
        self._rewritten_at = time.monotonic()

    @contextmanager
    def hold(self, tenant_id: UUID, limit: int) -> Iterator[bool]:
        """Count a listener for as long as the block runs; False, and not counted, past `limit`."""
        if not self._enter(tenant_id, limit):
            yield False
            return
        try:
            yield True
        finally:
            self._leave(tenant_id)

    def run(self) -> None:
        """Renew the lease until killed."""
        while True:
            try:
                self.renew()
            except redis.RedisError as error:
                logger.warning("cannot say who listens, trying again: %s", error)
            except Exception:
                logger.exception("saying who listens failed, trying again")
            gevent.sleep(RENEW_SECONDS)

    def renew(self) -> None:
        """Hold what this process counted for LEASE_SECONDS more."""
        had_ended = self._renew(keys=[LEASES], args=[self._process, LEASE_SECONDS])
        is_due = time.monotonic() - self._rewritten_at >= REWRITE_SECONDS
        if had_ended or is_due or self._is_behind:
            self._is_behind = False
            self._rewritten_at = time.monotonic()
            for tenant_id in list(self._counts):
                self._write(tenant_id)

    def _enter(self, tenant_id: UUID, limit: int) -> bool:
        count = self._counts.setdefault(tenant_id, _Count())
        with count.lock:
            wanted = count.listeners + 1
            try:
                arguments: list[str | int] = [self._process, wanted, limit, KEPT_SECONDS]
                is_within = self._take(keys=[_key(tenant_id), LEASES], args=arguments) == 1
            except redis.RedisError as error:
                logger.warning("cannot count listeners of other processes: %s", error)
                self._is_behind = True
                is_within = wanted <= limit
            if is_within:
                count.listeners = wanted
            return is_within

    def _leave(self, tenant_id: UUID) -> None:
        count = self._counts[tenant_id]
        with count.lock:
            count.listeners -= 1
        try:
            self._write(tenant_id)
        except redis.RedisError as error:
            logger.warning("cannot say that a listener has left: %s", error)
            self._is_behind = True

    def _write(self, tenant_id: UUID) -> None:
        """Tell Redis how many of the tenant's there are here."""
        key, count = _key(tenant_id), self._counts[tenant_id]
        with count.lock:
            if count.listeners:
                self._redis.hset(key, self._process, str(count.listeners))
                self._redis.expire(key, KEPT_SECONDS)
            else:
                self._redis.hdel(key, self._process)


def _key(tenant_id: UUID) -> str:
    return f"subscriptions:{tenant_id}"
