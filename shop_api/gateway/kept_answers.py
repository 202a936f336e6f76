"""Whole answers in a process's memory, the least recently used of which is forgotten.

Belongs here: keeping and finding within bytes. Does not: whether an answer may be used
(response_cache.py).
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shop_api.kernel.exchange import Answer
from shop_api.kernel.principal import Principal

# of an answer besides its texts: three compressed forms with headers of their own, the key, who
# asked; measured 2.5 KB without forms, 7 KB with them
ENTRY_OVERHEAD_BYTES = 8192
# of keys that were asked for once: 6 MB
MAX_ASKED = 100_000
CACHE_STATUS = "Cache-Status"
# of what is no GET
METHOD = (CACHE_STATUS, "shop-api; fwd=method")
LONG_AGO = datetime.min.replace(tzinfo=UTC)

# the audience, the version of the API, the path, the query
Key = tuple[str, str, str, str]


@dataclass(slots=True, eq=False)
class KeptAnswer:
    """An answer, what it was made from, and how it was asked for."""

    answer: Answer
    version: str
    until: datetime
    # from then on one request makes it anew while the others are given this one
    refresh_at: datetime
    asked_at: datetime
    route: str | None
    follows_lake: bool
    # who asked, and for what: to ask again after a snapshot
    principal: Principal
    api_version: str
    path: str
    query: str
    is_refreshing: bool = False
    # as of which question it could not be made again by itself
    given_up_at: datetime = LONG_AGO
    # as it was last given, and between when its Cache-Status stays the same
    _given: Answer | None = None
    _given_after: datetime = LONG_AGO
    _given_until: datetime = LONG_AGO

    @property
    def size_bytes(self) -> int:
        """Of the body with its compressed forms, of path and query, as they were sent and in the
        key, of the headers, and what goes with them."""
        assert isinstance(self.answer.body, bytes)
        texts = len(self.path) + len(self.query)
        headers = sum(len(name) + len(value) for name, value in self.answer.headers)
        return (len(self.answer.body) + texts + headers) * 2 + ENTRY_OVERHEAD_BYTES

    def give(self, now: datetime) -> Answer:
        """The answer as a client gets it, with its compressed forms if it was given before."""
        given = self._given
        if given is not None and self._given_after < now <= self._given_until:
            return given
        seconds = int((self.until - now).total_seconds())
        status = (CACHE_STATUS, f"shop-api; hit; ttl={seconds}; detail=memory")
        fresh = Answer(200, [*self.answer.headers, status], self.answer.body)
        if given is not None:
            fresh.forms = {
                coding: Answer(form.status, with_status(form.headers, status), form.body)
                for coding, form in list(given.forms.items())
            }
        # between the two another thread may give the old one for a second more or less
        self._given_until = self.until - timedelta(seconds=seconds)
        self._given_after = self._given_until - timedelta(seconds=1)
        self._given = fresh
        return fresh


def with_status(headers: list[tuple[str, str]], status: tuple[str, str]) -> list[tuple[str, str]]:
    """The headers with another Cache-Status."""
    return [status if header[0] == CACHE_STATUS else header for header in headers]


class KeptAnswers:
    """An LRU bounded in bytes, in the order in which its entries were asked for, as far as that is
    not turned round by how long a request takes."""

    def __init__(self, limit_bytes: int, *, keeps_first: bool = False) -> None:
        self.limit_bytes = limit_bytes
        self.keeps_first = keeps_first
        self.size_bytes = 0
        self._entries: OrderedDict[Key, KeptAnswer] = OrderedDict()
        self._lock = threading.Lock()
        # the one found last: the same again and again needs no place of its own
        self._last: KeptAnswer | None = None
        # the answer last kept under a key, whether it may still be used or not
        self.find: Callable[[Key], KeptAnswer | None] = self._entries.get
        # hashes of keys that were asked for
        self._asked: set[int] = set()

    def is_wanted(self, key: Key) -> bool:
        """Whether to keep what is asked for now: from the second time on, as far as the first is
        remembered, or from the first."""
        name = hash(key)
        if self.keeps_first or name in self._asked:
            return True
        if len(self._asked) >= MAX_ASKED:
            self._asked.clear()
        self._asked.add(name)
        return False

    def use(self, key: Key, entry: KeptAnswer, now: datetime) -> None:
        """An answer was used: it is the last to be forgotten."""
        entry.asked_at = now
        if entry is not self._last:
            with self._lock:
                # another one, if it was made again meanwhile
                found = self._entries.get(key)
                if found is not None:
                    found.asked_at = now
                    self._entries.move_to_end(key)
                self._last = found

    def keep(self, key: Key, entry: KeptAnswer) -> None:
        """Keep an answer in the place of the one before it; not one that is larger than all."""
        if entry.size_bytes > self.limit_bytes:
            return
        with self._lock:
            self._last = None
            old = self._entries.pop(key, None)
            self._put(key, entry, old)

    def replace(self, key: Key, entry: KeptAnswer) -> None:
        """Keep an answer that nobody asked for in the place of the one before it, if that is still
        there: what was asked for since stays before it."""
        if entry.size_bytes > self.limit_bytes:
            return
        with self._lock:
            old = self._entries.get(key)
            if old is not None:
                entry.asked_at = old.asked_at
                self._put(key, entry, old)
                if self._last is old:
                    self._last = entry

    def _put(self, key: Key, entry: KeptAnswer, old: KeptAnswer | None) -> None:
        if old is not None:
            self.size_bytes -= old.size_bytes
        self._entries[key] = entry
        self.size_bytes += entry.size_bytes
        while self.size_bytes > self.limit_bytes:
            _, evicted = self._entries.popitem(last=False)
            self.size_bytes -= evicted.size_bytes

    def __len__(self) -> int:
        return len(self._entries)

    def asked_after(self, since: datetime) -> list[KeptAnswer]:
        """The answers asked for after `since`, the last asked first; looks at no others."""
        found = []
        with self._lock:
            for entry in reversed(self._entries.values()):
                if entry.asked_at <= since:
                    break
                found.append(entry)
        return found
