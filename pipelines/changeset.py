"""All changes of one run to all tables, until they are committed and published together.

Belongs here: opening the tables at the published state, replacing rows, committing, what the run
counted. Does not: deciding what changes (incremental.py, rebuild.py, compaction.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from analytics.contracts import Contract
from pipelines.context import LakeContext
from pipelines.frames import Grain
from pipelines.sinks.delta import Rewrite, empty
from pipelines.sinks.durability import sync_tables
from pipelines.sinks.manifests import Changed
from pipelines.sinks.run_record import Share
from pipelines.sinks.upsert import replace_keys


@dataclass
class Changeset:
    """Pending rewrites by table, the tenants they touch and the grains they set."""

    context: LakeContext
    now: datetime
    rewrites: dict[str, Rewrite]
    tenant_ids: set[str] = field(default_factory=set)
    grains: dict[str, Grain] = field(default_factory=dict)
    # tenants whose own record changed
    described: set[str] = field(default_factory=set)
    # tenants whose data was refused, and why: nothing of them is in the rewrites
    refused: dict[str, Exception] = field(default_factory=dict)
    # tenants that were in quarantine and are made anew
    released: set[str] = field(default_factory=set)

    def of(self, contract: Contract) -> Rewrite:
        return self.rewrites[contract.name]

    @property
    def is_empty(self) -> bool:
        return all(rewrite.is_empty for rewrite in self.rewrites.values())

    @property
    def rows_written(self) -> dict[str, int]:
        return {name: rewrite.rows_written for name, rewrite in self.rewrites.items()}

    @property
    def shares(self) -> dict[str, Share]:
        """What the run does of each tenant: what it writes, if it changes anything of it, or that
        it refuses it."""
        shares: dict[str, Share] = {}
        for rewrite in self.rewrites.values():
            shares |= {id_: Share() for id_ in rewrite.changed_tenant_ids - shares.keys()}
            rewrite.tell_written(shares)
        return shares | {tenant_id: Share(state="refused") for tenant_id in self.refused}

    @property
    def damaged_tenant_ids(self) -> set[str]:
        """Tenants of whom a file in the lake was lost or cut off, that can be made anew."""
        return set().union(
            *(
                rewrite.damaged_tenant_ids
                for rewrite in self.rewrites.values()
                if rewrite.contract.is_from_postgres
            )
        )

    def replace(
        self,
        contract: Contract,
        keys: pl.DataFrame,
        rows: pl.DataFrame,
        grains: Mapping[str, Grain] | None = None,
    ) -> pl.DataFrame:
        """Replace the rows of `keys` (tenant_id, file key) by `rows`; answers those before.

        `grains` by tenant, for tables that have more than one period.
        """
        rewrite = self.of(contract)
        new = _by_tenant(rows)
        old = [empty(contract)]
        for tenant_id, wanted in _by_tenant(keys).items():
            grain: Grain = grains[tenant_id] if grains else "year"
            ids = set(wanted[contract.file_key])
            incoming = new.get(tenant_id, rows.clear())
            old.append(replace_keys(rewrite, tenant_id, ids, incoming, grain))
            self.tenant_ids.add(tenant_id)
        return pl.concat(old)

    def changed(self) -> Changed:
        """Of which tenants the lake has something else to tell."""
        of_files = (rewrite.changed_tenant_ids for rewrite in self.rewrites.values())
        return Changed(
            self.described.union(*of_files),
            lambda table, tenant_id: self.rewrites[table].paths_after(tenant_id),
        )

    def remove_tenant(self, tenant_id: str, *, keeps_others: bool = False) -> None:
        """Take all of a tenant's files out of all tables, or of those that are from Postgres."""
        for rewrite in self.rewrites.values():
            if rewrite.contract.is_from_postgres or not keeps_others:
                rewrite.remove(rewrite.files(tenant_id))

    def commit(self, xid: int) -> dict[str, int]:
        """Commit table by table, and have it all on the disk; answers the version of each."""
        for name, rewrite in self.rewrites.items():
            self.context.on_step(f"commit {name}")
            rewrite.commit(xid)
        self.context.on_step("sync")
        keys = [key for rewrite in self.rewrites.values() for key in rewrite.written_keys]
        sync_tables(self.context.store, self.context.tables.values(), keys)
        return {name: rewrite.table.version for name, rewrite in self.rewrites.items()}


def _by_tenant(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by("tenant_id", as_dict=True)
    return {str(tenant_id): part for (tenant_id,), part in parts.items()}


def begin(context: LakeContext, versions: Mapping[str, int] | None, now: datetime) -> Changeset:
    """A changeset on the state `versions`, undoing what a dead run left; None: on the newest.

    Tables of an earlier release get the columns they lack, unless files that are kept would be
    wrong without them: UnusableTableError.
    """
    for name, table in context.tables.items():
        table.open()
        if versions is not None:
            table.go_back_to(versions.get(name, 0))
            table.require_columns()
        table.add_columns()
    return Changeset(
        context, now, {name: Rewrite(table, now) for name, table in context.tables.items()}
    )
