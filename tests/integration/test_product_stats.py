"""What products have sold: from orders over the lake into the catalogue, where lists sort by it."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from pipelines.context import LakeContext
from pipelines.figure_jobs import jobs
from pipelines.figures import Figures
from pipelines.product_stats import PRODUCT_STATS, refresh_product_stats
from pipelines.runner import run_export
from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.clock import utc_now
from shop_api.models import product_stats
from shop_api.spine.jobs import WorkerContext
from tests.api.test_fulfillments import act, some
from tests.api.test_orders import move, pay
from tests.factories.pricing import percent_off, tax
from tests.fixtures.api import ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

PRODUCTS = "/api/v1/products"
D = Decimal


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


@pytest.fixture
def lake(database: Database, context: WorkerContext) -> LakeContext:
    return new_lake(database, Path(context.lake_location))


@pytest.fixture
def figures(context: WorkerContext) -> Figures:
    return Figures(context)


def export(lake: LakeContext, context: WorkerContext, figures: Figures) -> int:
    run_export(lake, utc_now())
    return refresh_product_stats(context, figures, utc_now())


def stats(shop: Shop, product: dict[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    found = shop.api.get(f"{PRODUCTS}/{product['id']}").json
    assert found["conversion_rate"] is None
    return found["total_sales"], found["profit_margin"]


def ordered(shop: Shop, *lines: tuple[dict[str, Any], int], **more: Any) -> dict[str, Any]:
    body = [{"variant_id": p["variants"][0]["id"], "quantity": n} for p, n in lines]
    answered = shop.api.post("/api/v1/orders", {"lines": body, **more})
    assert answered.status == 201, answered.body
    order: dict[str, Any] = answered.json
    return order


def test_products_tell_what_they_sold(
    api: ApiClient, shop: Shop, lake: LakeContext, context: WorkerContext, figures: Figures
) -> None:
    mug = shop.product("10.00", 99, name="mug", cost_price=D("4.00"))
    cup = shop.product("30.00", 99, name="cup")
    jug = shop.product("50.00", 99, name="jug", cost_price=D("60.00"))
    idle = shop.product(name="idle")
    other = open_shop(api)
    theirs = other.product("7.00", 99)
    ordered(other, (theirs, 1))
    before = shop.api.get(f"{PRODUCTS}/{mug['id']}")
    assert before.json["stats_as_of"] is None
    # tax is no sale, a discount is none either
    tax(shop, "0.10")
    percent_off(shop, "10", "TENTH")
    ordered(shop, (mug, 5), (cup, 1))
    refunded = ordered(shop, (mug, 2), discount_codes=["TENTH"])
    pay(shop, refunded)
    assert act(shop, refunded, "refunds", some(refunded, 1)).status == 201
    cancelled = ordered(shop, (jug, 1))
    assert export(lake, context, figures) >= 2

    # 50 + 18 − 9 come back; cost 4 × 6
    assert stats(shop, mug) == (D("59.00"), D("0.593220"))
    # cost unknown
    assert stats(shop, cup) == (D("30.00"), None)
    assert stats(shop, jug) == (D("50.00"), D("-0.2"))
    assert stats(shop, idle) == (D("0.00"), None)
    assert stats(other, theirs) == (D("7.00"), None)
    after = shop.api.get(f"{PRODUCTS}/{mug['id']}")
    assert after.json["stats_as_of"] > before.json["updated_at"]
    # nobody changed the product: an edit begun before goes through
    assert after.json["updated_at"] == before.json["updated_at"]
    edited = shop.api.patch(
        f"{PRODUCTS}/{mug['id']}", {"tags": ["x"]}, headers={"If-Match": before.headers["ETag"]}
    )
    assert edited.status == 200
    for order, names in (("desc", "mug jug cup idle"), ("asc", "idle cup jug mug")):
        listed = shop.api.get(PRODUCTS, query={"sort": "total_sales", "order": order}).json["data"]
        assert [product["name"] for product in listed] == names.split()

    # what is cancelled leaves nothing behind
    move(shop, cancelled, "cancel")
    assert export(lake, context, figures) == 1
    assert stats(shop, jug) == (D("0.00"), None)
    assert stats(shop, mug) == (D("59.00"), D("0.593220"))


def test_nothing_is_written_while_nothing_is_sold(
    app: App, shop: Shop, lake: LakeContext, context: WorkerContext, figures: Figures
) -> None:
    product = shop.product("10.00", 99)
    ordered(shop, (product, 1))
    assert export(lake, context, figures) >= 1
    before = shop.api.get(f"{PRODUCTS}/{product['id']}")
    shop.api.post("/api/v1/customers", {"first_name": "Ada"})
    assert export(lake, context, figures) == 0
    assert shop.api.get(f"{PRODUCTS}/{product['id']}").headers["ETag"] == before.headers["ETag"]
    # another sale moves its product's row and no other
    still = shop.product("20.00", 99)
    ordered(shop, (still, 1))
    rows = "SELECT id::text, xmin::text FROM products"
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        old = dict(iter(session.execute(text(rows))))
    assert export(lake, context, figures) == 1
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        new = dict(iter(session.execute(text(rows))))
    assert {row for row in new if new[row] != old[row]} == {still["id"]}


def test_a_tenant_whose_figures_fail_does_not_hold_up_the_others(
    api: ApiClient, shop: Shop, lake: LakeContext, context: WorkerContext, figures: Figures
) -> None:
    others = [open_shop(api) for _ in range(3)]
    products = [(each, each.product("10.00", 99)) for each in (shop, *others)]
    for each, product in products:
        ordered(each, (product, 1))
    run_export(lake, utc_now())
    lost = Path(figures_files(figures, shop)[0])
    kept = lost.read_bytes()
    lost.write_bytes(b"PAR1 no more")
    with pytest.raises(RuntimeError, match="of 1 tenants failed"):
        refresh_product_stats(context, figures, utc_now())
    assert [stats(each, product)[0] for each, product in products] == [0, 10, 10, 10]
    lost.write_bytes(kept)
    assert refresh_product_stats(context, Figures(context), utc_now()) == 1
    assert stats(*products[0])[0] == 10


def figures_files(figures: Figures, shop: Shop) -> list[str]:
    snapshot = figures.snapshot()
    assert snapshot is not None
    return figures.lake.files("order_lines", snapshot, str(shop.tenant_id))


def test_the_worker_refreshes_them(
    shop: Shop, lake: LakeContext, context: WorkerContext, database: Database
) -> None:
    product = shop.product("10.00", 99)
    ordered(shop, (product, 2))
    (job,) = [job for job in jobs(context) if job.name == PRODUCT_STATS]
    job.run(utc_now())
    assert stats(shop, product)[0] == 0
    run_export(lake, utc_now())
    job.run(utc_now() + timedelta(seconds=30))
    assert stats(shop, product)[0] == 20
    with database.exporter_engine.connect() as connection:
        kept = connection.execute(product_stats.select()).all()
    assert shop.tenant_id in {row.tenant_id for row in kept}


def test_a_storefront_is_not_told(shop: Shop) -> None:
    shop.product("10.00")
    key = shop.api.post("/api/v1/api_keys", {"name": "page", "kind": "publishable"}).json["key"]
    page = shop.api.with_token(key)
    (product,) = page.get(PRODUCTS).json["data"]
    for name in ("total_sales", "profit_margin", "conversion_rate", "stats_as_of"):
        assert product[name] is None
    refused = page.get(PRODUCTS, query={"sort": "total_sales"})
    assert (refused.status, refused.code) == (403, "sort_not_allowed")
    assert page.get(PRODUCTS, query={"sort": "price"}).status == 200
