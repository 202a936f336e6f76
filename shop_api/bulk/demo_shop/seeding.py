"""Writing the demo shop through the bulk path, once per tenant.

Belongs here: staging the invented rows and running the import over them. Does not: inventing them.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import polars as pl
import sqlalchemy
from sqlalchemy import Engine

from shop_api.bulk.demo_shop.assortment import STORE_LOCATION, Row, make_assortment
from shop_api.bulk.demo_shop.history import Historian, History
from shop_api.bulk.demo_shop.season import DAYS, draw_sales
from shop_api.bulk.expressions import TypedChunk
from shop_api.bulk.fields import ENTITIES
from shop_api.bulk.importer import READ_SHARE, Import, Shop, Summary, read_shop
from shop_api.bulk.journal import DEMO_SHOP, Journal, Progress, open_local_job
from shop_api.bulk.locks import import_session
from shop_api.bulk.phases import ALL_FIELDS
from shop_api.bulk.readers import ROW
from shop_api.bulk.staging import new_staging
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.waker import Waker

ACTOR = "system:demo"
ORDER_COUNT = 20_000
CHUNK_ROWS = 5_000


def seed_demo_shop(
    engine: Engine,
    waker: Waker,
    tenant_id: UUID,
    now: datetime,
    seed: int,
    progress: Callable[[Progress], None],
    order_count: int = ORDER_COUNT,
) -> bool:
    """Fill the tenant's shop; False when it was filled before.

    A run that was cut short goes on with what it began with, `now` included.
    """
    params = {"seed": seed, "order_count": order_count}
    with import_session(engine, tenant_id) as single:
        begun = _begun(single, tenant_id)
        if begun is not None:
            if begun.state == "succeeded":
                return False
            params, now = begun.params, begun.created_at
        origin = Origin(tenant_id, ACTOR, f"demo-{params['seed']}", now)
        journal = open_local_job(engine, waker, origin, DEMO_SHOP, params, progress)
        _add_store(engine, waker, origin)
        summary = Summary()
        with journal.held():
            _write(single, journal, read_shop(single, tenant_id), params, summary)
        journal.finish("succeeded", summary.counts, summary.rejects, None)
    return True


def _begun(engine: Engine, tenant_id: UUID) -> sqlalchemy.Row[Any] | None:
    """The tenant's demo job, if there is one."""
    with tenant_session(engine, tenant_id) as session:
        return session.connection.exec_driver_sql(
            "SELECT state, params, created_at FROM jobs WHERE tenant_id = %s AND kind = %s"
            " ORDER BY created_at DESC, id DESC LIMIT 1",
            (tenant_id, DEMO_SHOP),
        ).first()


def _add_store(engine: Engine, waker: Waker, origin: Origin) -> None:
    """The place where the shop sells over the counter."""
    with unit_of_work(engine, waker, origin) as work:
        work.connection.exec_driver_sql(
            "INSERT INTO locations (tenant_id, id, name, code, created_at, updated_at)"
            " VALUES (%s, %s, 'High Street store', %s, %s, %s) ON CONFLICT DO NOTHING",
            (work.tenant_id, new_id(work.now), STORE_LOCATION, work.now, work.now),
        )


def _write(
    single: Engine, journal: Journal, shop: Shop, params: dict[str, int], summary: Summary
) -> None:
    now = journal.origin.now
    rng = Random(params["seed"])
    assortment = make_assortment(rng, shop.currency, now - timedelta(days=DAYS))
    run = Import(new_staging(single, now, has_variants=True), journal, ALL_FIELDS, summary)
    for entity in ("categories", "products", "variants", "stock"):
        _stage(run, entity, getattr(assortment, entity), 0)
    historian = Historian(rng, assortment.items, shop.currency, now)
    staged = History()
    count = params["order_count"]
    for number, sale in enumerate(draw_sales(rng, count, now, shop.timezone), 1):
        historian.record(number, sale)
        if number % CHUNK_ROWS == 0 or number == count:
            _stage_history(run, historian.history, staged)
            journal.report(Progress("inventing orders", number, READ_SHARE * number / count))
    run.write()


def _stage_history(run: Import, history: History, staged: History) -> None:
    """Stage the rows that came since the last time."""
    for entity in ("customers", "orders", "order_lines", "payments", "refunds"):
        rows, done = getattr(history, entity), getattr(staged, entity)
        _stage(run, entity, rows[len(done) :], len(done))
        done.extend(rows[len(done) :])


def _stage(run: Import, entity: str, rows: list[Row], offset: int) -> None:
    fields = ENTITIES[entity].fields
    columns = [
        pl.Series(name, [row.get(name, rule.default) for row in rows], pl.String)
        for name, rule in fields.items()
    ]
    numbers = pl.Series(ROW, range(offset + 1, offset + len(rows) + 1), pl.Int64)
    frame = pl.DataFrame([numbers, *columns])
    run.summary.of(entity).read += len(rows)
    run.staging.add(entity, TypedChunk(frame, [], 0, frame.clear()), DEMO_SHOP)
