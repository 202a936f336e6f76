"""Many buyers of the last unit: one gets it, stock ends at zero and never goes below."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.fixtures.api import Shop

BUYERS = 200


def test_two_hundred_buyers_of_the_last_unit(app: App, shop: Shop) -> None:
    product = shop.product(quantity=1)
    variant_id = product["variants"][0]["id"]

    def buy(index: int) -> tuple[int, str]:
        answered = shop.order((variant_id, 1), key=f"buyer-{index}")
        return answered.status, "" if answered.status == 201 else answered.code

    with ThreadPoolExecutor(16) as pool:
        outcomes = Counter(pool.map(buy, range(BUYERS)))
    assert outcomes == {(201, ""): 1, (409, "out_of_stock"): BUYERS - 1}
    inventory = shop.api.get(f"/api/v1/products/{product['id']}").json["inventory"]
    assert (inventory["quantity"], inventory["reserved_quantity"]) == (1, 1)
    assert inventory["available_quantity"] == 0
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        held = session.execute(
            text("SELECT sum(reserved_delta) FROM stock_movements WHERE variant_id = :id"),
            {"id": variant_id},
        ).scalar()
    assert held == 1
