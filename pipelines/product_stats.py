"""The figures beside each product: from the newest snapshot into the catalogue's rows.

Belongs here: which tenants' figures moved, and writing what differs. Does not: the figures
(analytics/product_stats.py).

Lists are sorted by them, so they are columns of the product. They are no change of it: its version
and `updated_at` stay, and there is no event.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from uuid import UUID

from sqlalchemy import select, text

from analytics.lake import Snapshot
from analytics.product_stats import files_digest, read_product_stats, stats_files
from pipelines.figures import Figures
from pipelines.sinks import run_record
from shop_api.db.json import encode_json
from shop_api.db.tenancy import tenant_session
from shop_api.models import product_stats, tenants
from shop_api.spine.jobs import WorkerContext
from shop_api.spine.resources import STATISTICS

PRODUCT_STATS = "product_stats"
# of one transaction: an edit of one of them waits no longer than these take
BATCH_ROWS = 1000

FIND_PRESENT = text("""
SELECT id, currency, total_sales, profit_margin_ratio FROM products
WHERE tenant_id = :tenant_id
    AND (total_sales_rank <> 0 OR profit_margin_ratio IS NOT NULL OR id = ANY(:ids))
""")

# Locked in id order, as edits of many products lock them.
WRITE = text("""
WITH stats AS (
    SELECT * FROM jsonb_to_recordset(CAST(:stats AS jsonb))
        AS s (id uuid, total_sales numeric, profit_margin_ratio numeric)
), locked AS (
    SELECT p.id FROM products p JOIN stats s ON s.id = p.id
    WHERE p.tenant_id = :tenant_id ORDER BY p.id FOR NO KEY UPDATE OF p
)
UPDATE products p
SET total_sales = s.total_sales, profit_margin_ratio = s.profit_margin_ratio
FROM stats s JOIN locked l ON l.id = s.id
WHERE p.tenant_id = :tenant_id AND p.id = s.id
""")

REMEMBER = text("""
INSERT INTO product_stats (tenant_id, snapshot_id, files_digest, as_of, updated_at)
VALUES (:tenant_id, :snapshot_id, :files_digest, :as_of, :now)
ON CONFLICT (tenant_id) DO UPDATE SET
    snapshot_id = excluded.snapshot_id, files_digest = excluded.files_digest,
    as_of = excluded.as_of, updated_at = excluded.updated_at
""")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stale:
    """A tenant whose figures are of other files than the snapshot has."""

    tenant_id: UUID
    files: dict[str, list[str]]
    digest: str


@dataclass(frozen=True, slots=True)
class Figure:
    """What a product's row says, or is to say."""

    total_sales: Decimal
    profit_margin: Decimal | None


NOTHING_SOLD = Figure(Decimal(0), None)


def refresh_product_stats(context: WorkerContext, figures: Figures, now: datetime) -> int:
    """Bring the figures of every tenant to the newest snapshot; how many tenants' moved.

    A tenant whose figures fail is logged and tried at the next tick; it does not hold up the
    others.
    """
    snapshot = figures.snapshot()
    if snapshot is None:
        return 0
    stale = find_stale(context, figures, snapshot)
    first = next(stale, None)
    if first is None:
        return 0
    recorded = run_record.job_recorded(context.exporter_engine, PRODUCT_STATS, now, snapshot.as_of)
    with recorded as run:
        failed = _refresh_each(context, figures, chain([first], stale), snapshot, run)
        if failed:
            raise RuntimeError(f"the product figures of {failed} tenants failed; see the log")
    return len(run.shares)


def _refresh_each(
    context: WorkerContext,
    figures: Figures,
    stale: Iterable[Stale],
    snapshot: Snapshot,
    run: run_record.Run,
) -> int:
    """Bring each tenant's figures to the snapshot; how many failed."""
    failed = 0
    for one in stale:
        if context.stopping.is_set():
            break
        share = run.share(str(one.tenant_id))
        try:
            share.rows = refresh_tenant(context, figures, one, snapshot, run.started_at)
            run.rows["products"] = run.rows.get("products", 0) + share.rows
        except Exception:
            failed += 1
            share.state = "failed"
            logger.exception("no product figures of snapshot %s: %s", snapshot.id, one.tenant_id)
    return failed


def find_stale(context: WorkerContext, figures: Figures, snapshot: Snapshot) -> Iterator[Stale]:
    """The tenants whose sales the snapshot has in other files than their figures are of."""
    query = select(tenants.c.id, product_stats.c.files_digest).join_from(
        tenants, product_stats, product_stats.c.tenant_id == tenants.c.id, isouter=True
    )
    with context.exporter_engine.connect() as connection:
        known = connection.execute(query).all()
    for tenant_id, digest in known:
        files = stats_files(figures.lake, snapshot, str(tenant_id))
        present = files_digest(files)
        if present != digest:
            yield Stale(tenant_id, files, present)


def refresh_tenant(
    context: WorkerContext, figures: Figures, stale: Stale, snapshot: Snapshot, now: datetime
) -> int:
    """Write what differs of one tenant's figures, then that they are of this snapshot; answers how
    many rows were written."""
    sold: dict[tuple[UUID, str], Figure] = {
        (UUID(found.product_id), found.currency): Figure(found.net_sales, found.profit_margin)
        for found in read_product_stats(figures.engine, stale.files)
    }
    place = {"tenant_id": stale.tenant_id}
    ids = sorted({product_id for product_id, _ in sold})
    with tenant_session(context.engine, stale.tenant_id) as session:
        rows = session.execute(FIND_PRESENT, {**place, "ids": ids}).all()
    wanted = [
        (row.id, sold.get((row.id, row.currency), NOTHING_SOLD))
        for row in sorted(rows, key=lambda row: row.id.bytes)
        if sold.get((row.id, row.currency), NOTHING_SOLD)
        != Figure(row.total_sales, row.profit_margin_ratio)
    ]
    remembered = {
        "snapshot_id": snapshot.id,
        "files_digest": stale.digest,
        "as_of": snapshot.as_of,
        "now": now,
    }
    try:
        for first in range(0, len(wanted), BATCH_ROWS):
            batch = wanted[first : first + BATCH_ROWS]
            with tenant_session(context.engine, stale.tenant_id) as session:
                session.execute(WRITE, {**place, "stats": _recordset(batch)})
        with tenant_session(context.engine, stale.tenant_id) as session:
            session.execute(REMEMBER, {**place, **remembered})
    finally:
        # also of a run that failed half way
        context.waker.tell({(stale.tenant_id, STATISTICS)}, has_events=False)
    return len(wanted)


def _recordset(batch: Iterable[tuple[UUID, Figure]]) -> str:
    return encode_json(
        [
            {
                "id": product_id,
                "total_sales": figure.total_sales,
                "profit_margin_ratio": figure.profit_margin,
            }
            for product_id, figure in batch
        ]
    )
