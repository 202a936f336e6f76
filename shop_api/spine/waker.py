"""Telling of a commit: kept answers, before the client is answered, and the spine's readers.

Belongs here: NOTIFY, having versions replaced and positions noted. Does not: reading (relay.py). A
NOTIFY inside the mutation would hold Postgres's database-wide notification lock over its commit, so
that all writers commit one after the other; here one thread per process notifies after the commit,
many commits at once. A wake lost in a crash costs the readers one polling interval, never an event.
"""

import logging
import threading
from collections.abc import Iterable, Set
from uuid import UUID

import psycopg

from shop_api.db.outages import describe
from shop_api.db.read_routing import WrittenPositions
from shop_api.db.replica import STALE_SECONDS
from shop_api.db.request_redis import RequestRedis
from shop_api.settings import Settings
from shop_api.spine.resources import Touch
from shop_api.spine.versions import ResourceVersions

CHANNEL = "spine"
# Commits within this time share one NOTIFY; it bounds what waking adds to commit → socket.
COALESCE_SECONDS = 0.005
RETRY_SECONDS = 1.0
# Until a Redis that could not be told of positions is tried again; one that is away is asked once a
# second (request_redis.py).
OWED_SECONDS = 0.1

logger = logging.getLogger(__name__)


class Waker:
    """Notifies `spine` after commits, from a thread that starts with the first wake."""

    def __init__(
        self, url: str, versions: ResourceVersions, positions: WrittenPositions | None = None
    ) -> None:
        self._url = url
        self.versions = versions
        # None: there is no replica that could lack what was written
        self.positions = positions
        self._due = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def tell(
        self,
        touched: Set[Touch],
        *,
        has_events: bool,
        tenant_ids: Iterable[UUID] = (),
        position: int | None = None,
    ) -> None:
        """A unit of these tenants has committed before a position in the write-ahead log.

        The wake comes first: while this process waits for a Redis that it cannot reach, the relay
        tells the same. Then the position: who reads a new version must not fetch what belongs to it
        from a replica that lacks it.
        """
        if has_events:
            self.wake()
        if self.positions is not None and position is not None:
            for tenant_id in tenant_ids:
                self.positions.note(tenant_id, position)
        if touched:
            self.versions.touch(touched)
        if self._owes():
            self.wake()

    def wake(self) -> None:
        """Ask for a NOTIFY soon; returns at once."""
        self._due.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                    self._thread.start()

    def stop(self) -> None:
        """Send what is due and end the thread."""
        self._stopped.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    self._notify(connection)
            except psycopg.Error as error:
                # what was due when the connection broke is still due
                self._due.set()
                logger.warning("cannot notify, readers fall back to polling: %s", describe(error))
                self._stopped.wait(RETRY_SECONDS)

    def _notify(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        while True:
            owes = self._owes()
            if self._due.wait(OWED_SECONDS if owes else None):
                self._due.clear()
                connection.execute(f"NOTIFY {CHANNEL}")
                if self._stopped.is_set():
                    return
                self._stopped.wait(COALESCE_SECONDS)
            if owes and self.positions is not None:
                self.positions.tell_owed()

    def _owes(self) -> bool:
        return self.positions is not None and self.positions.owes


def make_waker(settings: Settings, requests: RequestRedis) -> Waker:
    """The waker of a process that writes to the stores of the settings."""
    positions = None
    if settings.database_read_url is not None:
        positions = WrittenPositions(requests, settings.replica_lag_seconds + STALE_SECONDS)
    return Waker(str(settings.database_url), ResourceVersions(requests), positions)
