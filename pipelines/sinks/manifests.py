"""Telling in the lake itself what was published: the newest snapshot, and each tenant's files.

Belongs here: which of these objects a snapshot changes, and writing them. Does not: what they hold
(analytics/manifest.py) and publishing, which is Postgres' row (publication.py).

They follow the row, under the same lock. A run that died between the two, or found the bucket
away, leaves them behind, never wrong; whoever next holds the lock sees that the lake tells of
another snapshot than Postgres, and writes all of them anew.
"""

import logging
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from analytics.contracts import CONTRACTS
from analytics.lake import Lake, Snapshot
from analytics.manifest import (
    SLUGS,
    SNAPSHOT,
    TENANTS,
    Manifest,
    SlugOwner,
    by_period,
    encode,
    manifest_key,
    read_snapshot,
    slug_key,
)
from analytics.store import Store
from pipelines.sinks.durability import sync
from pipelines.sources.tenants import Described, describe_tenants

# Objects written at once: each waits some 20 ms for a bucket's answer.
CONNECTIONS = 8
# (table, tenant) → the tenant's files of the table, as the Delta log names them
Paths = Callable[[str, str], Collection[str]]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changed:
    """Tenants whose files or description a run changed, and their files after it."""

    tenant_ids: set[str]
    paths: Paths


class Manifests:
    """What the lake tells, as this process knows it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # what the lake's snapshot.json says
        self._told: Snapshot | None = None
        # the slugs known to be written, by tenant
        self._slugs: dict[str, str] = {}

    def tells(self, snapshot: Snapshot) -> bool:
        """Whether the lake tells of this snapshot, at this instant, as far as this process knows.

        Where it is known, nothing is read: that is asked at every tick.
        """
        return _is_same(self._told, snapshot) or self._reads(snapshot)

    def _reads(self, snapshot: Snapshot) -> bool:
        """The same, by what the lake says."""
        known = self._told
        try:
            self._told = read_snapshot(self._store)
        except (FileNotFoundError, msgspec.DecodeError):
            self._told = None
        if known is None or not _is_same(self._told, known):
            # another process told of something, and who has which slug may be part of that
            self._slugs.clear()
        return _is_same(self._told, snapshot)

    def follow(
        self, connection: Connection, before: Snapshot | None, after: Snapshot, changed: Changed
    ) -> None:
        """Tell of `after`, published by who holds the lock since `before`.

        Where the bucket is away the snapshot stands, and the next run tells of it. What the lake
        says is read anew: a process that lost the lock while it told may have written after this
        one, and all is written anew then.
        """
        try:
            if before is not None and self._reads(before):
                if changed.tenant_ids:
                    self._write_changed(connection, after, changed)
            else:
                self._write_all(connection, after)
            self._store.write(SNAPSHOT, encode(after))
            self._told = after
        except OSError:
            logger.exception("the lake does not tell yet of its snapshot %s", after.id)

    def _write_all(self, connection: Connection, snapshot: Snapshot) -> None:
        lake = Lake(self._store)
        # no longer than that: the server ends a transaction that idles while objects are written,
        # and with the connection the lock
        with connection.begin():
            described = describe_tenants(connection, None)
        logger.info("telling of the files of all %d tenants anew", len(described))
        self._slugs.clear()

        def paths(table: str, tenant_id: str) -> list[str]:
            return lake.files(table, snapshot, tenant_id)

        self._write(described.values(), snapshot, paths)
        self._forget_others(described.keys())

    def _write_changed(self, connection: Connection, snapshot: Snapshot, changed: Changed) -> None:
        with connection.begin():
            described = describe_tenants(connection, sorted(changed.tenant_ids))
        for tenant_id in changed.tenant_ids - described.keys():
            self._store.delete(manifest_key(tenant_id))
        self._write(described.values(), snapshot, changed.paths)

    def _write(self, tenants: Collection[Described], snapshot: Snapshot, paths: Paths) -> None:
        def write_one(tenant: Described) -> None:
            manifest = _manifest(tenant, snapshot, paths)
            self._store.write(manifest_key(tenant.id), encode(manifest))
            if self._slugs.get(tenant.id) != tenant.slug:
                self._store.write(slug_key(tenant.slug), encode(SlugOwner(tenant.id)))
                self._slugs[tenant.id] = tenant.slug

        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="lake-manifests") as pool:
            for _ in pool.map(write_one, tenants):
                continue
        sync(self._store, [manifest_key(tenant.id) for tenant in tenants])

    def _forget_others(self, tenant_ids: Collection[str]) -> None:
        """Delete what is told of tenants that have gone, and slugs that nobody has."""
        kept = {manifest_key(tenant_id) for tenant_id in tenant_ids}
        kept |= {slug_key(slug) for slug in self._slugs.values()}
        for folder in (TENANTS, SLUGS):
            for found in self._store.listing(folder):
                if found.key not in kept:
                    self._store.delete(found.key)


def _manifest(tenant: Described, snapshot: Snapshot, paths: Paths) -> Manifest:
    files = {table: by_period(paths(table, tenant.id)) for table in CONTRACTS}
    return Manifest(
        tenant.id,
        tenant.slug,
        tenant.timezone,
        tenant.currency,
        snapshot,
        {table: periods for table, periods in files.items() if periods},
        tenant.is_held,
        tenant.held_as_of,
    )


def _is_same(one: Snapshot | None, other: Snapshot) -> bool:
    return one is not None and (one.id, one.as_of) == (other.id, other.as_of)
