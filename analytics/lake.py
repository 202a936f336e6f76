"""From a published snapshot to lists of files.

Belongs here: reading the Delta logs of exactly the published versions, and choosing a tenant's
files in code, so that a query can only be handed its own tenant's. Does not: publishing (pipelines)
and queries (engine.py). Nothing here lists folders.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from analytics.contracts import CONTRACTS
from analytics.contracts.contract import OLDER_FILES_UNTIL, OlderFile
from analytics.store import Store

# Versions whose file lists are kept per table: the present one, and those of running queries.
CACHED_VERSIONS = 4
# Before all that a tenant of whom nothing was ever published has done.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# A local day reaches over the edges of its UTC day.
ZONE_SLACK = timedelta(days=1)
LAST_MILLISECOND = 2**63 - 1


class VersionGone(Exception):
    """The log of a table no longer tells of the version of a snapshot that is not the newest."""


@dataclass(frozen=True)
class Snapshot:
    """A published state of the whole lake: one Delta version per table."""

    id: int
    # every commit before this instant is in it
    as_of: datetime
    versions: Mapping[str, int]

    def held_at(self, as_of: datetime | None) -> "Snapshot":
        """What it is to a tenant who has been held back since a snapshot of `as_of`, or ever."""
        return replace(self, as_of=min(self.as_of, as_of or NEVER))


class TableMissing(Exception):
    """The snapshot is of a release that did not have the table; the next export brings it up."""


# (period, path) of a tenant's files, by tenant
FileIndex = dict[str, list[tuple[str, str]]]


class _Table:
    """The file lists of one Delta table, by version."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._path = store.uri(name)
        # of the contract
        self._columns = frozenset(CONTRACTS[name].column_names)
        self._lock = threading.Lock()
        self._table: DeltaTable | None = None
        self._indexes: OrderedDict[int, FileIndex] = OrderedDict()
        # snapshot and version of the newest snapshot seen
        self._newest = (-1, -1)
        # version and tag of the commit read last, by which a table made anew is told
        self._commit: tuple[int, str | None] | None = None

    def index(self, version: int, snapshot_id: int) -> FileIndex:
        """The files of `version`, read from the log once."""
        index = self._indexes.get(version)
        if index is not None and snapshot_id <= self._newest[0]:
            return index
        with self._lock:
            if snapshot_id > self._newest[0]:
                if version < self._newest[1] or not self._is_same_log():
                    # the folder was lost and the table made anew, and its log with it
                    self._table = None
                    self._indexes.clear()
                self._newest = (snapshot_id, version)
            index = self._indexes.get(version)
            if index is None:
                try:
                    index = self._read(version)
                except DeltaError as error:
                    if snapshot_id >= self._newest[0]:
                        raise
                    raise VersionGone(f"{self._path} has no version {version}") from error
                self._indexes[version] = index
                while len(self._indexes) > CACHED_VERSIONS:
                    self._indexes.popitem(last=False)
            return index

    def _is_same_log(self) -> bool:
        """Whether the log still has the commit that was read: one made anew has its own, or none.

        A log also drops commits that are hours old; then the table is read once more than needed.
        """
        known = self._commit
        return known is None or known == self._tagged(known[0])

    def _tagged(self, version: int) -> tuple[int, str | None]:
        return version, self._store.tag(f"{self._name}/_delta_log/{version:020}.json")

    def _read(self, version: int) -> FileIndex:
        if self._table is None:
            self._table = self._open(version)
        elif self._table.version() < version:
            self._table.update_incremental()
        if self._table.version() != version:
            self._table = self._open(version)
        self._commit = self._tagged(version)
        actions = self._table.get_add_actions(flatten=True)
        older_until = self._older_until(self._table)
        index: FileIndex = {}
        for tenant_id, period, path, modified_ms in zip(
            actions.column("partition.tenant_id").to_pylist(),
            actions.column("partition.period").to_pylist(),
            actions.column("path").to_pylist(),
            actions.column("modification_time").to_pylist(),
            strict=True,
        ):
            file = f"{self._path}/{path}"
            if older_until is not None and modified_ms <= older_until:
                file = OlderFile(file)
            index.setdefault(tenant_id, []).append((period, file))
        for files in index.values():
            files.sort()
        return index

    def _older_until(self, table: DeltaTable) -> int | None:
        """The last millisecond in which files were written that may lack columns, if any do.

        A table that lacks columns of the contract is of an earlier release, and all its files are.
        """
        if not self._columns <= {field.name for field in table.schema().fields}:
            return LAST_MILLISECOND
        until = table.metadata().configuration.get(OLDER_FILES_UNTIL)
        return None if until is None else int(until)

    def _open(self, version: int) -> DeltaTable:
        return DeltaTable(self._path, version=version, storage_options=self._store.options)


class Lake:
    """The lake at a folder or in a bucket. One per process; safe to share between threads."""

    def __init__(self, location: str | Store) -> None:
        self.store = location if isinstance(location, Store) else Store(location)
        self._tables: dict[str, _Table] = {}
        self._lock = threading.Lock()

    def files(
        self,
        table: str,
        snapshot: Snapshot,
        tenant_id: str,
        start: date | None = None,
        end: date | None = None,
    ) -> list[str]:
        """Paths, or URLs, of the tenant's files of `table` that can hold rows of [start, end).

        Bounds are dates or aware instants. The list is a superset: rows still need a condition.
        """
        version = snapshot.versions.get(table)
        if version is None:
            return []
        files = self._table(table).index(version, snapshot.id).get(str(tenant_id), [])
        return bounded(files, start, end)

    def tenant_ids(self, table: str, snapshot: Snapshot) -> set[str]:
        """Tenants with files in `table`: for the platform's own checks, never for a query."""
        version = snapshot.versions.get(table)
        return set() if version is None else set(self._table(table).index(version, snapshot.id))

    def forget(self) -> None:
        """Read all logs anew: a file they named is not there."""
        with self._lock:
            self._tables.clear()

    def _table(self, name: str) -> _Table:
        with self._lock:
            return self._tables.setdefault(name, _Table(self.store, name))


def bounded(files: Iterable[tuple[str, str]], start: date | None, end: date | None) -> list[str]:
    """Of (period, path) the paths that can hold rows of [start, end)."""
    first, last = _first_day(start), _last_day(end)
    return [path for period, path in files if _overlaps(period, first, last)]


def _day(bound: date) -> date:
    return bound.astimezone(UTC).date() if isinstance(bound, datetime) else bound


def _first_day(start: date | None) -> str:
    return "" if start is None else (_day(start) - ZONE_SLACK).isoformat()


def _last_day(end: date | None) -> str:
    last = date.max - ZONE_SLACK
    return ((last if end is None else min(_day(end), last)) + ZONE_SLACK).isoformat()


def _overlaps(period: str, first: str, last: str) -> bool:
    """Whether `period` ('YYYY', 'YYYY-MM' or 'all') has a day of [first, last], by prefix."""
    if period == "all":
        return True
    length = len(period)
    return first[:length] <= period <= last[:length]
