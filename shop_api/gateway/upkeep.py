"""What a process does for its kept answers beside requests: hear of purges, and make the figures
and lists that were asked for of late again when the lake has moved on.

Belongs here: the thread, and its bounds. Does not: how an answer is made or kept.
"""

import logging
import sys
import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

from shop_api.gateway.kept_answers import LONG_AGO, KeptAnswer, Key
from shop_api.gateway.response_cache import ResponseCache
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError
from shop_api.kernel.exchange import Exchange

LOOK_SECONDS = 0.5
PURGE_SECONDS = 1.0
# Answers asked for within this time are made again, the last asked first, at most so many a look.
RECENT = timedelta(minutes=10)
MAX_WARMED = 50
# Of lists the last asked, of each tenant, for so long after its snapshot: what that says of
# products is written to them a moment later. Otherwise a list is old whenever somebody writes.
MAX_LISTS = 10
LIST_TIME = timedelta(seconds=10)
# The rest of the time between looks is left to who asks: a busy shop moves on every few seconds.
WORKING_SHARE = 0.2

logger = logging.getLogger(__name__)


class Upkeep:
    """The thread of one process; it starts with the first request, so that forks have their own."""

    def __init__(self, cache: ResponseCache) -> None:
        self._cache = cache
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # of each tenant what its figures were made from when last looked at, and until when its
        # lists are made again
        self._snapshots: dict[UUID, tuple[str | None, datetime]] = {}

    def start(self) -> None:
        """Start the thread if it does not run, knowing the purges."""
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._cache.purges.refresh()
                self._thread = threading.Thread(target=self._run, name="cache-upkeep", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        pause, next_purges = LOOK_SECONDS, 0.0
        while not self._stopped.wait(pause):
            started = time.monotonic()
            try:
                if started >= next_purges:
                    self._cache.purges.refresh()
                    next_purges = started + PURGE_SECONDS
                self.warm(utc_now())
            except Exception:
                logger.exception("the upkeep of kept answers failed, it goes on")
            worked = time.monotonic() - started
            pause = max(LOOK_SECONDS, worked / WORKING_SHARE - worked)

    def warm(self, now: datetime) -> int:
        """Make again what was asked for of late and is old; how many. Figures always, lists only
        after a snapshot of their tenant."""
        count, lists = 0, Counter[UUID]()
        for key, entry in self._cache.kept.newest_first():
            if count >= MAX_WARMED or self._stopped.is_set():
                break
            if entry.asked_at <= now - RECENT:
                continue
            if not entry.follows_lake:
                tenant_id = entry.principal.tenant_id
                if not self._has_moved(tenant_id, now) or lists[tenant_id] >= MAX_LISTS:
                    continue
                lists[tenant_id] += 1
            if self._is_old(entry):
                self._ask_again(key, entry, now)
                count += 1
        return count

    def _has_moved(self, tenant_id: UUID, now: datetime) -> bool:
        """Whether the tenant's figures have changed within LIST_TIME."""
        version = self._cache.lake_version(tenant_id)
        seen, until = self._snapshots.get(tenant_id, (version, LONG_AGO))
        if seen != version:
            until = now + LIST_TIME
        self._snapshots[tenant_id] = (version, until)
        return now < until

    def _is_old(self, entry: KeptAnswer) -> bool:
        tenant_id, policy = entry.principal.tenant_id, self._cache.find_policy(entry.path)
        if entry.follows_lake or policy is None:
            version = self._cache.lake_version(tenant_id)
        else:
            resources = policy.resources(entry.principal.scopes)
            version = self._cache.versions.find(tenant_id, resources)
        epoch = self._cache.purges.epoch(tenant_id, entry.path)
        return version is not None and entry.version != epoch + version

    def _ask_again(self, key: Key, entry: KeptAnswer, now: datetime) -> None:
        exchange = Exchange(environ_of(entry), "GET", entry.path, now, request_id="upkeep")
        exchange.principal, exchange.api_version = entry.principal, entry.api_version
        try:
            self._cache(exchange)
        except DomainError as error:
            # whoever asks for it is told
            logger.info("a kept answer is not made again: %s", error.code)
            entry.asked_at = LONG_AGO
            return
        fresh = self._cache.kept.find(key)
        if fresh is not None:
            # by a client: this was no question
            fresh.asked_at = entry.asked_at


def environ_of(entry: KeptAnswer) -> dict[str, Any]:
    """The WSGI environment of the request for an answer, without what its client was."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": entry.path,
        "QUERY_STRING": entry.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
