"""A lake written straight to Delta tables from rows, for tests of what reads them.

Rows are plain dicts by the contracts; a column left out is null, or zero where it counts something.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable, write_deltalake

from analytics.contracts import CONTRACTS, Contract
from analytics.lake import Lake, Snapshot
from analytics.manifest import (
    SNAPSHOT,
    Manifest,
    SlugOwner,
    by_period,
    encode,
    manifest_key,
    slug_key,
)
from analytics.store import Store
from pipelines.frames import PARTITION_COLUMNS, Grain, period_of, polars_schema

AS_OF = datetime(2026, 4, 15, 12, 0, tzinfo=UTC)
ZEROS = {"integer": 0, "money": Decimal(0), "money_sum": Decimal(0)}

Rows = Iterable[Mapping[str, Any]]


def write_lake(
    folder: Path,
    tenants: Mapping[str, Mapping[str, Rows]],
    grain: Grain = "month",
    as_of: datetime = AS_OF,
) -> Snapshot:
    """The tables of each tenant, and the snapshot that publishes them."""
    for name, contract in CONTRACTS.items():
        frames = [
            _frame(contract, tenant_id, tables.get(name, ()), grain)
            for tenant_id, tables in tenants.items()
        ]
        write_deltalake(
            folder / name,
            pl.concat(frames),
            mode="overwrite",
            partition_by=PARTITION_COLUMNS,
        )
    versions = {name: DeltaTable(folder / name).version() for name in CONTRACTS}
    return Snapshot(id=versions["orders"] + 1, as_of=as_of, versions=versions)


def tell_of(
    folder: Path,
    snapshot: Snapshot,
    tenant_id: str,
    *,
    slug: str = "golden",
    timezone: str = "UTC",
    currency: str = "USD",
) -> None:
    """Let the lake tell of its snapshot and the tenant, as a publication does."""
    store, reader = Store(str(folder)), Lake(str(folder))
    files = {
        table: by_period(reader.files(table, snapshot, tenant_id)) for table in snapshot.versions
    }
    manifest = Manifest(tenant_id, slug, timezone, currency, snapshot, files)
    store.write(manifest_key(tenant_id), encode(manifest))
    store.write(slug_key(slug), encode(SlugOwner(tenant_id)))
    store.write(SNAPSHOT, encode(snapshot))


def _frame(contract: Contract, tenant_id: str, rows: Rows, grain: Grain) -> pl.DataFrame:
    complete = [
        {
            column.name: row.get(
                column.name, None if column.is_nullable else ZEROS.get(column.type)
            )
            for column in contract.columns
        }
        for row in rows
    ]
    for row in rows:
        unknown = set(row) - set(contract.column_names)
        assert not unknown, f"{contract.name} has no column {unknown}"
    return pl.DataFrame(complete, schema=polars_schema(contract)).select(
        pl.lit(tenant_id).alias("tenant_id"), period_of(contract, grain), pl.all()
    )
