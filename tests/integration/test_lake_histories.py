"""Any history of a shop, exported at any moments: rollup = facts = Postgres = a rebuild."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analytics.dashboard.answers import build_live_metrics
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake
from analytics.periods import find_zone, local_date, name_period
from pipelines.context import LakeContext
from pipelines.live_metrics import Day, read_days
from pipelines.runner import run_export, run_rebuild
from pipelines.verification import run_verify
from tests.factories.rows import make_tenant
from tests.factories.sales import add_customer, cancel, change_order, pay, place, refund, selling
from tests.fixtures.lake import everything, everything_of, new_lake, now, published, rows
from tests.fixtures.shop import forget_tenants
from tests.fixtures.stores import Database

ZONE = "America/Sao_Paulo"
# Around the turns of the clock in São Paulo and of the year.
STARTS = [datetime(2018, 2, 17, 22, tzinfo=UTC), datetime(2018, 11, 3, 20, tzinfo=UTC)]
STARTS += [datetime(2017, 12, 31, 20, tzinfo=UTC)]


@dataclass(frozen=True)
class Step:
    """One thing that happens in the shop, or an export."""

    what: str
    at: datetime
    # which of the orders placed so far
    order: int
    cents: int
    channel: str


steps = st.builds(
    Step,
    what=st.sampled_from(["place", "place", "cancel", "refund", "complete", "pay", "export"]),
    at=st.builds(
        lambda start, minutes: start + timedelta(minutes=minutes),
        st.sampled_from(STARTS),
        st.integers(0, 60 * 30),
    ),
    order=st.integers(0, 20),
    cents=st.integers(0, 100_000),
    channel=st.sampled_from(["web", "pos"]),
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=st.lists(steps, min_size=5, max_size=25))
def test_rollup_facts_postgres_and_rebuild_agree(
    database: Database, tmp_path_factory: pytest.TempPathFactory, history: list[Step]
) -> None:
    forget_tenants(database)
    tenant_id, bystander = (make_tenant(database, timezone=ZONE) for _ in range(2))
    with selling(database, bystander) as work:
        order = place(work, 0, STARTS[0], customer_id=add_customer(work))
        pay(work, order, Decimal(20))
        refund(work, order, STARTS[1], Decimal(5))
    lake = new_lake(database, tmp_path_factory.mktemp("lake") / "lake")
    # the first run makes all anew, those of the history what changed
    run_export(lake, now())
    beside = everything_of(lake, bystander)
    assert beside["orders"].height == 1
    live(database, lake, tenant_id, history)

    run_export(lake, now())

    assert run_verify(lake, now()).differences == []
    of_tenant = pl.col("tenant_id") == str(tenant_id)
    facts = rows(lake, "orders").filter(of_tenant & (pl.col("status") != "cancelled"))
    rollup = rows(lake, "daily_sales").filter(of_tenant)
    for basis in ("order_date", "event_date"):
        days = rollup.filter(pl.col("basis") == basis)
        assert days["orders"].sum() == facts.height
        assert days["units"].sum() == facts["units"].sum()
        assert days["gross_sales"].sum() == facts["gross_sales"].sum()
    assert_live_figures_are_the_lakes(database, lake, tenant_id)
    for table, untouched in everything_of(lake, bystander).items():
        assert_frame_equal(untouched, beside[table])
    incremental = everything(lake)
    run_rebuild(lake, now())
    for table, anew in everything(lake).items():
        assert_frame_equal(incremental[table], anew)


def assert_live_figures_are_the_lakes(
    database: Database, context: LakeContext, tenant_id: UUID
) -> None:
    """What listeners are told between snapshots is what the next one says of each day."""
    engine, lake, snapshot = Engine(context.location), Lake(context.location), published(context)
    for at in [start + timedelta(days=days) for start in STARTS for days in (0, 1)]:
        period = name_period("today", at, ZONE, local_date(at, find_zone(ZONE)))
        told = read_days(database.engine, {tenant_id: Day(period, "USD")})[tenant_id]
        asked = AnalyticsRequest(
            str(tenant_id), snapshot, ZONE, "USD", 2, at, period="today", compare="none"
        )
        assert told.metrics == build_live_metrics(engine, lake, asked)["metrics"]
    engine.close()


def live(database: Database, lake: LakeContext, tenant_id: UUID, history: list[Step]) -> None:
    """Let the history happen, one transaction per step."""
    orders: list[UUID] = []
    open_orders: set[UUID] = set()
    with selling(database, tenant_id) as work:
        customers = [add_customer(work), None]
    for number, step in enumerate(history):
        if step.what == "export":
            run_export(lake, now())
            continue
        with selling(database, tenant_id, now=step.at) as work:
            if step.what == "place" or not orders:
                price = str(Decimal(step.cents) / 100)
                buyer = customers[step.order % 2]
                order = place(
                    work,
                    number,
                    step.at,
                    price=price,
                    discount=Decimal(0),
                    channel=step.channel,
                    customer_id=buyer,
                    tax_included=step.channel == "pos",
                    shipping_tax_total=Decimal(step.cents % 3) / 4,
                )
                orders.append(order)
                open_orders.add(order)
                continue
            order = orders[step.order % len(orders)]
            if step.what == "refund":
                goods, tax = Decimal(step.cents % 3000) / 100, Decimal(step.cents % 7) / 10
                refund(work, order, step.at, goods, tax=tax, shipping=Decimal(step.order) / 4)
            elif step.what == "pay":
                pay(work, order, Decimal(step.cents) / 100, method=step.channel)
            elif order in open_orders and step.what == "cancel":
                open_orders.discard(order)
                cancel(work, order, step.at)
            elif order in open_orders:
                change_order(work, order, status="completed", completed_at=step.at)
                open_orders.discard(order)
