"""Answers in Redis, for all processes, and who of them is making one.

Belongs here: finding, storing, and the lease of whoever makes an answer. Does not: waiting for it
(single_flight.py).

A lease is short and renewed while its holder works, so that another takes over soon when it is
killed. Values are compressed and bounded, and expire with the answer.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import blake2b

import msgspec
import zstandard

from shop_api.db.request_redis import RedisAway, RequestRedis
from shop_api.kernel.exchange import Answer, CacheGrant, CacheSlot
from shop_api.metrics.definitions import response_cache_requests

count_hit = response_cache_requests.labels("redis", "hit").inc
count_miss = response_cache_requests.labels("redis", "miss").inc

LEASE_SECONDS = 3.0
COMPRESS_FROM_BYTES = 1024
# hex of the digest of a version; then the milliseconds until which the answer may be kept
VERSION_LENGTH = 32
UNTIL_LENGTH = 14

# The answer of a version that lasts beyond ARGV[2]; else the lease, if nobody has it, or this token
# has: the script is sent again when its connection was closed before the answer.
FIND_OR_CLAIM = f"""
local head = redis.call('GETRANGE', KEYS[1], 0, {VERSION_LENGTH + UNTIL_LENGTH - 1})
if string.sub(head, 1, {VERSION_LENGTH}) == ARGV[1]
    and tonumber(string.sub(head, {VERSION_LENGTH + 1})) > tonumber(ARGV[2]) then
    return {{'found', redis.call('GET', KEYS[1])}}
end
if redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4])
    or redis.call('GET', KEYS[2]) == ARGV[3] then
    return {{'claimed'}}
end
return {{'busy'}}
"""
RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class StoredAnswer(msgspec.Struct, array_like=True):
    """What is stored after the head."""

    version: str
    made_at: float
    route: str | None
    headers: list[tuple[str, str]]
    is_compressed: bool
    body: bytes


class State(Enum):
    """What asking came to."""

    FOUND = "found"
    # this process is to make the answer, and holds the lease
    CLAIMED = "claimed"
    # another process is at it
    BUSY = "busy"
    # Redis is away: every process for itself
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking came to, and the answer that was found."""

    state: State
    answer: Answer | None = None
    route: str | None = None
    grant: CacheGrant | None = None
    lease: str = ""


class RedisAnswers:
    """The second layer."""

    def __init__(self, client: RequestRedis, limit_bytes: int) -> None:
        self._redis = client
        self.limit_bytes = limit_bytes
        self._find_or_claim = client.client.register_script(FIND_OR_CLAIM)
        self._release = client.client.register_script(RELEASE)
        self._renewer = LeaseRenewer(client)

    def find_or_claim(self, slot: CacheSlot, beyond: datetime) -> Asked:
        """The answer of the slot's version that lasts beyond an instant; else the lease for it."""
        token = secrets.token_hex(8)
        keys = [f"answer:{slot.digest}", f"lease:{slot.digest}"]
        arguments: list[str | int] = [
            _digest(slot),
            _milliseconds(beyond),
            token,
            int(LEASE_SECONDS * 1000),
        ]
        try:
            state, *values = self._redis.ask(
                lambda _: self._find_or_claim(keys=keys, args=arguments)
            )
        except RedisAway:
            return Asked(State.AWAY)
        if state == b"found":
            count_hit()
            return _read(values[0])
        if state == b"claimed":
            count_miss()
        return Asked(State(state.decode()), lease=token)

    @contextmanager
    def held(self, slot: CacheSlot, lease: str) -> Iterator[None]:
        """Hold a lease that was claimed until the block ends."""
        key = f"lease:{slot.digest}"
        self._renewer.add(key, lease)
        try:
            yield
        finally:
            self._renewer.remove(key)
            # where Redis is away, it expires
            with suppress(RedisAway):
                self._redis.ask(lambda _: self._release(keys=[key], args=[lease]))

    def store(
        self, slot: CacheSlot, answer: Answer, grant: CacheGrant, route: str | None, now: datetime
    ) -> None:
        """Keep an answer for all processes, if it is not too large."""
        body = answer.body
        assert isinstance(body, bytes)
        is_compressed = len(body) >= COMPRESS_FROM_BYTES
        packed = zstandard.ZstdCompressor(level=1).compress(body) if is_compressed else body
        if len(packed) > self.limit_bytes:
            return
        stored = StoredAnswer(
            grant.version, now.timestamp(), route, answer.headers, is_compressed, packed
        )
        head = f"{_digest(slot, grant.version)}{_milliseconds(grant.until):0{UNTIL_LENGTH}d}"
        value = head.encode() + msgspec.msgpack.encode(stored)
        life = int((grant.until - now).total_seconds() * 1000)
        if life <= 0:
            return
        try:
            self._redis.ask(lambda client: client.set(f"answer:{slot.digest}", value, px=life))
        except RedisAway:
            return

    def close(self) -> None:
        """End the thread that renews."""
        self._renewer.close()


class LeaseRenewer:
    """Renews the leases of this process from a thread that starts with the first."""

    def __init__(self, client: RequestRedis) -> None:
        self._redis = client
        self._script = client.client.register_script(RENEW)
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stopped = threading.Event()

    def add(self, key: str, token: str) -> None:
        """Renew a lease from now on."""
        with self._lock:
            self._held[key] = token
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
        self._wake.set()

    def remove(self, key: str) -> None:
        """Renew a lease no more."""
        with self._lock:
            self._held.pop(key, None)

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait()
            if self._stopped.wait(LEASE_SECONDS / 3):
                return
            with self._lock:
                held = list(self._held.items())
                if not held:
                    self._wake.clear()
            for key, token in held:
                self._renew(key, token)

    def _renew(self, key: str, token: str) -> None:
        life = int(LEASE_SECONDS * 1000)
        # where Redis is away it expires, and who waits for it makes its own
        with suppress(RedisAway):
            self._redis.ask(lambda _: self._script(keys=[key], args=[token, life]))


def _digest(slot: CacheSlot, version: str | None = None) -> str:
    """Of the version that a slot wants, or of the one its answer was made from."""
    full = slot.epoch + (slot.version if version is None else version)
    return blake2b(full.encode(), digest_size=VERSION_LENGTH // 2).hexdigest()


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _read(value: bytes) -> Asked:
    """A stored value as an answer."""
    until = int(value[VERSION_LENGTH : VERSION_LENGTH + UNTIL_LENGTH]) / 1000
    stored = msgspec.msgpack.decode(value[VERSION_LENGTH + UNTIL_LENGTH :], type=StoredAnswer)
    body = stored.body
    if stored.is_compressed:
        body = zstandard.ZstdDecompressor().decompress(body)
    grant = CacheGrant(
        stored.version,
        datetime.fromtimestamp(until, UTC),
        datetime.fromtimestamp(stored.made_at, UTC),
    )
    return Asked(State.FOUND, Answer(200, list(stored.headers), body), stored.route, grant)
