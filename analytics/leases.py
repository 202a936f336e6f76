"""Words of readers that they read some versions of the lake, which the housekeeping heeds.

Belongs here: taking a lease, renewing it while it is held, and what leases name. Does not: deleting
files (pipelines).

A lease is a small object in the lake, written anew every RENEW_SECONDS. Who died does not write it,
so it ends by itself: its age is told by the store's own clock. Where the reader has no right to
write, or the store is away, it reads without, and tries again when it would renew: replaced files
still stay for as long as the settings say.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec

from analytics.lake import Snapshot
from analytics.manifest import FOLDER
from analytics.store import Store

LEASES = f"{FOLDER}/leases"
RENEW_SECONDS = 60.0
# Four renewals may fail.
LEASE = timedelta(minutes=5)
# Where the housekeeping writes to have the store's own time.
CLOCK = f"{FOLDER}/clock"
# A lease of a hundred snapshots is smaller; nobody need read what else may lie there.
LEASE_BYTES = 256 * 1024
logger = logging.getLogger(__name__)


class Lease(msgspec.Struct, frozen=True):
    """The versions that one reader reads."""

    snapshots: list[Snapshot]


class Leases:
    """The snapshots that this process reads, in one lease. Safe to share between threads."""

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self.key = f"{LEASES}/{owner}/{uuid4()}.json"
        self._held: Counter[int] = Counter()
        self._snapshots: dict[int, Snapshot] = {}
        # the ids that the written lease names
        self._written: frozenset[int] = frozenset()
        # of the monotonic clock: until then nothing is written, after a write that failed
        self._refused_until: float | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    @contextmanager
    def held(self, snapshot: Snapshot) -> Iterator[None]:
        """Until this is left, what the snapshot names is not deleted."""
        self.take(snapshot)
        try:
            yield
        finally:
            self.release(snapshot)

    def take(self, snapshot: Snapshot) -> None:
        """Hold a snapshot until it is released as often as it was taken."""
        with self._lock:
            self._held[snapshot.id] += 1
            self._snapshots[snapshot.id] = snapshot
            is_due = self._refused_until is None or time.monotonic() >= self._refused_until
            if snapshot.id not in self._written and is_due:
                self._write()
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, name="lake-leases", daemon=True)
                self._thread.start()

    def release(self, snapshot: Snapshot) -> None:
        """The lease names it until it is next renewed: the next statement may read it too."""
        with self._lock:
            self._held[snapshot.id] -= 1

    def forget(self, snapshot: Snapshot) -> None:
        """Name it no more: what it had cannot be read, and is not worth keeping."""
        with self._lock:
            self._snapshots.pop(snapshot.id, None)
            if snapshot.id in self._written:
                self._write()

    def close(self) -> None:
        """End the lease."""
        self._stopped.set()
        with self._lock:
            if self._written:
                self._delete()

    def _renew(self) -> None:
        while not self._stopped.wait(RENEW_SECONDS):
            with self._lock:
                if self._stopped.is_set():
                    return
                self._held += Counter()
                self._snapshots = {
                    id_: seen for id_, seen in self._snapshots.items() if id_ in self._held
                }
                if self._held:
                    self._write()
                elif self._written:
                    self._delete()

    def _write(self) -> None:
        lease = Lease(list(self._snapshots.values()))
        try:
            self._store.write(self.key, msgspec.json.encode(lease))
        except OSError as error:
            if self._refused_until is None:
                logger.warning("reading the lake without a lease: %s", error)
            self._refused_until = time.monotonic() + RENEW_SECONDS
        else:
            self._written = frozenset(self._snapshots)
            self._refused_until = None

    def _delete(self) -> None:
        self._written = frozenset()
        try:
            self._store.delete(self.key)
        except OSError as error:
            logger.warning("a lease of the lake is left to end by itself: %s", error)


def leased_versions(store: Store) -> Mapping[str, Mapping[int, datetime]]:
    """The versions of each table that readers hold, with the latest `as_of` of their snapshots;
    leases that have ended are cleared away."""
    found: dict[str, dict[int, datetime]] = {}
    leases = list(store.listing(LEASES))
    oldest = store.now(CLOCK) - LEASE if leases else None
    for listed in leases:
        if oldest is not None and listed.modified_at < oldest:
            store.delete(listed.key)
            continue
        if listed.size_bytes > LEASE_BYTES:
            logger.warning("%s is no lease: it has %d bytes", listed.key, listed.size_bytes)
            continue
        try:
            lease = msgspec.json.decode(store.read(listed.key), type=Lease)
        except FileNotFoundError:
            continue
        except msgspec.DecodeError as error:
            logger.warning("%s is no lease: %s", listed.key, error)
            continue
        for snapshot in lease.snapshots:
            for table, version in snapshot.versions.items():
                held = found.setdefault(table, {})
                held[version] = max(snapshot.as_of, held.get(version, snapshot.as_of))
    return found
