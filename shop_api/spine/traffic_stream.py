"""Storefront events on their way: a Redis stream between `POST /track` and the lake.

Belongs here: the form of events in the stream, putting batches in, reading and acknowledging them,
and who is online. Does not: which events are taken (domains/tracking) and the lake (pipelines).

A batch is one entry and one call. How many events wait is counted beside the stream, by the same
scripts that add and remove, so the bound is exact. An entry stays until it is acknowledged: whoever
reads is handed first what it was handed before and did not acknowledge.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import redis

from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import microseconds

# The braces put all keys into one slot of a Redis cluster: a script may only use such.
STREAM = "{traffic}:events"
WAITING = "{traffic}:waiting"
ONLINE = "{traffic}:online"
UNREADABLE = "{traffic}:unreadable"
UNREADABLE_KEPT = 1_000
GROUP = "lake"
# One name for whichever worker has the job: it goes on with what another had begun.
CONSUMER = "lake"
# Visitors are online for so long after their last event, in steps of a slice.
ONLINE_WINDOW = timedelta(minutes=5)
SLICE_SECONDS = 30
SLICES = int(ONLINE_WINDOW.total_seconds()) // SLICE_SECONDS
SLICE_LIFE_SECONDS = (SLICES + 2) * SLICE_SECONDS

# KEYS: stream, waiting, slice of who is online. ARGV: most events that wait, most of a tenant,
# tenant, events, instant, payload, life of the slice, visitors. Answers 0 when there is no room.
ADD = """
local count = tonumber(ARGV[4])
local all = tonumber(redis.call('HGET', KEYS[2], 'all') or 0)
local own = tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or 0)
if all + count > tonumber(ARGV[1]) or own + count > tonumber(ARGV[2]) then
    return 0
end
redis.call('XADD', KEYS[1], '*', 'tenant', ARGV[3], 'count', count, 'received_at', ARGV[5],
    'events', ARGV[6])
redis.call('HINCRBY', KEYS[2], 'all', count)
redis.call('HINCRBY', KEYS[2], ARGV[3], count)
if #ARGV > 7 then
    redis.call('PFADD', KEYS[3], unpack(ARGV, 8))
    redis.call('EXPIRE', KEYS[3], ARGV[7])
end
return 1
"""

# KEYS: stream, waiting. ARGV: group, then id, tenant and events of each entry. What was
# acknowledged before is not counted again.
ACKNOWLEDGE = """
for place = 2, #ARGV, 3 do
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[place])
    if redis.call('XDEL', KEYS[1], ARGV[place]) == 1 then
        for _, field in ipairs({'all', ARGV[place + 1]}) do
            if redis.call('HINCRBY', KEYS[2], field, -tonumber(ARGV[place + 2])) <= 0 then
                redis.call('HDEL', KEYS[2], field)
            end
        end
    end
end
"""

logger = logging.getLogger(__name__)


class TrafficEvent(msgspec.Struct, array_like=True, frozen=True):
    """An event as it travels: instants in microseconds since 1970, in UTC."""

    event_id: str
    occurred_at: int
    kind: str
    visitor_id: str
    session_id: str
    is_bot: bool
    path: str | None = None
    referrer_host: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    device: str | None = None
    product_id: str | None = None
    variant_id: str | None = None
    order_id: str | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[TrafficEvent])


@dataclass(frozen=True, slots=True)
class Batch:
    """An entry of the stream."""

    id: bytes
    tenant_id: str
    received_at: int
    # as it was counted when it was put in
    count: int
    events: list[TrafficEvent]


class TrafficIntake:
    """The end of the stream that requests put batches into. Raises RedisAway."""

    def __init__(self, client: RequestRedis, event_limit: int) -> None:
        self._redis = client
        self._add = client.client.register_script(ADD)
        self._event_limit = event_limit
        # a page's script may be anybody's: one shop's must not shut out the others'
        self._tenant_limit = max(1, event_limit // 2)

    def add(
        self,
        tenant_id: UUID,
        events: Sequence[TrafficEvent],
        visitor_ids: Sequence[str],
        now: datetime,
    ) -> bool:
        """Put a batch in, and note who is online; False when there is no room for it.

        A call whose answer was lost may be made twice: the lake takes each event once.
        """
        arguments: list[Any] = [
            self._event_limit,
            self._tenant_limit,
            str(tenant_id),
            len(events),
            microseconds(now),
            _encoder.encode(events),
            SLICE_LIFE_SECONDS,
            *visitor_ids,
        ]
        keys = [STREAM, WAITING, _slice_key(tenant_id, _slice(now))]
        added = self._redis.ask(lambda client: self._add(keys=keys, args=arguments, client=client))
        return bool(added)


class TrafficQueue:
    """The end that the lake reads. Raises redis.RedisError."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._acknowledge = client.register_script(ACKNOWLEDGE)

    def read(self, entries: int) -> list[Batch]:
        """What was handed out and not acknowledged; when all was, what has come since."""
        return self._read(entries, "0") or self._read(entries, ">")

    def _read(self, entries: int, start: str) -> list[Batch]:
        try:
            found: Any = self._client.xreadgroup(GROUP, CONSUMER, {STREAM: start}, count=entries)
        except redis.ResponseError as error:
            # there is no stream yet, or Redis has started anew
            if "NOGROUP" not in error.args[0]:
                raise
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            found = self._client.xreadgroup(GROUP, CONSUMER, {STREAM: start}, count=entries)
        listed = [self._batch(*entry) for _, of_stream in found for entry in of_stream]
        return [batch for batch in listed if batch is not None]

    def _batch(self, entry_id: bytes, fields: dict[bytes, bytes] | None) -> Batch | None:
        """None for one that is gone or cannot be read: that is kept aside, and the rest goes on."""
        if not fields:
            self._client.xack(STREAM, GROUP, entry_id)
            return None
        tenant_id, count = fields[b"tenant"].decode(), int(fields[b"count"])
        try:
            events = _decoder.decode(fields[b"events"])
        except msgspec.DecodeError as error:
            logger.error("%s storefront events are kept aside as %s: %s", count, UNREADABLE, error)
            kept: dict[Any, Any] = dict(fields)
            self._client.xadd(UNREADABLE, kept, maxlen=UNREADABLE_KEPT, approximate=False)
            self.acknowledge([Batch(entry_id, tenant_id, 0, count, [])])
            return None
        return Batch(entry_id, tenant_id, int(fields[b"received_at"]), count, events)

    def acknowledge(self, batches: Sequence[Batch]) -> None:
        """Take batches out that are in the lake."""
        arguments: list[Any] = [GROUP]
        for batch in batches:
            arguments += (batch.id, batch.tenant_id, batch.count)
        self._acknowledge(keys=[STREAM, WAITING], args=arguments)

    def lag_seconds(self, now: datetime) -> float:
        """The age of the batch that waits longest; 0 when none waits."""
        first: Any = self._client.xrange(STREAM, count=1)
        if not first:
            return 0.0
        put_in_ms = int(first[0][0].split(b"-")[0])
        return max(0.0, now.timestamp() - put_in_ms / 1000)


def count_online(client: redis.Redis, tenant_id: UUID, now: datetime) -> int:
    """Visitors with an event in the last five minutes, to some 1 %: a HyperLogLog per 30 seconds.

    The window begins with a slice, so it is up to 30 seconds longer.
    """
    return counts_online(client, [tenant_id], now)[0]


def counts_online(client: redis.Redis, tenant_ids: Sequence[UUID], now: datetime) -> list[int]:
    """The same of several tenants, in one round trip."""
    current = _slice(now)
    with client.pipeline(transaction=False) as pipeline:
        for tenant_id in tenant_ids:
            keys = [_slice_key(tenant_id, current - back) for back in range(SLICES + 1)]
            pipeline.pfcount(*keys)
        return [int(count) for count in pipeline.execute()]


def _slice(now: datetime) -> int:
    return int(now.timestamp()) // SLICE_SECONDS


def _slice_key(tenant_id: UUID, number: int) -> str:
    return f"{ONLINE}:{tenant_id}:{number}"
