"""Answers kept in process memory, each with the version of what it was made from.

Belongs here: keeping, finding and forgetting whole answers. Does not: deciding what may be kept (an
endpoint grants it) nor what version is current (`current_version`, wired in app.py). A kept answer
never enters Flask.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shop_api.kernel.exchange import Answer, Exchange, Stage

# What `dependency` is at now for a tenant; None when it is not known, and nothing is used.
CurrentVersion = Callable[[str, UUID], str | None]

ENTRY_OVERHEAD_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept answer and what it depends on."""

    answer: Answer
    dependency: str
    version: str
    until: datetime
    route: str | None
    size_bytes: int


class ResponseCache:
    """An LRU of answers bounded in bytes; the key holds tenant, scopes, path and query."""

    def __init__(self, forward: Stage, current_version: CurrentVersion, limit_bytes: int) -> None:
        self.forward = forward
        self.current_version = current_version
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self._entries: OrderedDict[tuple[object, ...], Entry] = OrderedDict()
        self._lock = threading.Lock()
        # the one given last
        self._last: Entry | None = None

    def __call__(self, exchange: Exchange) -> Answer:
        principal = exchange.principal
        if principal is None or exchange.method != "GET":
            return self.forward(exchange)
        key = (
            principal.tenant_id,
            principal.scopes,
            exchange.path,
            exchange.environ.get("QUERY_STRING", ""),
        )
        entry = self._entries.get(key)
        if entry is not None and self._is_current(entry, exchange, principal.tenant_id):
            if entry is not self._last:
                # the same answer again and again needs no place of its own
                with self._lock:
                    if key in self._entries:
                        self._entries.move_to_end(key)
                    self._last = entry
            exchange.cache_status = "hit"
            exchange.route = entry.route
            return entry.answer
        answer = self.forward(exchange)
        grant = exchange.cache_grant
        if grant is not None and answer.status == 200 and isinstance(answer.body, bytes):
            exchange.cache_status = "miss"
            answer.headers.append(("Cache-Status", "shop-api; fwd=miss"))
            kept = Answer(
                200, [*answer.headers[:-1], ("Cache-Status", "shop-api; hit")], answer.body
            )
            size = len(answer.body) * 2 + ENTRY_OVERHEAD_BYTES
            self._keep(
                key,
                Entry(kept, grant.dependency, grant.version, grant.until, exchange.route, size),
            )
        return answer

    def _is_current(self, entry: Entry, exchange: Exchange, tenant_id: UUID) -> bool:
        return (
            exchange.started_at < entry.until
            and self.current_version(entry.dependency, tenant_id) == entry.version
        )

    def _keep(self, key: tuple[object, ...], entry: Entry) -> None:
        if entry.size_bytes > self.limit_bytes:
            return
        with self._lock:
            self._last = None
            old = self._entries.pop(key, None)
            if old is not None:
                self.size_bytes -= old.size_bytes
            self._entries[key] = entry
            self.size_bytes += entry.size_bytes
            while self.size_bytes > self.limit_bytes:
                _, evicted = self._entries.popitem(last=False)
                self.size_bytes -= evicted.size_bytes
