"""Attempts counted in Redis, under keys that tell nobody whose they are.

Belongs here: counting attempts at something, taking them back, and remembering from where one
succeeded. Does not: attempts at what, and their limits (domains).
"""

import hmac
import logging
from dataclasses import dataclass
from typing import Any

import redis

from shop_api.db.outages import describe

# Counts an attempt under each key; how many seconds to wait when one is past its limit, else 0.
COUNT_ATTEMPT = """
local wait = 0
for i, key in ipairs(KEYS) do
    local count = redis.call('INCR', key)
    if count == 1 then redis.call('EXPIRE', key, ARGV[1]) end
    if count > tonumber(ARGV[i + 1]) then wait = math.max(wait, redis.call('TTL', key), 1) end
end
return wait
"""
# Takes an attempt back.
TAKE_BACK = """
for _, key in ipairs(KEYS) do
    if redis.call('EXISTS', key) == 1 then redis.call('DECR', key) end
end
"""
IS_REMEMBERED = "return redis.call('EXISTS', KEYS[1])"
REMEMBER = "redis.call('SET', KEYS[1], 1, 'EX', ARGV[1])"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempts:
    """Attempts of one sort. While Redis is away nothing is counted, and nothing remembered."""

    client: redis.Redis
    secret_key: bytes
    # what is attempted, as logs say it: "sign-in"
    sort: str
    window_seconds: int

    def key(self, kind: str, value: str) -> str:
        """Where attempts of a value are counted; no address stands in Redis in the clear."""
        text = f"{self.sort}\0{kind}\0{value}"
        digest = hmac.digest(self.secret_key, text.encode(), "sha256")
        return f"{self.sort.replace('-', '_')}:{kind}:{digest.hex()[:32]}"

    def count(self, limits: dict[str, int]) -> int:
        """Count an attempt under each key; how many seconds to wait when one is past its limit."""
        return self._run(COUNT_ATTEMPT, list(limits), self.window_seconds, *limits.values())

    def take_back(self, *keys: str) -> None:
        """Count one less under each key."""
        self._run(TAKE_BACK, list(keys))

    def remember(self, key: str, seconds: int) -> None:
        """Have the key remembered for so long."""
        self._run(REMEMBER, [key], seconds)

    def is_remembered(self, key: str) -> bool:
        """Whether it is."""
        return bool(self._run(IS_REMEMBERED, [key]))

    def _run(self, script: str, keys: list[str], *arguments: int) -> int:
        try:
            found: Any = self.client.eval(script, len(keys), *keys, *map(str, arguments))
        except redis.RedisError as error:
            logger.warning("%ss are not counted: %s", self.sort, describe(error))
            return 0
        return int(found or 0)
