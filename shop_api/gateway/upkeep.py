"""What a process does for its kept answers beside requests: hear of purges, and make the figures
and lists that were asked for of late again when the lake has moved on.

Belongs here: the threads, and their bounds. Does not: how an answer is made or kept.
"""

import logging
import sys
import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.deadlines import deadline
from shop_api.db.outages import describe, outage_error
from shop_api.gateway.kept_answers import LONG_AGO, KeptAnswer
from shop_api.gateway.response_cache import LakeVersion, ResponseCache
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError, ErrorKind
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
    """The threads of one process; they start with the first request, so that forks have their own.

    Purges have one to themselves: to make an answer again may take as long as a request may.
    """

    def __init__(self, cache: ResponseCache, deadline_seconds: float) -> None:
        self._cache = cache
        self._deadline_seconds = deadline_seconds
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        # of each tenant whose lists were asked for of late, what its figures were made from when
        # last looked at, and until when its lists are made again
        self._snapshots: dict[int, tuple[str | None, datetime]] = {}
        # Postgres did not answer what was last asked of it
        self._is_away = False

    def start(self) -> None:
        """Start the threads if they do not run, knowing the purges."""
        with self._lock:
            if self._threads or self._stopped.is_set():
                return
            self._cache.purges.refresh()
            self._threads = [
                threading.Thread(target=self._keep_warm, name="cache-upkeep", daemon=True),
                threading.Thread(target=self._hear_of_purges, name="cache-purges", daemon=True),
            ]
            for thread in self._threads:
                thread.start()

    def close(self) -> None:
        """End the threads."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _hear_of_purges(self) -> None:
        while not self._stopped.wait(PURGE_SECONDS):
            try:
                self._cache.purges.refresh()
            except Exception:
                logger.exception("the purges cannot be read, they are asked for again")

    def _keep_warm(self) -> None:
        pause = LOOK_SECONDS
        while not self._stopped.wait(pause):
            started = time.monotonic()
            try:
                self.warm(utc_now())
            except Exception:
                logger.exception("the upkeep of kept answers failed, it goes on")
            worked = time.monotonic() - started
            pause = max(LOOK_SECONDS, worked / WORKING_SHARE - worked)

    def warm(self, now: datetime) -> int:
        """Make again what was asked for of late and is old; how many. Figures always, lists only
        after a snapshot of their tenant."""
        asked = self._cache.kept.asked_after(now - RECENT)
        lake_version = cache(self._cache.lake_version)
        moved = self._moved(asked, lake_version, now)
        count, lists, may_ask_postgres = 0, Counter[int](), True
        for entry in asked:
            tenant = entry.principal.tenant_id.int
            if not entry.follows_lake and tenant not in moved:
                continue
            if count >= MAX_WARMED or self._stopped.is_set():
                break
            if entry.asked_at <= entry.given_up_at:
                continue
            if not entry.follows_lake:
                if not may_ask_postgres or lists[tenant] >= MAX_LISTS:
                    continue
                lists[tenant] += 1
            if self._is_old(entry, lake_version):
                self._ask_again(entry, now)
                count += 1
                if not entry.follows_lake and self._is_away:
                    # the figures behind it need no Postgres; the lists have the next look
                    may_ask_postgres = False
        return count

    def _moved(self, asked: list[KeptAnswer], lake_version: LakeVersion, now: datetime) -> set[int]:
        """The tenants of these lists whose figures have changed within LIST_TIME."""
        # by number: to hash a UUID is Python, 15 000 times a look
        tenants = {
            entry.principal.tenant_id.int: entry.principal.tenant_id
            for entry in asked
            if not entry.follows_lake
        }
        snapshots = {}
        for tenant, tenant_id in tenants.items():
            version = lake_version(tenant_id)
            seen, until = self._snapshots.get(tenant, (version, LONG_AGO))
            snapshots[tenant] = (version, until if seen == version else now + LIST_TIME)
        self._snapshots = snapshots
        return {tenant for tenant, (_, until) in snapshots.items() if now < until}

    def _is_old(self, entry: KeptAnswer, lake_version: LakeVersion) -> bool:
        tenant_id = entry.principal.tenant_id
        if entry.follows_lake:
            version = lake_version(tenant_id)
        else:
            policy = self._cache.find_policy(entry.path)
            # it was kept by one
            assert policy is not None
            resources = policy.resources(entry.principal.scopes)
            version = self._cache.versions.find(tenant_id, resources)
        epoch = self._cache.purges.epoch(tenant_id, entry.path)
        return version is not None and entry.version != epoch + version

    def _ask_again(self, entry: KeptAnswer, now: datetime) -> None:
        exchange = Exchange(environ_of(entry), "GET", entry.path, now, request_id="upkeep")
        exchange.principal, exchange.api_version = entry.principal, entry.api_version
        exchange.is_repeat = True
        try:
            with deadline.within(self._deadline_seconds):
                self._cache(exchange)
        except DomainError as error:
            logger.info("a kept answer is not made again: %s", error.code)
        except (DBAPIError, PoolTimeoutError) as error:
            self._tell(error)
        except Exception:
            logger.exception("a kept answer cannot be made again")
        else:
            if not entry.follows_lake:
                self._is_away = False
            return
        # whoever asks for it is told
        entry.given_up_at = entry.asked_at

    def _tell(self, error: DBAPIError | PoolTimeoutError) -> None:
        """Log what Postgres did instead of answering; that it is away once."""
        known = outage_error(error)
        if known is None:
            logger.error("a kept answer cannot be made again", exc_info=error)
        elif known.kind is not ErrorKind.UNAVAILABLE:
            logger.info("a kept answer is not made again: %s", known.code)
        elif not self._is_away:
            self._is_away = True
            logger.warning("kept lists are not made again meanwhile: %s", describe(error))


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
