"""How many listen to a tenant at once, over all realtime processes, held to what its plan has.

Belongs here: counting in Redis, and the lease a process has on what it counted there. Does not: the
plans' figures (kernel/rate_limits.py), who may listen at all (websocket.py).

A process writes how many of a tenant's listeners it has: when one enters, who waits for that, and
after others have left, when it renews its lease. Leaving asks nothing, so that a Redis that hangs
holds up nobody who goes. The figure counts for as long as the lease, so that a process that is
killed holds nobody's place for longer than that. While Redis is away each process counts its own,
and finds that it is back when it renews.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import gevent
import redis

from shop_api.db.outages import describe

LEASE_SECONDS = 3.0
RENEW_SECONDS = 1.0
# How often all figures are written anew; those of tenants that nobody writes for are forgotten.
REWRITE_SECONDS = 600.0
KEPT_SECONDS = 1800
# Figures told in one round trip.
WRITTEN_AT_ONCE = 500

# Processes by when their lease ends.
LEASES = "subscriptions:leases"

# KEYS: the tenant's counts, the leases. ARGV: this process, how many it would have, the limit, how
# long counts are kept. Answers 1 when all together are within the limit; otherwise this process has
# one less.
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
local is_within = total <= tonumber(ARGV[3])
local own = tonumber(ARGV[2])
if not is_within then own = own - 1 end
if own > 0 then
    redis.call('HSET', KEYS[1], ARGV[1], own)
    redis.call('EXPIRE', KEYS[1], ARGV[4])
else
    redis.call('HDEL', KEYS[1], ARGV[1])
end
return is_within and 1 or 0
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
    """How many of a tenant's listeners this process has."""

    listeners: int = 0
    # held by whoever tells Redis, one at a time: a figure must not overtake a newer one
    telling: threading.Lock = field(default_factory=threading.Lock)


class Subscriptions:
    """The listeners of this process, as all processes count them."""

    def __init__(self, client: redis.Redis, process_id: UUID) -> None:
        self._redis = client
        self._process = str(process_id)
        self._take = client.register_script(TAKE)
        self._renew = client.register_script(RENEW)
        # of what is below; never held while Redis is asked
        self._lock = threading.Lock()
        self._counts: dict[UUID, _Count] = {}
        # tenants whose figure Redis may not have
        self._owed: set[UUID] = set()
        # until a renewal is answered, those who enter do not wait for Redis one after another
        self._is_away = False
        self._is_closed = False
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
            with self._lock:
                self._counts[tenant_id].listeners -= 1
                self._owed.add(tenant_id)

    def run(self) -> None:
        """Renew the lease until closed."""
        while not self._is_closed:
            try:
                self.renew()
            except redis.RedisError as error:
                logger.warning("cannot say who listens, trying again: %s", describe(error))
            except Exception:
                logger.exception("saying who listens failed, trying again")
            gevent.sleep(RENEW_SECONDS)

    def renew(self) -> None:
        """Hold what this process counted for LEASE_SECONDS more, and tell what has changed."""
        try:
            had_ended = self._renew(keys=[LEASES], args=[self._process, LEASE_SECONDS])
        except redis.RedisError:
            self._is_away = True
            # it may have been done, and what it answers the next time no longer tells of a loss
            self._owe_all()
            raise
        self._is_away = False
        if had_ended or time.monotonic() - self._rewritten_at >= REWRITE_SECONDS:
            self._owe_all()
            self._rewritten_at = time.monotonic()
        owed = list(self._owed)
        for start in range(0, len(owed), WRITTEN_AT_ONCE):
            self._write(owed[start : start + WRITTEN_AT_ONCE])

    def close(self) -> None:
        """Give up the lease, and with it all places."""
        self._is_closed = True
        try:
            self._redis.zrem(LEASES, self._process)
        except redis.RedisError as error:
            logger.warning("places are held for %s s more: %s", LEASE_SECONDS, describe(error))

    def _owe_all(self) -> None:
        with self._lock:
            self._owed.update(self._counts)

    def _enter(self, tenant_id: UUID, limit: int) -> bool:
        while True:
            with self._lock:
                count = self._counts.setdefault(tenant_id, _Count())
            with count.telling:
                # forgotten while this one waited, if it is another one's
                if self._counts.get(tenant_id) is count:
                    return self._count_one_more(tenant_id, count, limit)

    def _count_one_more(self, tenant_id: UUID, count: _Count, limit: int) -> bool:
        with self._lock:
            wanted = count.listeners + 1
            self._owed.discard(tenant_id)
        is_within, is_told = wanted <= limit, False
        try:
            if not self._is_away:
                arguments: list[str | int] = [self._process, wanted, limit, KEPT_SECONDS]
                is_within = self._take(keys=[_key(tenant_id), LEASES], args=arguments) == 1
                is_told = True
        except redis.RedisError as error:
            logger.warning("cannot count listeners of other processes: %s", describe(error))
            self._is_away = True
        finally:
            with self._lock:
                if not is_told:
                    self._owed.add(tenant_id)
        with self._lock:
            count.listeners += is_within
            self._forget_if_empty(tenant_id, count)
        return is_within

    def _write(self, tenant_ids: list[UUID]) -> None:
        """Tell Redis how many of these tenants' there are here.

        Without those for whom somebody enters meanwhile, who tells it.
        """
        with ExitStack() as held, self._redis.pipeline(transaction=False) as pipeline:
            written: dict[UUID, _Count] = {}
            for tenant_id in tenant_ids:
                count = self._counts.get(tenant_id)
                if count is not None and count.telling.acquire(blocking=False):
                    held.callback(count.telling.release)
                    written[tenant_id] = count
            with self._lock:
                self._owed -= written.keys()
                for tenant_id, count in written.items():
                    self._add(pipeline, tenant_id, count.listeners)
            try:
                pipeline.execute()
            except BaseException:
                self._is_away = True
                with self._lock:
                    self._owed |= written.keys()
                raise
            with self._lock:
                for tenant_id, count in written.items():
                    self._forget_if_empty(tenant_id, count)

    def _add(self, pipeline: redis.client.Pipeline, tenant_id: UUID, listeners: int) -> None:
        key = _key(tenant_id)
        if listeners:
            pipeline.hset(key, self._process, str(listeners))
            pipeline.expire(key, KEPT_SECONDS)
        else:
            pipeline.hdel(key, self._process)

    def _forget_if_empty(self, tenant_id: UUID, count: _Count) -> None:
        """Keep nothing of a tenant without listeners, once Redis knows. Under both locks."""
        if not count.listeners and tenant_id not in self._owed:
            del self._counts[tenant_id]


def _key(tenant_id: UUID) -> str:
    return f"subscriptions:{tenant_id}"
