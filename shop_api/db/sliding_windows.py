"""How often something happened lately, counted in Redis for all processes.

Belongs here: the sliding window and its one script. Does not: what is counted, nor what a process
takes in advance (gateway/leases.py).

Time is cut into windows; the count of the last `window_seconds` is that of the present window and,
of the one before, the share that is still within reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.rate_limits import Quota

# KEYS: of each scope the counter of the present window and of the one before. ARGV: now in
# milliseconds, then of each scope the window in milliseconds, the limit and how many are wanted.
# Answers, of each scope: how many were taken, how many are free now, and both counters. When a
# scope has none free, nothing is taken of any. Sent again because its connection was closed, it may
# take twice: a limit is then reached the earlier by one batch, and never passed.
TAKE = """
local now = tonumber(ARGV[1])
local counts = redis.call('MGET', unpack(KEYS))
local free, refused = {}, false
for i = 1, #KEYS / 2 do
    local window, limit = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
    local current, previous = tonumber(counts[2 * i - 1] or 0), tonumber(counts[2 * i] or 0)
    free[i] = limit - current - math.floor(previous * (window - now % window) / window)
    refused = refused or free[i] < 1
end
local answer = {}
for i = 1, #free do
    local taken = 0
    if not refused then
        taken = math.min(tonumber(ARGV[3 * i + 1]), free[i])
        redis.call('INCRBY', KEYS[2 * i - 1], taken)
        redis.call('PEXPIRE', KEYS[2 * i - 1], 2 * tonumber(ARGV[3 * i - 1]))
    end
    local current, previous = tonumber(counts[2 * i - 1] or 0), tonumber(counts[2 * i] or 0)
    for _, value in ipairs({taken, free[i] - taken, current + taken, previous}) do
        answer[#answer + 1] = value
    end
end
return answer
"""

PREFIX = "rate"


@dataclass(frozen=True, slots=True)
class Want:
    """How many are wanted of a quota; `scope` says whose it is."""

    scope: str
    quota: Quota
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """What there was of it: `taken` of those wanted, and `free` for others.

    When nothing is free, one will be after `wait_seconds`.
    """

    taken: int
    free: int
    wait_seconds: float


class SlidingWindows:
    """Counts of all processes in one Redis. Raises RedisAway while it cannot be asked."""

    def __init__(self, client: RequestRedis) -> None:
        self._redis = client
        self._take = client.client.register_script(TAKE)

    def take(self, wants: Sequence[Want], now: float) -> list[Share]:
        """Take of all what is wanted, as far as it is there, or of none when one has nothing."""
        # rounded: of a sum like 70.938 + 0.827 a float is a hair short of the millisecond it names
        now_ms = round(now * 1000)
        keys: list[str] = []
        arguments: list[int] = [now_ms]
        for want in wants:
            window_ms = want.quota.window_seconds * 1000
            number = now_ms // window_ms
            name = f"{PREFIX}:{want.scope}:{want.quota.name}:{window_ms}"
            keys += (f"{name}:{number}", f"{name}:{number - 1}")
            arguments += (window_ms, want.quota.limit, want.count)
        counts: list[Any] = self._redis.ask(
            lambda client: self._take(keys=keys, args=arguments, client=client)
        )
        return [
            Share(taken, max(0, free), _wait_seconds(want.quota, now_ms, current, previous))
            for want, taken, free, current, previous in zip(
                wants, counts[0::4], counts[1::4], counts[2::4], counts[3::4], strict=True
            )
        ]


def _wait_seconds(quota: Quota, now_ms: int, current: int, previous: int) -> float:
    """Until one of the quota is free, if nothing is taken meanwhile."""
    window_ms = quota.window_seconds * 1000
    left_ms = window_ms - now_ms % window_ms
    if current < quota.limit:
        # so much of the window before must be out of reach that its share is below what is left
        bound_ms = _share_below(quota.limit - current, previous, window_ms)
        return max(0, left_ms - bound_ms) / 1000
    # in the next window the present one is the one before
    bound_ms = _share_below(quota.limit, current, window_ms)
    return (left_ms + window_ms - bound_ms) / 1000


def _share_below(count: int, previous: int, window_ms: int) -> int:
    """The most milliseconds of the window before in reach at which its share is below `count`."""
    if previous < count:
        return window_ms
    return ceil(count * window_ms / previous) - 1
