"""What is published, as the lake itself tells it: to who may read no database and no other tenant.

Belongs here: the small JSON objects beside the tables, and choosing files by them. Does not:
writing them after a snapshot is published (pipelines/sinks/manifests.py) and Delta logs (lake.py),
which name all tenants' files.

A tenant's manifest names its files of each table. It is written anew when they change, and holds
for every later snapshot until it is; `_lake/snapshot.json` tells the newest. The manifests that
changed are written first, so who reads the snapshot first, then the manifest, has files that are
not older than the snapshot says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from analytics.contracts import CONTRACTS
from analytics.contracts.contract import OlderFile
from analytics.lake import Lake, Snapshot, bounded
from analytics.store import Store

FOLDER = "_lake"
SNAPSHOT = f"{FOLDER}/snapshot.json"
TENANTS = f"{FOLDER}/tenants"
SLUGS = f"{FOLDER}/slugs"


class Manifest(msgspec.Struct, frozen=True):
    """A tenant and its files, of the snapshot in which they last changed."""

    tenant_id: str
    slug: str
    timezone: str
    currency: str
    snapshot: Snapshot
    # table → period → names of files
    files: dict[str, dict[str, list[str]]]
    # while the tenant's data is refused: its files are as they were, at `held_as_of` if ever
    is_held: bool = False
    held_as_of: datetime | None = None


class SlugOwner(msgspec.Struct, frozen=True):
    """Whose slug it is, or was."""

    tenant_id: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A tenant's manifest, and the newest snapshot for which it holds."""

    manifest: Manifest
    snapshot: Snapshot


def manifest_key(tenant_id: str) -> str:
    """Where a tenant's manifest lies: the one object of its folder."""
    return f"{TENANTS}/{tenant_id}/manifest.json"


def slug_key(slug: str) -> str:
    """Where it is written whose slug it is."""
    return f"{SLUGS}/{slug}.json"


def by_period(paths: Iterable[str]) -> dict[str, list[str]]:
    """Paths as a Delta log has them, `tenant_id=…/period=…/name`, as a manifest does."""
    found: dict[str, list[str]] = {}
    for path in paths:
        _, period, name = path.rsplit("/", 2)
        found.setdefault(period.removeprefix("period="), []).append(name)
    return {period: sorted(found[period]) for period in sorted(found)}


def read_snapshot(store: Store) -> Snapshot:
    """The newest snapshot that the lake tells of; FileNotFoundError when it tells of none."""
    return msgspec.json.decode(store.read(SNAPSHOT), type=Snapshot)


def read_manifest(store: Store, tenant_id: str) -> Manifest:
    """A tenant's manifest; FileNotFoundError when there is none."""
    return msgspec.json.decode(store.read(manifest_key(tenant_id)), type=Manifest)


def read_owner(store: Store, slug: str) -> str:
    """The tenant that has the slug, or had it; FileNotFoundError when none ever had."""
    return msgspec.json.decode(store.read(slug_key(slug)), type=SlugOwner).tenant_id


def read_opened(store: Store, tenant_id: str) -> Opened:
    """A tenant's files at the newest snapshot."""
    newest = read_snapshot(store)
    manifest = read_manifest(store, tenant_id)
    # a run that publishes meanwhile has written the manifest, and not yet the snapshot
    is_newer = manifest.snapshot.id > newest.id
    snapshot = manifest.snapshot if is_newer else newest
    return Opened(manifest, snapshot.held_at(manifest.held_as_of) if manifest.is_held else snapshot)


class ManifestLake(Lake):
    """The lake of one tenant's manifest: of any snapshot asked for it answers its own."""

    def __init__(self, store: Store, manifest: Manifest) -> None:
        super().__init__(store)
        self._tenant_id = manifest.tenant_id
        self._indexes: Mapping[str, list[tuple[str, str]]] = {
            # put together here, so that a manifest cannot name what is not its tenant's
            table: [
                (
                    period,
                    # a manifest does not tell which columns a file has
                    OlderFile(
                        store.uri(f"{table}/tenant_id={manifest.tenant_id}/period={period}/{name}")
                    ),
                )
                for period, names in manifest.files.get(table, {}).items()
                for name in names
                if "/" not in period + name
            ]
            for table in CONTRACTS
        }

    def files(
        self,
        table: str,
        snapshot: Snapshot,
        tenant_id: str,
        start: date | None = None,
        end: date | None = None,
    ) -> list[str]:
        if table not in snapshot.versions or str(tenant_id) != self._tenant_id:
            return []
        return bounded(self._indexes[table], start, end)

    def tenant_ids(self, table: str, snapshot: Snapshot) -> set[str]:
        return {self._tenant_id} if self._indexes[table] else set()


def encode(value: Manifest | SlugOwner | Snapshot) -> bytes:
    """As it lies in the lake."""
    return msgspec.json.encode(value)
