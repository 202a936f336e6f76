"""Refunds made over HTTP, and orders that cost nothing, as the lake has them."""

from decimal import Decimal
from pathlib import Path

from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.app import App
from shop_api.kernel.clock import utc_now
from tests.api.test_fulfillments import act, some
from tests.api.test_orders import move, pay
from tests.api.test_refunds import taxed_order
from tests.factories.pricing import percent_off, place
from tests.fixtures.api import Shop
from tests.fixtures.lake import new_lake, rows
from tests.fixtures.stores import Database


def test_the_lake_tells_of_a_part_refunded_as_postgres_does(
    app: App, shop: Shop, database: Database, tmp_path: Path
) -> None:
    order = taxed_order(app, shop)
    pay(shop, order)
    move(shop, order, "complete")
    act(shop, order, "refunds", {**some(order, 1), "shipping_amount": 2})
    gone = taxed_order(app, shop)
    pay(shop, gone)
    act(shop, gone, "refunds", {"amount": 5})
    move(shop, gone, "cancel")
    lake = new_lake(database, tmp_path / "lake")
    run_export(lake, utc_now())
    assert run_verify(lake, utc_now()).differences == []
    sales = rows(lake, "daily_sales").filter(tenant_id=str(shop.tenant_id))
    for basis in ("order_date", "event_date"):
        days = sales.filter(basis=basis)
        found = [days[name].sum() for name in ("gross_sales", "returns", "shipping", "taxes")]
        assert found == [Decimal(30), Decimal("9.66"), Decimal(3), Decimal("1.64")], basis


def test_an_order_that_cost_nothing_is_paid_in_the_lake_too(
    app: App, shop: Shop, database: Database, tmp_path: Path
) -> None:
    percent_off(shop, "100", "FREE")
    order = place(shop, (shop.product("10.00"), 2), discount_codes=["FREE"]).json
    act(shop, order, "refunds", some(order, 1))
    lake = new_lake(database, tmp_path / "lake")
    run_export(lake, utc_now())
    assert run_verify(lake, utc_now()).differences == []
    [fact] = rows(lake, "orders").filter(tenant_id=str(shop.tenant_id)).to_dicts()
    assert (fact["status"], fact["payment_status"]) == ("processing", "paid")
    assert (fact["status"], fact["payment_status"]) == (order["status"], order["payment_status"])
    assert fact["total"] == order["total"] == 0
