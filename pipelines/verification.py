"""Postgres and lake side by side: counts and sums per tenant and month, the rollup per day,
stock per location.

Belongs here: comparing. Does not: the queries of the Postgres side (sources/totals.py), repairing.

Both sides are of one instant: the comparison reads Postgres in the transaction to which it has
first brought the lake, so it finds nothing also while a shop is selling.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from analytics.contracts import CONTRACTS
from analytics.lake import Lake, Snapshot
from pipelines.context import LakeContext
from pipelines.frames import TEXT, polars_schema
from pipelines.runner import export_at, tell
from pipelines.sinks.publication import writer_lock
from pipelines.sources.day_edges import read_day_edges
from pipelines.sources.reader import Reader, one_instant
from pipelines.sources.totals import TOTALS, Totals

MONTH = pl.col("placed_at").dt.to_string("%Y-%m")
ALL = pl.lit("all")
DAY = pl.concat_str(
    pl.col("day").dt.to_string("%Y-%m-%d"), "basis", "currency", "channel", separator=" "
)
# How the rows of each table fall into the periods that are compared.
PERIODS: dict[str, pl.Expr] = {
    "orders": MONTH,
    "order_lines": MONTH,
    "payments": MONTH,
    "refunds": MONTH,
    "fulfillments": MONTH,
    "discounts": MONTH,
    "taxes": MONTH,
    "daily_sales": DAY,
    "inventory_movements": pl.col("moved_at").dt.to_string("%Y-%m"),
    "stock_levels": pl.col("location_id"),
    "dim_products": ALL,
    "dim_variants": ALL,
    "dim_customers": ALL,
    "exchange_rates": pl.col("currency"),
}


@dataclass(frozen=True)
class Difference:
    """One figure that is not the same; None where a side has no such period."""

    table: str
    tenant_id: str
    period: str
    measure: str
    postgres: str | None
    lake: str | None


@dataclass(frozen=True)
class Verification:
    """What was compared and what differed."""

    snapshot: Snapshot
    figures: int
    differences: list[Difference]


def run_verify(
    context: LakeContext, now: datetime, on_table: Callable[[str], None] = lambda _: None
) -> Verification:
    """Bring the lake to this instant, then compare all of it with Postgres."""
    with writer_lock(context.engine) as held, one_instant(context.engine) as reader:
        outcome = export_at(context, held, reader, now)
        if outcome.snapshot is None:
            raise RuntimeError("an export under the lock always leaves a snapshot")
        found = compare(reader, Lake(context.store), outcome.snapshot, on_table)
    tell(context, outcome, now)
    return found


def compare(
    reader: Reader, lake: Lake, snapshot: Snapshot, on_table: Callable[[str], None]
) -> Verification:
    """All figures of a snapshot against the reader's instant."""
    differences: list[Difference] = []
    figures = 0
    edges = read_day_edges(reader)
    for totals in TOTALS:
        on_table(totals.table)
        postgres = reader.frame(totals.query, {**totals.key_types, **totals.types}, edges)
        tenant_ids = postgres["tenant_id"].unique().to_list()
        in_lake = lake.tenant_ids(totals.table, snapshot)
        of_lake = []
        for tenant_id in sorted({*tenant_ids, *in_lake}):
            try:
                of_lake.append(_lake_totals(lake, snapshot, totals, tenant_id))
            except (OSError, pl.exceptions.PolarsError) as error:
                # and nothing of it to compare: all figures of the table differ, too
                where = (totals.table, tenant_id, "all", "files")
                differences.append(Difference(*where, "readable", str(error)))
        both = _side_by_side(totals, postgres, pl.concat([postgres.clear(), *of_lake]))
        figures += both.height
        differences += [
            Difference(totals.table, *row)
            for row in both.filter(~pl.col("postgres").eq_missing(pl.col("lake"))).rows()
        ]
    return Verification(snapshot, figures, differences)


def _lake_totals(lake: Lake, snapshot: Snapshot, totals: Totals, tenant_id: str) -> pl.DataFrame:
    files = lake.files(totals.table, snapshot, tenant_id)
    if not files:
        return pl.DataFrame(schema={**totals.key_types, **totals.types})
    rows = pl.scan_parquet(
        [str(path) for path in files],
        hive_partitioning=False,
        storage_options=lake.store.options,
        schema=polars_schema(CONTRACTS[totals.table]),
        missing_columns="insert",
    )
    return (
        rows.group_by(PERIODS[totals.table].alias("period"))
        .agg(
            expression.cast(totals.types[name]).alias(name)
            for name, expression in totals.measures.items()
        )
        .select(pl.lit(tenant_id, TEXT).alias("tenant_id"), "period", *totals.measures)
        .collect()
    )


def _side_by_side(totals: Totals, postgres: pl.DataFrame, lake: pl.DataFrame) -> pl.DataFrame:
    """(tenant_id, period, measure, postgres, lake), figures as text."""
    keys = ["tenant_id", "period"]

    def tall(frame: pl.DataFrame, side: str) -> pl.DataFrame:
        texts = frame.select(*keys, pl.col(list(totals.measures)).cast(TEXT))
        return texts.unpivot(index=keys, variable_name="measure", value_name=side)

    return (
        tall(postgres, "postgres")
        .join(tall(lake, "lake"), on=[*keys, "measure"], how="full", coalesce=True)
        .sort(*keys, "measure")
    )
