"""Products sorted by what is left of them: their rows follow stock, order by order."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from shop_api.db.tenancy import tenant_session
from shop_api.domains.inventory.tasks import refresh_available
from shop_api.kernel.clock import utc_now
from shop_api.spine.jobs import WorkerContext
from tests.api.test_orders import move
from tests.fixtures.api import Shop
from tests.fixtures.stores import Database

PRODUCTS = "/api/v1/products"


@pytest.fixture
def context(
    database: Database, redis_client: redis.Redis, redis_url: str, tmp_path: Path
) -> WorkerContext:
    return WorkerContext(
        database.settings(tmp_path, redis_url),
        database.engine,
        database.exporter_engine,
        database.waker,
        redis_client,
    )


def by_inventory(shop: Shop, context: WorkerContext) -> list[tuple[str, int]]:
    refresh_available(context, utc_now())
    data = shop.api.get(PRODUCTS, query={"sort": "inventory", "order": "desc"}).json["data"]
    with tenant_session(context.engine, shop.tenant_id) as session:
        query = text("SELECT name, available_quantity FROM products")
        kept: dict[str, int] = dict(iter(session.execute(query)))
    # what the row keeps is what the product tells
    assert {p["name"]: p["inventory"]["available_quantity"] for p in data} == kept
    return [(p["name"], p["inventory"]["available_quantity"]) for p in data]


def adjust(shop: Shop, product: dict[str, Any], delta: int) -> None:
    body = {"adjustments": [{"variant_id": product["variants"][0]["id"], "delta": delta}]}
    assert shop.api.post("/api/v1/inventory/adjustments", body).status == 200


def test_whatever_moves_stock_moves_the_product(shop: Shop, context: WorkerContext) -> None:
    a = shop.product("1.00", 5, name="a")
    shop.product("1.00", 3, name="b")
    shop.product(
        name="c",
        variants=[{"title": v, "inventory": {"quantity": 2}} for v in ("x", "y")],
    )
    assert by_inventory(shop, context) == [("a", 5), ("c", 4), ("b", 3)]
    order = shop.order((a["variants"][0]["id"], 4)).json
    assert by_inventory(shop, context) == [("c", 4), ("b", 3), ("a", 1)]
    move(shop, order, "cancel")
    adjust(shop, a, 5)
    assert by_inventory(shop, context) == [("a", 10), ("c", 4), ("b", 3)]
    variant = {"title": "z", "options": [{"name": "Size", "value": "z"}]}
    added = shop.api.post(f"{PRODUCTS}/{a['id']}/variants", {**variant, "price": Decimal(1)}).json
    adjust(shop, {"variants": [added]}, 7)
    assert by_inventory(shop, context)[0] == ("a", 17)


def test_it_is_no_change_of_the_product(shop: Shop, context: WorkerContext) -> None:
    product = shop.product("1.00", 5, name="a")
    path = f"{PRODUCTS}/{product['id']}"
    before = shop.api.get(path)
    assert by_inventory(shop, context) == [("a", 5)]
    assert shop.api.get(path).body == before.body
    changed = shop.api.patch(path, {"name": "b"}, headers={"If-Match": before.headers["ETag"]})
    assert changed.status == 200


def test_a_run_that_never_ran_here_looks_at_all(
    shop: Shop, database: Database, context: WorkerContext
) -> None:
    shop.product("1.00", 5, name="a")
    by_inventory(shop, context)
    refresh_available(context, utc_now())
    with tenant_session(context.engine, shop.tenant_id) as session:
        session.execute(text("UPDATE products SET available_quantity = 99"))
    # its events are seen and past: a run looks at what moved since, and at nothing else
    refresh_available(context, utc_now())
    with tenant_session(context.engine, shop.tenant_id) as session:
        assert session.execute(text("SELECT available_quantity FROM products")).scalar() == 99
    with database.exporter_engine.begin() as connection:
        connection.execute(text("DELETE FROM spine_cursors WHERE name = 'available_quantities'"))
    assert by_inventory(shop, context) == [("a", 5)]
