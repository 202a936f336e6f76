"""Which reads the replica may serve: none before it has what the reader's tenant wrote last.

Belongs here: the positions writers leave behind, and the choice. Does not: how far the replica is
(replica.py).
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from threading import Lock
from uuid import UUID

import redis

from shop_api.db.replica import Replica
from shop_api.db.request_redis import RedisAway, RequestRedis

MAX_KEPT = 10_000

# Two processes that write at once may come here in either order.
NOTE = """
for i, key in ipairs(KEYS) do
    local newest = tonumber(redis.call('GET', key) or 0)
    local written = ARGV[i + 1]
    if tonumber(written) > newest then redis.call('SET', key, written, 'PX', ARGV[1]) end
end
"""

_TOKEN = re.compile(r"[0-9a-f]{1,16}")


class WrittenPositions:
    """The newest position at which each tenant wrote: in this process, and in Redis for all.

    Kept for as long as a replica that serves may lack it. What cannot be told now is told before
    this process notes or asks for another, or by its waker; other processes hear of it from the
    relay, as they do of versions (spine/versions.py).
    """

    def __init__(
        self,
        requests: RequestRedis,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests
        self._note = requests.client.register_script(NOTE)
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        # tenant → (position, until)
        self._kept: dict[UUID, tuple[int, float]] = {}
        # whose position this process could not tell
        self._owed: set[UUID] = set()

    def note(self, tenant_id: UUID, position: int) -> None:
        """Something was committed at a position."""
        until = self._clock() + self._seconds
        with self._lock:
            known = self._kept.get(tenant_id)
            if known is None or known[0] < position:
                self._kept[tenant_id] = position, until
            if len(self._kept) > MAX_KEPT:
                self._forget()
        with suppress(RedisAway):
            self._tell({tenant_id})

    def note_in(
        self, pipeline: redis.client.Pipeline, tenant_ids: Collection[UUID], position: int
    ) -> None:
        """As part of a pipeline: all that these tenants have written is before a position."""
        self._set(pipeline, dict.fromkeys(tenant_ids, position))

    @property
    def owes(self) -> bool:
        """Whether something could not be told yet."""
        return bool(self._owed)

    def tell_owed(self) -> None:
        """Try again to tell it."""
        with suppress(RedisAway):
            self._tell(())

    def known_here(self, tenant_id: UUID) -> int:
        """The newest that this process knows of; 0: none of late."""
        known = self._kept.get(tenant_id)
        return 0 if known is None or known[1] < self._clock() else known[0]

    def known_to_all(self, tenant_id: UUID) -> int:
        """The newest of all processes; RedisAway when it cannot be had."""
        if self._owed:
            self._tell(())
        found = self._requests.ask(partial(redis.Redis.get, name=_key(tenant_id)))
        return int(found) if found else 0

    def _tell(self, tenant_ids: Iterable[UUID]) -> None:
        """Tell Redis of these and of those that are owed; RedisAway when it cannot be told."""
        now = self._clock()
        with self._lock:
            told = {
                tenant_id: self._kept[tenant_id]
                for tenant_id in {*tenant_ids, *self._owed}
                if tenant_id in self._kept
            }
        # a replica that serves after its time has replayed it
        due = {tenant_id: position for tenant_id, (position, until) in told.items() if until >= now}
        try:
            if due:
                self._requests.ask(lambda client: self._set(client, due))
        except RedisAway:
            with self._lock:
                self._owed |= due.keys()
            raise
        if self._owed:
            with self._lock:
                # another thread may have written, and not told it, meanwhile
                self._owed -= {
                    tenant_id
                    for tenant_id, entry in told.items()
                    if self._kept.get(tenant_id) == entry
                }

    def _set(self, client: redis.Redis, positions: Mapping[UUID, int]) -> None:
        keys = [_key(tenant_id) for tenant_id in positions]
        life = int(self._seconds * 1000)
        self._note(keys=keys, args=[life, *positions.values()], client=client)

    def _forget(self) -> None:
        now = self._clock()
        kept = {tenant: entry for tenant, entry in self._kept.items() if entry[1] >= now}
        # so many tenants at once: those that wrote first are the first to be replayed
        for tenant_id in list(kept)[: len(kept) - MAX_KEPT // 2]:
            del kept[tenant_id]
        self._kept = kept
        self._owed &= kept.keys()


class ReadRouting:
    """Chooses the replica for a read, or the primary."""

    def __init__(self, replica: Replica, positions: WrittenPositions) -> None:
        self.replica = replica
        self.positions = positions

    def replica_for(self, tenant_id: UUID, token: str | None) -> Replica | None:
        """The replica if it has all that the tenant wrote; None: ask the primary.

        Without Redis, which knows what other processes wrote, it serves those alone who say by
        `token` what they must see.
        """
        replica = self.replica
        wanted = _position(token)
        if wanted is None or not replica.serves(max(wanted, self.positions.known_here(tenant_id))):
            return None
        try:
            return replica if replica.serves(self.positions.known_to_all(tenant_id)) else None
        except RedisAway:
            return replica if token else None


def position_token(position: int) -> str:
    """A position as clients hold it."""
    return f"{position:x}"


def _position(token: str | None) -> int | None:
    """The position of a token, None if it is damaged; without one anything will do."""
    if not token:
        return 0
    return int(token, 16) if _TOKEN.fullmatch(token) else None


def _key(tenant_id: UUID) -> str:
    return f"position:{tenant_id}"
