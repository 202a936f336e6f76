"""Stock in the lake: the ledger row by row, what lies where, and what left with which parcel."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sqlalchemy import delete, text, update

from pipelines.checks.failure import CheckFailedError
from pipelines.checks.stock import check_fulfillments, check_levels, check_movements
from pipelines.context import LakeContext
from pipelines.runner import run_export, run_rebuild
from pipelines.verification import run_verify
from shop_api import models
from tests.factories.rows import make_tenant
from tests.factories.sales import add_product, day, place, selling
from tests.factories.stock import add_location, add_variant, fulfill, main_location, move
from tests.fixtures.lake import everything, everything_of, new_lake, now, published, rows
from tests.fixtures.shop import forget_tenants
from tests.fixtures.stores import Database

NEW_TABLES = (
    "inventory_movements",
    "stock_levels",
    "dim_variants",
    "fulfillments",
    "discounts",
    "taxes",
)


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    """One lake for all tests, each of its own tenant."""
    return new_lake(database, tmp_path_factory.mktemp("lake") / "lake")


def of(lake: LakeContext, table: str, tenant_id: UUID) -> pl.DataFrame:
    return rows(lake, table).filter(tenant_id=str(tenant_id)).drop("tenant_id")


def assert_equals_rebuild(lake: LakeContext) -> None:
    assert run_verify(lake, now()).differences == []
    before = everything(lake)
    run_rebuild(lake, now())
    for table, after in everything(lake).items():
        assert_frame_equal(before[table], after)


def test_a_sale_is_in_the_ledger_the_level_and_the_parcels(
    database: Database, lake: LakeContext
) -> None:
    tenant_id = make_tenant(database)
    with selling(database, tenant_id) as work:
        product = add_product(work, "Tea", sku="T-1", cost_price=Decimal("2.50"))
        variant, shelf = add_variant(work, product), main_location(work)
        move(work, variant, 10, reason="received", at=day(0))
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        order = place(work, 1, day(1), product_id=product, variant_id=variant, location_id=shelf)
        move(work, variant, 0, 2, reason="reserved", order_id=order, at=day(1))
    with selling(database, tenant_id) as work:
        fulfill(work, order, 1, day(2), carrier="DHL")
        move(work, variant, -1, -1, reason="sold", order_id=order, at=day(2))
    run_export(lake, now())

    ledger = of(lake, "inventory_movements", tenant_id)
    assert ledger.select(
        "reason", "quantity_delta", "reserved_delta", "order_id", "moved_at"
    ).rows() == [
        ("received", 10, 0, None, day(0)),
        ("reserved", 0, 2, str(order), day(1)),
        ("sold", -1, -1, str(order), day(2)),
    ]
    key = ledger["movement_key"][0]
    assert key.startswith("2026-01-01T12:00:00.000000/")
    with selling(database, tenant_id) as work:
        found = text("SELECT reason FROM stock_movements WHERE id = CAST(:id AS uuid)")
        assert work.session.execute(found, {"id": key[27:]}).scalar() == "received"
    assert of(lake, "stock_levels", tenant_id).rows() == [(str(variant), str(shelf), 9, 1)]
    [known] = of(lake, "dim_variants", tenant_id).to_dicts()
    assert (known["sku"], known["cost"], known["product_id"]) == (
        "T-1",
        Decimal("2.50"),
        str(product),
    )
    [parcel] = of(lake, "fulfillments", tenant_id).to_dicts()
    assert (parcel["quantity"], parcel["carrier"], parcel["shipped_at"]) == (1, "DHL", day(2))
    assert (parcel["variant_id"], parcel["location_id"], parcel["placed_at"]) == (
        str(variant),
        str(shelf),
        day(1),
    )
    [line] = of(lake, "order_lines", tenant_id).to_dicts()
    assert line["location_id"] == str(shelf)
    assert_equals_rebuild(lake)


def test_a_new_cost_and_a_deleted_variant_equal_a_rebuild(
    database: Database, lake: LakeContext
) -> None:
    tenant_id = make_tenant(database)
    with selling(database, tenant_id) as work:
        product = add_product(work, "Tea", cost_price=Decimal(2))
        kept = add_variant(work, product)
        gone = add_variant(work, product, cost_price=Decimal(1))
        move(work, kept, 5)
        move(work, gone, 7)
    run_export(lake, now())
    assert of(lake, "dim_variants", tenant_id)["cost"].sum() == 3
    with selling(database, tenant_id) as work:
        variants, products = models.variants, models.products
        work.session.execute(delete(variants).where(variants.c.id == gone))
        work.session.execute(
            update(products).where(products.c.id == product).values(cost_price=Decimal(4))
        )
        work.append("product_updated", "product", product, {})
    run_export(lake, now())
    [known] = of(lake, "dim_variants", tenant_id).to_dicts()
    assert (known["variant_id"], known["cost"]) == (str(kept), Decimal(4))
    assert of(lake, "stock_levels", tenant_id)["quantity"].to_list() == [5]
    assert of(lake, "inventory_movements", tenant_id)["quantity_delta"].sum() == 12
    assert_equals_rebuild(lake)


def test_an_empty_level_is_none(database: Database, lake: LakeContext) -> None:
    """It comes and goes without a movement, and nothing tells of it."""
    tenant_id = make_tenant(database)
    with selling(database, tenant_id) as work:
        variant = add_variant(work, add_product(work, "Tea"))
        move(work, variant, 5)
        move(work, variant, -5)
    run_export(lake, now())
    assert of(lake, "stock_levels", tenant_id).is_empty()
    assert of(lake, "inventory_movements", tenant_id).height == 2
    with selling(database, tenant_id) as work:
        work.session.execute(delete(models.stock_levels))
    assert_equals_rebuild(lake)


def test_only_new_rows_of_the_ledger_are_read_and_written(
    database: Database, lake: LakeContext
) -> None:
    tenant_id = make_tenant(database)
    with selling(database, tenant_id) as work:
        variants = [add_variant(work, add_product(work, "Tea")) for _ in range(3)]
        for number in range(300):
            move(work, variants[number % 3], 1, at=day(0) + timedelta(minutes=number))
    run_export(lake, now())
    with selling(database, tenant_id) as work:
        move(work, variants[0], 1, at=day(10))
    outcome = run_export(lake, now())
    # the new row joins the last file, which is short; of one variant the level is written anew
    assert outcome.rows_written["inventory_movements"] == 301
    assert outcome.rows_written["stock_levels"] == 3
    assert outcome.rows_written["orders"] == 0
    assert_equals_rebuild(lake)


def test_a_movement_committed_late_is_not_lost(database: Database, lake: LakeContext) -> None:
    """Its instant is that of the request, its transaction is seen when it is over."""
    tenant_id = make_tenant(database)
    with selling(database, tenant_id) as work:
        variant = add_variant(work, add_product(work, "Tea"))
    run_export(lake, now())
    with selling(database, tenant_id) as late:
        move(late, variant, 3, at=day(0))
        late.connection.exec_driver_sql("SELECT 1")
        with selling(database, make_tenant(database)) as other:
            add_product(other, "Cup")
        run_export(lake, now())
        assert of(lake, "inventory_movements", tenant_id).is_empty()
    run_export(lake, now())
    assert of(lake, "inventory_movements", tenant_id)["quantity_delta"].to_list() == [3]


def test_a_lake_of_a_release_without_these_tables_is_brought_up(
    database: Database, lake: LakeContext
) -> None:
    """Nothing happens in the shop, and the next export makes the lake anew."""
    tenant_id = make_tenant(database)
    with selling(database, tenant_id) as work:
        product = add_product(work, "Tea")
        variant = add_variant(work, product)
        move(work, variant, 5)
        fulfill(work, place(work, 1, day(0), product_id=product), 2, day(1))
    run_export(lake, now())
    expected = everything(lake)
    versions = {
        table: version
        for table, version in published(lake).versions.items()
        if table not in NEW_TABLES
    }
    with database.exporter_engine.begin() as connection:
        connection.execute(
            text("UPDATE lake_snapshots SET versions = CAST(:versions AS jsonb)"),
            {"versions": json.dumps(versions)},
        )
    assert rows(lake, "stock_levels").is_empty()
    assert rows(lake, "orders").height > 0

    assert run_export(lake, now()).state == "published"

    for table, frame in everything(lake).items():
        assert_frame_equal(frame, expected[table])
    assert run_export(lake, now()).state == "idle"


@dataclass(frozen=True)
class Step:
    """One movement at a place and an instant, which need not be later than the one before."""

    variant: int
    location: int
    quantity: int
    reserved: int
    hour: int
    is_exported: bool


steps = st.builds(
    Step,
    variant=st.integers(0, 2),
    location=st.integers(0, 1),
    quantity=st.integers(-5, 20),
    reserved=st.integers(0, 5),
    hour=st.integers(0, 24 * 40),
    is_exported=st.booleans(),
)
# before the turn of the clock in São Paulo
START = datetime(2018, 2, 1, tzinfo=UTC)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=st.lists(steps, min_size=1, max_size=15))
def test_levels_are_the_sum_of_the_ledger_at_any_moment(
    database: Database, tmp_path_factory: pytest.TempPathFactory, history: list[Step]
) -> None:
    """And both are those of Postgres and of a rebuild."""
    forget_tenants(database)
    tenant_id, bystander = (make_tenant(database, timezone="America/Sao_Paulo") for _ in range(2))
    with selling(database, bystander) as work:
        move(work, add_variant(work, add_product(work, "Tea")), 7, 2, at=START)
    lake = new_lake(database, tmp_path_factory.mktemp("lake") / "lake")
    # the first run makes all anew, those of the history what changed
    run_export(lake, now())
    beside = everything_of(lake, bystander)
    assert beside["stock_levels"].height == 1
    with selling(database, tenant_id) as work:
        variants = [add_variant(work, add_product(work, "Tea")) for _ in range(3)]
        places = [main_location(work), add_location(work, "outlet")]
    for step in history:
        with selling(database, tenant_id) as work:
            move(
                work,
                variants[step.variant],
                step.quantity,
                step.reserved,
                location_id=places[step.location],
                at=START + timedelta(hours=step.hour),
            )
        if step.is_exported:
            run_export(lake, now())
    run_export(lake, now())

    place_of = ["variant_id", "location_id"]
    summed = (
        of(lake, "inventory_movements", tenant_id)
        .group_by(place_of)
        .agg(
            pl.col("quantity_delta").sum().alias("quantity"),
            pl.col("reserved_delta").sum().alias("reserved"),
        )
        .filter((pl.col("quantity") != 0) | (pl.col("reserved") != 0))
        .sort(place_of)
    )
    assert_frame_equal(of(lake, "stock_levels", tenant_id), summed)
    for table, untouched in everything_of(lake, bystander).items():
        assert_frame_equal(untouched, beside[table])
    assert_equals_rebuild(lake)


def test_rows_that_break_a_rule_are_refused() -> None:
    movement = {"tenant_id": "t", "movement_key": "k", "reserved_delta": 0}
    with pytest.raises(CheckFailedError, match="what is sold leaves"):
        check_movements(pl.DataFrame([{**movement, "reason": "sold", "quantity_delta": 1}]))
    with pytest.raises(CheckFailedError, match="what is returned comes"):
        check_movements(pl.DataFrame([{**movement, "reason": "returned", "quantity_delta": -1}]))
    check_movements(pl.DataFrame([{**movement, "reason": "sold", "quantity_delta": -1}]))
    with pytest.raises(CheckFailedError, match="reserved >= 0"):
        check_levels(pl.DataFrame([{"tenant_id": "t", "variant_id": "v", "reserved": -1}]))
    line = {"tenant_id": "t", "line_id": "l"}
    ordered = pl.DataFrame([{**line, "quantity": 2}])
    check_fulfillments(pl.DataFrame([{**line, "quantity": 2}]), ordered)
    with pytest.raises(CheckFailedError, match="quantity > 0"):
        check_fulfillments(pl.DataFrame([{**line, "quantity": 0}]), ordered)
    with pytest.raises(CheckFailedError, match="than was ordered"):
        check_fulfillments(pl.DataFrame([{**line, "quantity": n} for n in (1, 2)]), ordered)
