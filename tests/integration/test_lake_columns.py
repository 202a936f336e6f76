"""A lake of a release whose contracts had fewer columns: read as it is, brought up by an export."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from deltalake import DeltaTable

from analytics import open_lake
from analytics.contracts import CONTRACTS
from analytics.dashboard.answers import build_revenue
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from tests.factories.rows import make_tenant
from tests.factories.sales import (
    add_category,
    add_product,
    change_order,
    day,
    place,
    selling,
)
from tests.fixtures.lake import new_lake, now, published, rows
from tests.fixtures.stores import Database


@pytest.fixture
def tenant_id(database: Database) -> UUID:
    return make_tenant(database)


@contextmanager
def before(columns: dict[str, tuple[str, ...]]) -> Iterator[None]:
    """The contracts of a release without some columns, for whoever writes the lake meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for table, names in columns.items():
            contract = CONTRACTS[table]
            kept = tuple(c for c in contract.columns if c.name not in names)
            older = replace(contract, columns=kept)
            # one contract is known by many names: its columns are what is replaced
            patch.setitem(contract.__dict__, "columns", older.columns)
            patch.setitem(contract.__dict__, "column_names", older.column_names)
        yield


def sell(database: Database, tenant_id: UUID) -> list[UUID]:
    """An order of the shop's own currency, and two of another, of which one has a rate."""
    with selling(database, tenant_id) as work:
        product = add_product(work, "Thing", add_category(work, "Things"))
        rate = {"base_currency": "USD", "currency": "EUR"}
        return [
            place(work, 1, day(0), product_id=product),
            place(work, 2, day(1), exchange_rate=Decimal("1.1"), product_id=product, **rate),
            place(work, 3, day(2), exchange_rate=None, product_id=product, **rate),
        ]


def revenue(lake: LakeContext, tenant_id: UUID, snapshot: Snapshot, **changes: Any) -> Any:
    engine = Engine(lake.location)
    values: dict[str, Any] = {
        "tenant_id": str(tenant_id),
        "snapshot": snapshot,
        "timezone": "UTC",
        "currency": "USD",
        "currency_digits": 2,
        "now": datetime(2026, 12, 1, tzinfo=UTC),
        "period": "all",
        **changes,
    }
    try:
        return build_revenue(engine, Lake(lake.location), AnalyticsRequest(**values))
    finally:
        engine.close()


def sold(lake: LakeContext, tenant_id: UUID, snapshot: Snapshot, **changes: Any) -> Decimal:
    """Gross sales by the lines of orders."""
    [category] = revenue(lake, tenant_id, snapshot, **changes)["by_category"]
    gross: Decimal = category["gross_sales"]
    return gross


def test_columns_whose_null_would_be_wrong_are_made_anew(
    database: Database, tenant_id: UUID, tmp_path: Path
) -> None:
    rates = ("base_currency", "exchange_rate")
    with before({"order_lines": rates, "payments": rates, "orders": ("payment_status",)}):
        older = new_lake(database, tmp_path / "lake")
        sell(database, tenant_id)
        run_export(older, now())
        assert "exchange_rate" not in rows(older, "order_lines").columns
        old = published(older)
    lake = replace(older)
    plain = revenue(lake, tenant_id, old)
    assert sold(lake, tenant_id, old) == Decimal("20.00")
    # nothing is known of the rates of lines that were written without
    assert sold(lake, tenant_id, old, converted=True) == Decimal("20.00")

    outcome = run_export(lake, now())
    assert (outcome.state, outcome.rows_written["orders"]) == ("published", 3)
    new = published(lake)
    assert rows(lake, "order_lines")["base_currency"].null_count() == 0
    # 20.00 + 20.00 × 1.1
    assert sold(lake, tenant_id, new, converted=True) == Decimal("42.00")
    assert revenue(lake, tenant_id, new, converted=True)["unconverted_orders"] == 1
    # readers of the snapshot before read on
    assert revenue(lake, tenant_id, old) == plain
    assert run_verify(lake, now()).differences == []
    assert run_export(lake, now()).state == "idle"


def regions(lake: LakeContext, tenant_id: UUID, snapshot: Snapshot) -> dict[str | None, int]:
    engine = Engine(lake.location)
    files = Lake(lake.location).files("orders", snapshot, str(tenant_id))
    statement = "SELECT region, count(*) AS orders FROM orders GROUP BY region"
    try:
        return {
            row["region"]: row["orders"] for row in engine.run(statement, {"orders": files}, {})
        }
    finally:
        engine.close()


def test_columns_that_may_be_null_are_added_and_filled_as_files_are_written(
    database: Database, tenant_id: UUID, tmp_path: Path
) -> None:
    address: dict[str, Any] = {"shipping_address": {"country": "IT", "region": "TO"}}
    with before({"orders": ("region",)}):
        older = new_lake(database, tmp_path / "lake")
        with selling(database, tenant_id) as work:
            changed = place(work, 1, day(0), **address)
            # of another year, and so in a file that stays
            place(work, 2, day(0) - timedelta(days=400), **address)
        run_export(older, now())
        old = published(older)
        standing = set(Lake(older.location).files("orders", old, str(tenant_id)))
    lake = replace(older)
    assert regions(lake, tenant_id, old) == {None: 2}

    outcome = run_export(lake, now())
    assert (outcome.state, outcome.rows_written["orders"]) == ("published", 0)
    added = published(lake)
    table = DeltaTable(Path(lake.location) / "orders")
    assert "region" in {field.name for field in table.schema().fields}
    assert set(Lake(lake.location).files("orders", added, str(tenant_id))) == standing
    assert regions(lake, tenant_id, added) == {None: 2}
    with open_lake(str(tenant_id), lake.location) as mine:
        assert mine.scan("orders").collect()["region"].to_list() == [None, None]
        assert mine.relation("orders").select("region").fetchall() == [(None,), (None,)]
        assert mine.sql("SELECT count(region) AS known FROM orders") == [{"known": 0}]
    assert run_export(lake, now()).state == "idle"

    with selling(database, tenant_id) as work:
        change_order(work, changed, status="processing")
    run_export(lake, now())
    new = published(lake)
    files = set(Lake(lake.location).files("orders", new, str(tenant_id)))
    assert len(files & standing) == 1
    assert len(files - standing) == 1
    assert regions(lake, tenant_id, new) == {None: 1, "TO": 1}
    assert revenue(lake, tenant_id, new)["metrics"]["orders"] == 2
    assert regions(lake, tenant_id, old) == {None: 2}
    assert run_verify(lake, now()).differences == []
