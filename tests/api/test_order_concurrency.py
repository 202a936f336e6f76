"""Orders that meet: whatever the interleaving, one outcome, and nothing sold or paid twice."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.fixtures.api import Answered, Shop

ORDERS = "/api/v1/orders"
THREADS = 8


def together(*calls: Callable[[], Answered]) -> list[Answered]:
    """All calls at once."""
    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def outcomes(answers: list[Answered]) -> Counter[tuple[int, str]]:
    return Counter((a.status, "" if a.status < 300 else a.code) for a in answers)


def placed(shop: Shop, price: str = "10.00", quantity: int = 1) -> tuple[dict[str, Any], str]:
    product = shop.product(price, 10)
    order = shop.order((product["variants"][0]["id"], quantity)).json
    return order, product["id"]


def test_orders_in_opposite_order_of_variants_never_deadlock(app: App, shop: Shop) -> None:
    ids = [shop.product(quantity=1000)["variants"][0]["id"] for _ in range(4)]

    def buy(index: int) -> Answered:
        lines = ids if index % 2 else ids[::-1]
        return shop.order(*((variant_id, 1) for variant_id in lines))

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(buy, range(60)))
    assert outcomes(answers) == {(201, ""): 60}
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        levels = session.execute(text("SELECT quantity, reserved FROM stock_levels")).all()
        numbers = session.execute(text("SELECT number FROM orders ORDER BY number")).scalars()
        assert list(numbers) == list(range(1, 61))
    assert levels == [(1000, 60)] * 4


@pytest.mark.parametrize("what", ["product", "variant", "products"])
def test_a_deletion_takes_the_stock_before_the_product(app: App, shop: Shop, what: str) -> None:
    """As an order does, which then holds the product: neither waits for the other in a circle."""
    product = shop.product(variants=[{"title": "S"}, {"title": "M"}])
    path, variant_id = f"/api/v1/products/{product['id']}", product["variants"][0]["id"]
    deletions: dict[str, Callable[[], Answered]] = {
        "product": lambda: shop.api.call("DELETE", path),
        "variant": lambda: shop.api.call("DELETE", f"{path}/variants/{variant_id}"),
        "products": lambda: shop.api.call(
            "DELETE", "/api/v1/products/bulk-delete", {"ids": [product["id"]]}
        ),
    }
    stock = text("SELECT 1 FROM stock_levels WHERE variant_id = :variant_id FOR UPDATE")
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()")
    held = text("SELECT 1 FROM products WHERE id = :id FOR KEY SHARE NOWAIT")
    with (
        ThreadPoolExecutor(1) as pool,
        tenant_session(app.services.engine, shop.tenant_id) as order,
    ):
        assert order.execute(stock, {"variant_id": variant_id}).all()
        deletion = pool.submit(deletions[what])
        deadline = time.monotonic() + 10
        while not order.execute(waits).scalar():
            assert time.monotonic() < deadline, "the deletion does not wait for the stock"
        # refused at once, were it held by the deletion
        assert order.execute(held, {"id": product["id"]}).all()
        order.connection.rollback()
    assert deletion.result().status in (200, 204), deletion.result().body


def test_orders_and_stocktakes_at_once_keep_every_unit(app: App, shop: Shop) -> None:
    ids = [shop.product(quantity=200)["variants"][0]["id"] for _ in range(3)]

    def act(index: int) -> Answered:
        if index % 3 == 0:
            adjustments = [{"variant_id": variant_id, "delta": 1} for variant_id in ids[::-1]]
            return shop.api.post("/api/v1/inventory/adjustments", {"adjustments": adjustments})
        return shop.order(*((variant_id, 2) for variant_id in ids))

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(act, range(45)))
    assert outcomes(answers) == {(200, ""): 15, (201, ""): 30}
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        levels = session.execute(text("SELECT quantity, reserved FROM stock_levels")).all()
    assert levels == [(215, 60)] * 3


def test_paying_at_once_never_pays_more_than_is_due(shop: Shop) -> None:
    order, _ = placed(shop, "10.00", 3)

    def pay() -> Answered:
        body = {"method": "cash", "amount": Decimal("10.00")}
        return shop.api.post(f"{ORDERS}/{order['id']}/payments", body)

    found = outcomes(together(*[pay] * 8))
    assert found[201, ""] == 3
    assert found[409, "paid_already"] == 5
    paid = shop.api.get(f"{ORDERS}/{order['id']}").json
    assert paid["paid_total"] == paid["total"] == Decimal("30.00")
    assert (len(paid["payments"]), paid["payment_status"]) == (3, "paid")


def test_of_cancel_and_complete_one_wins(shop: Shop) -> None:
    for _ in range(5):
        order, product_id = placed(shop)
        path = f"{ORDERS}/{order['id']}"
        shop.api.post(f"{path}/payments", {"method": "cash"})
        answers = together(
            partial(shop.api.post, f"{path}/cancel"), partial(shop.api.post, f"{path}/complete")
        )
        assert outcomes(answers) == {(200, ""): 1, (409, "illegal_state_change"): 1}
        status = shop.api.get(path).json["status"]
        inventory = shop.api.get(f"/api/v1/products/{product_id}").json["inventory"]
        assert (status, inventory["quantity"], inventory["reserved_quantity"]) in (
            ("completed", 9, 0),
            ("cancelled", 10, 0),
        )


def test_cancelling_twice_at_once_frees_the_stock_once(shop: Shop) -> None:
    order, product_id = placed(shop, quantity=4)
    path = f"{ORDERS}/{order['id']}/cancel"
    found = outcomes(together(*[lambda: shop.api.post(path)] * 6))
    assert found == {(200, ""): 1, (409, "illegal_state_change"): 5}
    inventory = shop.api.get(f"/api/v1/products/{product_id}").json["inventory"]
    assert (inventory["quantity"], inventory["reserved_quantity"]) == (10, 0)


def test_of_two_edits_of_one_version_one_wins(shop: Shop) -> None:
    product = shop.product()
    path = f"/api/v1/products/{product['id']}"
    etag = shop.api.get(path).headers["ETag"]

    def edit() -> Answered:
        return shop.api.patch(path, {"description": "mine"}, headers={"If-Match": etag})

    assert outcomes(together(*[edit] * 6)) == {(200, ""): 1, (412, "precondition_failed"): 5}


def test_a_category_moved_below_its_own_child_at_once_makes_no_loop(shop: Shop) -> None:
    for index in range(4):
        ids = [
            shop.api.post("/api/v1/categories", {"name": name, "slug": f"{name}-{index}"}).json[
                "id"
            ]
            for name in ("a", "b")
        ]
        calls = [
            partial(shop.api.patch, f"/api/v1/categories/{child}", {"parent_id": parent})
            for child, parent in (ids, ids[::-1])
        ]
        together(*calls)
        parents = [
            shop.api.get(f"/api/v1/categories/{category_id}").json["parent_id"]
            for category_id in ids
        ]
        assert None in parents, "each is below the other"
