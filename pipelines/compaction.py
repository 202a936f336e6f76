"""Housekeeping of the lake: grain, small files, files nobody reads.

Belongs here: changing how rows lie in files, never the rows. Does not: rows (incremental.py,
rebuild.py).
"""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

import polars as pl

from analytics.contracts import INVENTORY_MOVEMENTS, ORDERS, TRAFFIC_EVENTS
from analytics.leases import leased_versions
from pipelines.changeset import Changeset, begin
from pipelines.context import LakeContext
from pipelines.exports.facts import FACTS
from pipelines.frames import INTEGER, TEXT, period_of
from pipelines.runner import Outcome, tell, write
from pipelines.sinks import quarantine, run_record
from pipelines.sinks.delta import DataFile, LostFilesError, Rewrite, UnreadableFileError
from pipelines.sinks.parquet import file_rows
from pipelines.sinks.publication import newest, writer_lock
from pipelines.sinks.vacuum import vacuum

COMPACT = "lake_compact"
logger = logging.getLogger(__name__)


def run_compact(context: LakeContext, now: datetime, *, is_thorough: bool = True) -> Outcome:
    """Promote tenants to months, join small files, delete old files, forget old records.

    The new snapshot has the rows, the position and the instant of the one before. A thorough run
    lists the lake's folders for files that no log names, which runs that died have left.
    """
    with writer_lock(context.engine) as held:
        published = newest(held)
        if published is None:
            return Outcome("idle")

        def work() -> Changeset:
            begin(context, published.versions, now)
            # first: files that this run writes are in no log until it commits
            _clear(context, is_thorough=is_thorough)
            return _tidied(context, now)

        outcome = write(context, held, COMPACT, published.position, now, work)
        run_record.forget_old(held, now)
    tell(context, outcome, now)
    return outcome


def _clear(context: LakeContext, *, is_thorough: bool) -> None:
    """Delete what was replaced long ago and nobody reads."""
    leased = leased_versions(context.store)
    for name, table in context.tables.items():
        context.on_step(f"vacuum {name}")
        vacuum(table, context.retention_hours, leased.get(name, {}), is_thorough=is_thorough)


def _tidied(context: LakeContext, now: datetime) -> Changeset:
    """Tenants with damaged files are left alone, and are refused: an export makes them anew."""
    versions = {name: table.version for name, table in context.tables.items()}
    damaged: dict[str, Exception] = dict.fromkeys(
        begin(context, versions, now).damaged_tenant_ids,
        LostFilesError("files in the lake were lost or cut off"),
    )
    while True:
        changeset = begin(context, versions, now)
        try:
            _tidy(changeset, damaged.keys(), context.month_rows)
        except UnreadableFileError as error:
            if error.tenant_id in damaged:
                raise
            damaged[error.tenant_id] = LostFilesError(str(error))
            continue
        with context.engine.connect() as connection:
            held_back = quarantine.read(connection)
        for tenant_id, reason in damaged.items():
            logger.error("tenant %s is to be made anew: %s", tenant_id, reason)
            # of one held back already the wait would begin anew
            if tenant_id not in held_back:
                changeset.refused[tenant_id] = reason
        return changeset


def _tidy(changeset: Changeset, without: Collection[str], month_rows: int) -> None:
    for tenant_id in _grown(changeset.of(ORDERS), month_rows):
        if tenant_id not in without:
            _promote(changeset, tenant_id)
    for rewrite in changeset.rewrites.values():
        if rewrite.contract is not TRAFFIC_EVENTS:
            _join_small_files(rewrite, {*changeset.grains, *without})
    _tidy_traffic(changeset.of(TRAFFIC_EVENTS), changeset.context.traffic_retention)


def _tidy_traffic(rewrite: Rewrite, retention: timedelta) -> None:
    """Let go of events of days that are over for too long; what no disk has any more is lost."""
    rewrite.lose_damaged()
    least = f"{rewrite.now - retention:%Y-%m-%d}"
    kept = rewrite.table.files().filter(~pl.col("path").is_in(list(rewrite.removed_paths)))
    for row in kept.filter(pl.col("least_key") < least).rows():
        file = DataFile(*row)
        if file.greatest_key < least:
            rewrite.remove([file])
            continue
        rows = rewrite.take([file]).filter(pl.col("hour_key") >= least)
        if rows.height:
            rewrite.add(file.tenant_id, file.period, rows)
    _join_small_files(rewrite, set())


def _grown(orders: Rewrite, month_rows: int) -> list[str]:
    """Tenants with years, one of which has come to more than `month_rows` orders."""
    years = orders.table.files().filter(pl.col("period").str.len_bytes() == len("YYYY"))
    counted = years.group_by("tenant_id", "period").agg(pl.col("rows").sum())
    return sorted(counted.filter(pl.col("rows") > month_rows)["tenant_id"].unique())


def _promote(changeset: Changeset, tenant_id: str) -> None:
    """Cut a tenant's years into months."""
    changeset.context.on_step(f"promote {tenant_id}")
    changeset.grains[tenant_id] = "month"
    for contract in (*FACTS, INVENTORY_MOVEMENTS):
        rewrite = changeset.of(contract)
        by_year = sorted(rewrite.files(tenant_id), key=attrgetter("period"))
        for _, of_year in groupby(by_year, key=attrgetter("period")):
            files = list(of_year)
            rows = rewrite.read(files).with_columns(period_of(contract, "month"))
            rewrite.remove(files)
            for (period,), part in rows.partition_by("period", as_dict=True).items():
                rewrite.add(tenant_id, str(period), part)


def _join_small_files(rewrite: Rewrite, without: set[str]) -> None:
    """Files of a partition that are less than half full become one, or a few full ones."""
    files = rewrite.table.files().filter(
        ~pl.col("tenant_id").is_in(without) & ~pl.col("path").is_in(list(rewrite.removed_paths))
    )
    half_full = pl.DataFrame(
        [(period, file_rows(period, rewrite.now) // 2) for period in files["period"].unique()],
        schema={"period": TEXT, "half_full": INTEGER},
        orient="row",
    )
    small = (
        files.join(half_full, on="period")
        .filter(pl.col("rows") < pl.col("half_full"))
        .filter(pl.len().over("tenant_id", "period") > 1)
    )
    for (tenant_id, period), parts in small.partition_by(
        "tenant_id", "period", as_dict=True
    ).items():
        joined = [DataFile(*row) for row in parts.drop("half_full").rows()]
        rows = rewrite.take(joined)
        if rows.height:
            rewrite.add(str(tenant_id), str(period), rows)
