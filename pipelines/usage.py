"""API usage into the lake: the hours written since the last run, a few minutes apart.

Belongs here: the run, and which files it replaces. Does not: other facts, which events tell of
(incremental.py). An hour is replaced as a whole, so a run that died after publishing and before it
noted how far it came only does the same once more.
"""

from datetime import datetime

import polars as pl

from analytics.contracts import API_USAGE
from analytics.lake import Snapshot
from pipelines.changeset import Changeset, begin
from pipelines.context import LakeContext
from pipelines.exports.api_usage import export_api_usage
from pipelines.frames import period_of
from pipelines.mending import apply_mending
from pipelines.runner import Outcome, write
from pipelines.sinks.publication import newest, writer_lock
from pipelines.sinks.upsert import replace_keys
from pipelines.sources.reader import Reader, one_instant
from pipelines.sources.spine import position
from pipelines.sources.tenants import Tenant, read_tenants
from pipelines.sources.usage import read_all_usage, read_usage, written_hours
from shop_api.spine.cursors import FIND_CURSOR, SAVE_CURSOR

USAGE = "lake_usage"


def run_usage(context: LakeContext, now: datetime) -> Outcome:
    """Bring the usage in the lake up to what is written, nothing before the first export.

    Waits for a run that is under way: it comes by seldom, and the export is at it all the time.
    """
    with writer_lock(context.engine) as held:
        published = newest(held)
        found = held.exec_driver_sql(FIND_CURSOR, {"name": USAGE}).scalar()
        held.rollback()
        if published is None:
            return Outcome("idle")
        standing = Snapshot(published.id, published.position.as_of, published.versions)
        with one_instant(context.engine) as reader:
            xid = position(reader).xid
            todo = written_hours(reader, 0 if found is None else int(found))
            if todo.is_empty():
                return Outcome("idle", standing)

            def work() -> Changeset:
                return apply_mending(
                    lambda changes: _apply(context, reader, standing, changes, now),
                    lambda: begin(context, standing.versions, now).damaged_tenant_ids,
                    todo,
                )

            # the events it holds are those that the snapshot before held
            outcome = write(context, held, USAGE, published.position, now, work)
        with held.begin():
            values = {"name": USAGE, "xid": str(xid), "now": now}
            held.exec_driver_sql(SAVE_CURSOR, values)
    return outcome


def _apply(
    context: LakeContext, reader: Reader, standing: Snapshot, changes: pl.DataFrame, now: datetime
) -> Changeset:
    changeset = begin(context, standing.versions, now)
    tenants = read_tenants(reader, changes["tenant_id"].unique().to_list())
    anew = set(changes.filter(pl.col("subject_id").is_null())["tenant_id"])
    for tenant_id in sorted(anew & tenants.keys()):
        put_anew(changeset, tenants[tenant_id], read_all_usage(reader, tenant_id))
    keys = changes.filter(
        ~pl.col("tenant_id").is_in(list(anew)) & pl.col("tenant_id").is_in(list(tenants))
    ).select("tenant_id", pl.col("subject_id").alias("hour_key"))
    rows = export_api_usage(read_usage(reader, keys))
    new = {str(key): part for (key,), part in rows.partition_by("tenant_id", as_dict=True).items()}
    for (key,), part in keys.partition_by("tenant_id", as_dict=True).items():
        tenant = tenants[str(key)]
        hours = set(part["hour_key"])
        incoming = new.get(tenant.id, rows.clear())
        replace_keys(changeset.of(API_USAGE), tenant.id, hours, incoming, tenant.grain)
        changeset.tenant_ids.add(tenant.id)
    return changeset


def put_anew(changeset: Changeset, tenant: Tenant, rows: pl.DataFrame) -> None:
    """Replace all of a tenant's usage."""
    rewrite = changeset.of(API_USAGE)
    rewrite.remove(rewrite.files(tenant.id))
    by_period = export_api_usage(rows).with_columns(period_of(API_USAGE, tenant.grain))
    for (period,), part in by_period.partition_by("period", as_dict=True).items():
        rewrite.add(tenant.id, str(period), part)
    changeset.tenant_ids.add(tenant.id)
