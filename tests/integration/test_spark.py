"""Spark gives the figures that DuckDB gives, over the same files, and both what Postgres holds.

Needs the extra `spark` and Java; where one is missing it is skipped, unless TEST_ON_SPARK is set.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from analytics.dashboard.answers import build_dashboard, build_revenue
from analytics.dashboard.customers import build_customers
from analytics.dashboard.question import AnalyticsRequest
from analytics.dashboard.traffic import build_traffic
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.query.asked import Asked
from analytics.query.figures import build_figures
from analytics.query.rows import build_rows
from analytics.reports.inventory import InventoryOptions, build_inventory
from analytics.reports.products import ProductOptions, build_products
from pipelines.runner import run_export
from tests.factories import converted_shop, golden_shop, stocked_shop
from tests.factories.lake import write_lake
from tests.factories.rows import make_tenant
from tests.factories.sales import add_customer, cancel, place, refund, selling
from tests.fixtures.lake import new_lake, now, published
from tests.fixtures.stores import Database

IS_WANTED = "TEST_ON_SPARK" in os.environ
IS_HERE = find_spec("pyspark") is not None and shutil.which("java") is not None
pytestmark = pytest.mark.skipif(
    not IS_HERE and not IS_WANTED, reason="the extra `spark` or Java is not installed"
)

ZONE = "America/Sao_Paulo"
MARCH = {"start": date(2026, 3, 1), "end": date(2026, 4, 1)}
SPRING = {"start": date(2026, 2, 1), "end": date(2026, 5, 1), "basis": "event_date"}
# The hour of 15 October 2017 that São Paulo's clocks skipped was the one after midnight.
DAYS = {"start": date(2017, 10, 13), "end": date(2017, 10, 19), "compare": "none"}
Build = Callable[[Engine, Lake, AnalyticsRequest], dict[str, Any]]


@pytest.fixture(scope="module")
def spark() -> Iterator[Engine]:
    from pyspark.sql import SparkSession

    from analytics.spark import SparkEngine

    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.showConsoleProgress": "false",
        # a few rows are sooner interpreted than code is made for them, and in one piece
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.driver.memory": "1g",
        # so few rows never pay for the second compiler, and for threads that collect garbage
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield SparkEngine(session)
    session.stop()


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Snapshot]:
    """The golden shop and its stock, beside another tenant in the same tables."""
    folder = tmp_path_factory.mktemp("lake")
    tenants = {
        golden_shop.TENANT: {**rated(golden_shop.TABLES), **TRAFFIC},
        stocked_shop.TENANT: stocked_shop.TABLES,
        converted_shop.TENANT: converted_shop.great_shop(
            list(product(converted_shop.AMOUNTS, converted_shop.RATES)), copies=200
        ),
    }
    return str(folder), write_lake(folder, tenants)


def rated(tables: dict[str, Any]) -> dict[str, Any]:
    """With a rate on what was sold in another currency: none of its amounts comes out even."""
    rate = {"base_currency": "USD", "exchange_rate": Decimal("1.0837123457")}
    return {
        name: [row | rate if row.get("currency") == "EUR" else row for row in rows]
        if name in ("orders", "order_lines", "refunds", "payments")
        else rows
        for name, rows in tables.items()
    }


def event(minute: int, visitor: str, name: str, **values: Any) -> dict[str, Any]:
    at = datetime(2026, 3, 8, 4, 30, tzinfo=UTC) + timedelta(minutes=minute)
    return {
        "event_id": f"e{minute}",
        "hour_key": f"{at:%Y-%m-%dT%H}",
        "occurred_at": at,
        "received_at": at,
        "visitor_id": visitor,
        "session_id": "1",
        "kind": name,
        "is_bot": False,
        **values,
    }


TRAFFIC = {
    "traffic_events": [
        event(0, "a", "page_view", path="/", referrer_host="search.example"),
        event(31, "a", "product_view", product_id="tea", path="/tea"),
        event(32, "a", "add_to_cart", product_id="tea"),
        event(200, "b", "page_view", path="/", utm_campaign="mail"),
        event(2000, "b", "purchase", order_id="o1"),
    ]
}


def request(snapshot: Snapshot, tenant_id: str = golden_shop.TENANT, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "snapshot": snapshot,
        "timezone": golden_shop.TIMEZONE,
        "currency": "USD",
        "currency_digits": 2,
        "now": datetime(2026, 4, 10, 15, 0, tzinfo=UTC),
        # a session of Spark takes its time for the first statements
        "deadline_seconds": 300,
        **changes,
    }
    return AnalyticsRequest(**values)


def of_query(*dimensions: str, metrics: tuple[str, ...] = ("net_sales", "units")) -> Build:
    """The figures of a question, and the rows they open to."""

    def build(engine: Engine, lake: Lake, asked_for: AnalyticsRequest) -> dict[str, Any]:
        asked = Asked(metrics=metrics, dimensions=dimensions, limit=100)
        return {
            "figures": build_figures(engine, lake, asked_for, asked),
            "rows": build_rows(engine, lake, asked_for, Asked(metrics=metrics, limit=100)),
        }

    return build


CONVERTED = {**SPRING, "converted": True, "compare": "none"}
CONVERTED_METRICS = ("net_sales", "cost_of_goods", "gross_profit")
ANSWERS: dict[str, tuple[Build, dict[str, Any]]] = {
    "dashboard": (build_dashboard, SPRING),
    "revenue by hour": (build_revenue, {**MARCH, "interval": "hour"}),
    "customers": (build_customers, {**SPRING, "interval": "month"}),
    "traffic": (build_traffic, MARCH),
    "products": (partial(build_products, options=ProductOptions()), SPRING),
    "converted revenue": (build_revenue, {**SPRING, "converted": True}),
    "converted query": (of_query("product", metrics=CONVERTED_METRICS), CONVERTED),
    "query by time": (of_query("time", "country"), {**SPRING, "interval": "week"}),
    "query by product": (of_query("category", "product", "variant"), SPRING),
    "query by the clock": (
        of_query("weekday", "hour_of_day", metrics=("total_sales", "average_order_value")),
        {**MARCH, "compare": "none"},
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_golden_shop_has_one_set_of_figures(
    spark: Engine, golden: tuple[str, Snapshot], name: str
) -> None:
    location, snapshot = golden
    build, changes = ANSWERS[name]
    asked, lake, duckdb = request(snapshot, **changes), Lake(location), Engine(location)
    try:
        assert build(spark, lake, asked) == build(duckdb, lake, asked)
    finally:
        duckdb.close()


def test_the_greatest_amounts_are_converted_to_one_set_of_figures(
    spark: Engine, golden: tuple[str, Snapshot]
) -> None:
    location, snapshot = golden
    metrics = ("gross_sales", "net_sales", "cost_of_goods")
    changes = {**MARCH, "converted": True, "currency": "EUR", "currency_digits": 4}
    asked = request(snapshot, converted_shop.TENANT, **changes)
    lake, duckdb = Lake(location), Engine(location)
    try:
        for build in (build_revenue, of_query("product", metrics=metrics)):
            assert build(spark, lake, asked) == build(duckdb, lake, asked)
    finally:
        duckdb.close()


@pytest.mark.parametrize("group_by", ["variant", "location"])
def test_the_stocked_shop_has_one_set_of_figures(
    spark: Engine, golden: tuple[str, Snapshot], group_by: str
) -> None:
    location, snapshot = golden
    asked = request(snapshot, stocked_shop.TENANT, timezone=stocked_shop.TIMEZONE, **MARCH)
    options = InventoryOptions(group_by=group_by)
    duckdb, lake = Engine(location), Lake(location)
    try:
        expected = build_inventory(duckdb, lake, asked, options)
    finally:
        duckdb.close()
    assert build_inventory(spark, lake, asked, options) == expected


# What Postgres says of each local day, from its own tables and its own time zones.
BY_DAY = """
WITH sold AS (
    SELECT o.*, (SELECT sum(l.quantity) FROM order_lines l WHERE l.order_id = o.id) AS units
    FROM orders o WHERE o.tenant_id = :tenant_id
),
moved AS (
    SELECT placed_at AS at, 1 AS orders, units, subtotal AS gross_sales,
        discount_total AS discounts, 0.0 AS returns, shipping_total AS shipping,
        tax_total AS taxes
    FROM sold WHERE cancelled_at IS NULL OR :by_event
    UNION ALL
    SELECT cancelled_at, -1, -units, -subtotal, -discount_total, 0, -shipping_total, -tax_total
    FROM sold WHERE cancelled_at IS NOT NULL AND :by_event
    UNION ALL
    SELECT CASE WHEN :by_event THEN r.created_at ELSE s.placed_at END, 0, 0, 0, 0,
        r.amount - r.shipping_amount - r.tax_amount, -r.shipping_amount, -r.tax_amount
    FROM refunds r JOIN sold s ON s.id = r.order_id
    WHERE s.cancelled_at IS NULL OR (:by_event AND r.created_at < s.cancelled_at)
    UNION ALL
    SELECT s.cancelled_at, 0, 0, 0, 0,
        -(r.amount - r.shipping_amount - r.tax_amount), r.shipping_amount, r.tax_amount
    FROM refunds r JOIN sold s ON s.id = r.order_id
    WHERE :by_event AND r.created_at < s.cancelled_at
)
SELECT CAST(at AT TIME ZONE :zone AS date) AS day, sum(orders) AS orders, sum(units) AS units,
    sum(gross_sales) AS gross_sales, sum(discounts) AS discounts, sum(returns) AS returns,
    sum(gross_sales) - sum(discounts) - sum(returns) AS net_sales, sum(shipping) AS shipping,
    sum(taxes) AS taxes
FROM moved GROUP BY 1
"""
FIGURES = (
    *("orders", "units", "gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes"),
)


def live(database: Database, tenant_id: UUID, source: Random) -> None:
    """Forty orders around a midnight that does not exist, some refunded, some cancelled."""

    def instant() -> datetime:
        return datetime(2017, 10, 15, 3, tzinfo=UTC) + timedelta(
            minutes=source.randint(-40 * 60, 40 * 60), microseconds=source.randint(0, 999_999)
        )

    with selling(database, tenant_id) as work:
        buyers = [add_customer(work), add_customer(work), None]
    for number in range(40):
        placed_at, price = instant(), str(Decimal(source.randint(100, 90_000)) / 100)
        with selling(database, tenant_id, now=placed_at) as work:
            order = place(work, number, placed_at, price, customer_id=source.choice(buyers))
        for _ in range(source.choice([0, 0, 1, 2])):
            refunded_at = placed_at + timedelta(minutes=source.randint(0, 40 * 60))
            goods, tax = (Decimal(source.randint(0, 99)) / 100 for _ in range(2))
            with selling(database, tenant_id, now=refunded_at) as work:
                refund(work, order, refunded_at, goods, tax=tax, shipping=Decimal("0.10"))
        if source.random() < 0.25:
            cancelled_at = placed_at + timedelta(minutes=source.randint(1, 40 * 60))
            with selling(database, tenant_id, now=cancelled_at) as work:
                cancel(work, order, cancelled_at)


@pytest.mark.parametrize("basis", ["order_date", "event_date"])
def test_postgres_duckdb_and_spark_agree_on_every_day(
    database: Database, spark: Engine, tmp_path: Path, basis: str
) -> None:
    tenant_id = make_tenant(database, timezone=ZONE)
    live(database, tenant_id, Random(f"days by {basis}"))
    context = new_lake(database, tmp_path / "lake")
    run_export(context, now())
    with selling(database, tenant_id) as work:
        values = {"tenant_id": tenant_id, "by_event": basis == "event_date", "zone": ZONE}
        found = work.session.execute(text(BY_DAY), values).mappings().all()
    in_postgres = {row["day"].isoformat(): {n: row[n] for n in FIGURES} for row in found}

    lake, duckdb = Lake(context.location), Engine(context.location)
    asked = request(published(context), str(tenant_id), timezone=ZONE, basis=basis, **DAYS)
    by_day = Asked(metrics=FIGURES, dimensions=("time",), limit=100)
    try:
        rollup = build_revenue(duckdb, lake, asked)
        facts = build_figures(duckdb, lake, asked, by_day)
    finally:
        duckdb.close()
    assert build_revenue(spark, lake, asked) == rollup
    assert build_figures(spark, lake, asked, by_day) == facts

    days = {part["dimensions"]["time"]: part["metrics"] for part in facts["data"]}
    assert len(days) == 6
    assert set(in_postgres) <= set(days)
    nothing = dict.fromkeys(FIGURES, 0)
    assert days == {day: in_postgres.get(day, nothing) for day in days}
    by_rollup = {point["date"]: {n: point[n] for n in FIGURES} for point in rollup["series"]}
    assert by_rollup == days
