"""The inventory report over the stocked shop: every figure is worked out by hand from its rows."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot, TableMissing
from analytics.periods import find_zone
from analytics.reports.inventory import (
    COLUMNS,
    InventoryOptions,
    build_inventory,
    build_inventory_file,
)
from tests.factories import golden_shop, stocked_shop
from tests.factories.lake import AS_OF, write_lake

NOW = datetime(2026, 4, 10, 15, 0, tzinfo=UTC)
MARCH = {"start": date(2026, 3, 1), "end": date(2026, 4, 1)}
D = Decimal
Ask = Callable[..., dict[str, Any]]


def request(snapshot: Snapshot, **changes: Any) -> AnalyticsRequest:
    values: dict[str, Any] = {
        "tenant_id": stocked_shop.TENANT,
        "snapshot": snapshot,
        "timezone": stocked_shop.TIMEZONE,
        "currency": "USD",
        "currency_digits": 2,
        "now": NOW,
        "compare": "none",
        **changes,
    }
    return AnalyticsRequest(**values)


@pytest.fixture(scope="module", params=["month", "year"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, Lake, Snapshot]]:
    """The stocked shop, and beside it another tenant in the same tables."""
    folder = tmp_path_factory.mktemp("lake")
    tenants = {
        stocked_shop.TENANT: stocked_shop.TABLES,
        golden_shop.TENANT: {**golden_shop.TABLES, **stocked_shop.TABLES},
    }
    snapshot = write_lake(folder, tenants, request.param)
    engine = Engine(str(folder))
    yield engine, Lake(str(folder)), snapshot
    engine.close()


@pytest.fixture
def report(place: tuple[Engine, Lake, Snapshot]) -> Ask:
    engine, lake, snapshot = place

    def ask(period: dict[str, Any] = MARCH, **options: Any) -> dict[str, Any]:
        return build_inventory(
            engine, lake, request(snapshot, **period), InventoryOptions(**options)
        )

    return ask


def test_march_by_variant(report: Ask) -> None:
    answer = report(sort="units_sold")
    assert [row["id"] for row in answer["data"]] == [
        "tea-g",
        "tea-k",
        "cup-1",
        "spoon-1",
        "spoon-n",
    ]
    green, black, cup, spoon, new = answer["data"]
    assert green == {
        "id": "tea-g",
        "product_id": "tea",
        "name": "Tea",
        "title": "TEA-G",
        "sku": "sku-tea-g",
        "stock_on_hand": 11,
        "stock_reserved": 4,
        "stock_value": D("22.00"),
        "stock_value_coverage": D("1.0000"),
        "units_sold": 5,
        "gross_sales": D("80.00"),
        "net_sales": D("55.00"),
        # 5 ÷ (5 + 11)
        "sell_through": D("0.3125"),
        # 11 ÷ (5 ÷ 31)
        "days_of_inventory": D("68.2000"),
        "last_sold_at": "2026-03-08T07:00:00.000000Z",
        "abc_class": "A",
        "is_dead_stock": False,
    }
    assert (black["stock_on_hand"], black["stock_value"], black["stock_value_coverage"]) == (
        -2,
        D("0.00"),
        None,
    )
    assert (black["sell_through"], black["days_of_inventory"]) == (D("1.0000"), D("0.0000"))
    assert black["last_sold_at"] == "2026-04-01T03:59:59.999999Z"
    assert (cup["stock_on_hand"], cup["units_sold"], cup["sell_through"]) == (4, 0, D("0.0000"))
    assert cup["days_of_inventory"] is None
    assert cup["last_sold_at"] == "2025-12-01T00:00:00.000000Z"
    assert (spoon["stock_value"], spoon["last_sold_at"]) == (D("50.00"), None)
    assert (new["stock_on_hand"], new["stock_value"]) == (5, D("0.00"))
    assert new["stock_value_coverage"] == D("0.0000")


def test_totals_are_of_all_rows(report: Ask) -> None:
    answer = report(limit=1, offset=4)
    assert answer["totals"] == {
        "rows": 5,
        "stock_on_hand": 68,
        "stock_reserved": 4,
        "stock_value": D("84.00"),
        # 65 of 70
        "stock_value_coverage": D("0.9286"),
        "units_sold": 7,
        "gross_sales": D("95.00"),
        "net_sales": D("70.00"),
        "sell_through": D("0.0909"),
        "days_of_inventory": D("310.0000"),
        "last_sold_at": "2026-04-01T03:59:59.999999Z",
        "dead_stock": {"rows": 2, "units": 54, "value": D("62.00")},
    }
    assert answer["pagination"] == {"offset": 4, "limit": 1, "total": 5, "has_more": False}
    assert len(answer["data"]) == 1
    beyond = report(offset=100)
    assert (beyond["data"], beyond["totals"]["rows"]) == ([], 5)


def test_envelope_says_what_the_figures_are_of(report: Ask) -> None:
    answer = report()
    assert answer["as_of"] == AS_OF.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert answer["stock_at"] == "2026-04-01T04:00:00.000000Z"
    assert (answer["days"], answer["basis"], answer["currency"]) == (31, "order_date", "USD")
    running = report({"start": date(2026, 4, 1), "end": date(2026, 5, 1)})
    assert running["stock_at"] == answer["as_of"]
    # until today, the tenth
    assert running["days"] == 10


def test_april_has_the_stock_of_now(report: Ask) -> None:
    answer = report({"start": date(2026, 4, 1), "end": date(2026, 5, 1)})
    stock = {row["id"]: (row["stock_on_hand"], row["stock_reserved"]) for row in answer["data"]}
    assert stock == {
        "tea-g": (8, 1),
        "tea-k": (-2, 0),
        "cup-1": (10, 0),
        "spoon-1": (50, 0),
        "spoon-n": (5, 0),
    }
    units = {row["id"]: row["units_sold"] for row in answer["data"]}
    assert units == {"tea-g": 0, "tea-k": 0, "cup-1": 1, "spoon-1": 0, "spoon-n": 0}


def test_classes_follow_the_sales_before(report: Ask) -> None:
    """Gross: 80 of 95 come before tea-k, more than 80 %. Net: 55 of 70, less."""
    by_gross = {row["id"]: row["abc_class"] for row in report()["data"]}
    assert by_gross == {"tea-g": "A", "tea-k": "B", "cup-1": "C", "spoon-1": "C", "spoon-n": "C"}
    by_net = {row["id"]: row["abc_class"] for row in report(abc_by="net_sales")["data"]}
    assert by_net["tea-k"] == "A"
    only = report(abc_class="B")
    assert [row["id"] for row in only["data"]] == ["tea-k"]
    assert only["totals"]["gross_sales"] == D("15.00")


def test_dead_stock_is_old_and_unsold(report: Ask) -> None:
    """90 days before April are 1 January; the cup was last sold in December."""
    assert {row["id"] for row in report(dead_stock=True)["data"]} == {"cup-1", "spoon-1"}
    patient = report(dead_stock=True, dead_after_days=150)
    assert {row["id"] for row in patient["data"]} == {"spoon-1"}
    assert {row["id"] for row in report(dead_stock=False)["data"]} == {"tea-g", "tea-k", "spoon-n"}
    # since 30 March: one day is longer than that
    assert "spoon-n" in {row["id"] for row in report(dead_stock=True, dead_after_days=1)["data"]}


def test_by_product_category_and_location(report: Ask) -> None:
    def told(answer: dict[str, Any]) -> dict[Any, tuple[Any, ...]]:
        names = ("name", "stock_on_hand", "units_sold", "stock_value")
        return {row["id"]: tuple(row[name] for name in names) for row in answer["data"]}

    assert told(report(group_by="product")) == {
        "tea": ("Tea", 9, 7, D("22.00")),
        "cup": ("Cup", 4, 0, D("12.00")),
        "spoon": ("Spoon", 55, 0, D("50.00")),
    }
    assert told(report(group_by="category")) == {
        "teas": ("Teas", 9, 7, D("22.00")),
        "cups": ("Cups", 4, 0, D("12.00")),
        None: (None, 55, 0, D("50.00")),
    }
    assert told(report(group_by="location")) == {
        "main": (None, 68, 7, D("84.00")),
        "outlet": (None, 0, 0, D("0.00")),
    }
    for group in ("variant", "product", "category", "location"):
        totals = report(group_by=group)["totals"]
        assert (totals["stock_on_hand"], totals["stock_value"]) == (68, D("84.00"))


def test_filters(report: Ask) -> None:
    def ids(**options: Any) -> set[str]:
        return {row["id"] for row in report(**options)["data"]}

    assert ids(in_stock=False) == {"tea-k"}
    assert ids(location_id="outlet") == {"cup-1"}
    assert ids(category_id="teas") == {"tea-g", "tea-k"}
    assert ids(product_id="spoon") == {"spoon-1", "spoon-n"}


def test_sorts_put_what_has_none_last_and_ties_in_the_order_of_ids(report: Ask) -> None:
    def ids(sort: str, order: str = "desc") -> list[str]:
        return [row["id"] for row in report(sort=sort, order=order)["data"]]

    none = ["cup-1", "spoon-1", "spoon-n"]
    assert ids("days_of_inventory") == ["tea-g", "tea-k", *none]
    assert ids("days_of_inventory", "asc") == ["tea-k", "tea-g", *none]
    assert ids("last_sold_at") == ["tea-k", "tea-g", "cup-1", "spoon-1", "spoon-n"]
    assert ids("name", "asc") == ["cup-1", "spoon-1", "spoon-n", "tea-g", "tea-k"]
    assert ids("sell_through")[:2] == ["tea-k", "tea-g"]
    whole = ids("stock_value")
    pages = [report(sort="stock_value", limit=2, offset=offset)["data"] for offset in (0, 2, 4)]
    assert [row["id"] for page in pages for row in page] == whole


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_has_all_rows_of_the_page(
    place: tuple[Engine, Lake, Snapshot], report: Ask, form: str
) -> None:
    engine, lake, snapshot = place
    asked, options = request(snapshot, **MARCH), InventoryOptions(sort="name", order="asc")
    file = build_inventory_file(engine, lake, asked, options, form)
    assert file.name == f"inventory-by-variant-2026-03-01-2026-03-31-USD.{form}"
    data = io.BytesIO(b"".join(file.read_in_parts()))
    rows = [{**row, "currency": "USD"} for row in report(sort="name", order="asc")["data"]]
    if form == "parquet":
        frame = pl.read_parquet(data)
        assert frame.columns == [column.name for column in COLUMNS]
        assert frame.schema["is_dead_stock"] == pl.Boolean
        found = frame.with_columns(pl.col("last_sold_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
        assert found.to_dicts() == rows
    else:
        in_csv = list(csv.DictReader(io.TextIOWrapper(data, "utf-8", newline="")))
        assert in_csv == [
            {
                name: {None: "", "True": "true", "False": "false"}.get(
                    value if value is None else str(value), str(value)
                )
                for name, value in row.items()
            }
            for row in rows
        ]


def test_a_lake_without_stock_says_so(place: tuple[Engine, Lake, Snapshot]) -> None:
    engine, lake, snapshot = place
    versions = {name: v for name, v in snapshot.versions.items() if name != "stock_levels"}
    old = Snapshot(snapshot.id, snapshot.as_of, versions)
    with pytest.raises(TableMissing, match="stock_levels"):
        build_inventory(engine, lake, request(old, **MARCH), InventoryOptions())


# Around the night in which São Paulo has no midnight.
FIRST = date(2018, 11, 2)
moves = st.tuples(st.integers(0, 24 * 60 * 5), st.sampled_from(["a", "b"]), st.integers(-9, 9))


@settings(max_examples=15, deadline=None)
@given(history=st.lists(moves, max_size=20))
def test_stock_of_each_day_is_the_sum_of_the_ledger(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, str, int]]
) -> None:
    zone = find_zone("America/Sao_Paulo")
    start = datetime(2018, 11, 2, 3, tzinfo=UTC)
    moved = [(start + timedelta(minutes=m), variant, delta) for m, variant, delta in history]
    movements = [
        {
            "movement_key": f"{at.isoformat()}/{number}",
            "variant_id": variant,
            "location_id": "main",
            "quantity_delta": delta,
            "reserved_delta": 1,
            "reason": "adjusted",
            "moved_at": at,
        }
        for number, (at, variant, delta) in enumerate(moved)
    ]
    levels = [
        {
            "variant_id": variant,
            "location_id": "main",
            "quantity": sum(delta for _, of, delta in moved if of == variant),
            "reserved": sum(1 for _, of, _ in moved if of == variant),
        }
        for variant in ("a", "b")
    ]
    dims = {name: stocked_shop.TABLES[name][:1] for name in ("dim_products", "dim_variants")}
    variants = [{**dims["dim_variants"][0], "variant_id": variant} for variant in ("a", "b")]
    tables = {
        "dim_products": dims["dim_products"],
        "dim_variants": variants,
        "stock_levels": levels,
        "inventory_movements": movements,
    }
    folder: Path = tmp_path_factory.mktemp("lake")
    snapshot = write_lake(folder, {stocked_shop.TENANT: tables})
    engine = Engine(str(folder))
    try:
        for number in range(5):
            day = FIRST + timedelta(days=number)
            days = {"start": day, "end": day + timedelta(days=1)}
            asked = request(snapshot, timezone="America/Sao_Paulo", **days)
            answer = build_inventory(engine, Lake(str(folder)), asked, InventoryOptions())
            found = {row["id"]: row["stock_on_hand"] for row in answer["data"]}
            expected = {
                variant: sum(
                    delta
                    for at, of, delta in moved
                    if of == variant and at.astimezone(zone).date() <= day
                )
                for variant in ("a", "b")
            }
            assert found == expected
    finally:
        engine.close()
