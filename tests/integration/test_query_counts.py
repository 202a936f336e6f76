"""How many statements a request takes: pinned, and the same for one row and for many."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from shop_api.app import App, create_app
from shop_api.db.tenancy import tenant_session
from tests.factories.operations import make_job
from tests.factories.pricing import ADDRESS, percent_off, place, shipping, tax
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

# besides BEGIN and COMMIT: the tenant is named, then the list is read
LIST_STATEMENTS = 2
LISTS = [
    "/api/v1/products",
    "/api/v1/categories",
    "/api/v1/customers",
    "/api/v1/orders",
    "/api/v1/inventory",
    "/api/v1/locations",
    "/api/v1/inventory/movements",
    "/api/v1/sessions",
    "/api/v1/discounts",
    "/api/v1/tax_rates",
    "/api/v1/shipping_rates",
    "/api/v1/exchange_rates",
    "/api/v1/users",
    "/api/v1/api_keys",
    "/api/v1/audit_log",
    "/api/v1/invitations",
    "/api/v1/jobs",
    "/api/v1/reports",
]


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application that trusts a checked credential, as it does under load, and keeps no list."""
    settings = database.settings(
        tmp_path_factory.mktemp("data"), redis_url, credential_cache_seconds=600, cache_bytes=0
    )
    built = create_app(settings)
    yield built
    built.close()


@dataclass
class Filled:
    """A shop with ten of everything."""

    shop: Shop
    product: dict[str, Any]
    order: dict[str, Any]


@pytest.fixture(scope="module")
def filled(app: App) -> Filled:
    shop = open_shop(ApiClient(app, AnswerChecker(app)))
    categories = [
        shop.api.post("/api/v1/categories", {"name": "C", "slug": f"c-{index}"}).json["id"]
        for index in range(10)
    ]
    for index in range(10):
        product = shop.product(
            category_ids=categories[:5],
            variants=[{"title": f"V{v}", "inventory": {"quantity": 50}} for v in range(3)],
        )
        lines = [(variant["id"], 1) for variant in product["variants"]]
        order = shop.order(*lines).json
        shop.api.post("/api/v1/customers", {"first_name": f"C{index}"})
        shop.api.post("/api/v1/locations", {"name": "L", "code": f"l-{index}"})
        shop.api.post("/api/v1/api_keys", {"name": f"K{index}"})
    return Filled(shop, product, order)


def counted(app: App, shop: Shop, path: str, **query: Any) -> int:
    shop.api.get(path, query=query)
    with statements(app.services.engine) as sent:
        assert shop.api.get(path, query=query).status == 200
    return len(sent)


@pytest.mark.parametrize("path", LISTS)
def test_a_page_takes_the_same_few_statements_whatever_it_holds(
    app: App, filled: Filled, path: str
) -> None:
    counts = {limit: counted(app, filled.shop, path, limit=limit) for limit in (1, 5, 100)}
    assert counts == dict.fromkeys((1, 5, 100), LIST_STATEMENTS)


@pytest.mark.parametrize("path", LISTS)
def test_a_total_takes_one_more(app: App, filled: Filled, path: str) -> None:
    assert counted(app, filled.shop, path, include_total="true") == LIST_STATEMENTS + 1


def test_filtering_by_category_takes_one_more(app: App, filled: Filled) -> None:
    assert counted(app, filled.shop, "/api/v1/products", category="c-1") == LIST_STATEMENTS + 1


def test_a_jobs_errors_take_one_more_than_a_list_for_the_job(app: App, filled: Filled) -> None:
    path = f"/api/v1/jobs/{make_job(filled.shop)}"
    assert counted(app, filled.shop, path) == 2
    for query, expected in (({"limit": 1}, 3), ({"limit": 100}, 3), ({"include_total": "true"}, 4)):
        assert counted(app, filled.shop, f"{path}/errors", **query) == expected


def test_one_resource_takes_two(app: App, filled: Filled) -> None:
    assert counted(app, filled.shop, f"/api/v1/products/{filled.product['id']}") == 2
    assert counted(app, filled.shop, f"/api/v1/orders/{filled.order['id']}") == 2
    assert counted(app, filled.shop, "/api/v1/tenant") == 2


@pytest.mark.parametrize("lines", [1, 3])
@pytest.mark.parametrize("key", [None, "key"])
def test_an_order_is_placed_with_five_statements_at_most(
    app: App, filled: Filled, lines: int, key: str | None
) -> None:
    wanted = [(variant["id"], 1) for variant in filled.product["variants"][:lines]]
    filled.shop.order(*wanted)
    with statements(app.services.engine) as sent:
        answered = filled.shop.order(*wanted, key=f"{key}-{lines}" if key else None)
    assert answered.status == 201
    assert len(sent) == (5 if key else 4), [statement for statement, _ in sent]


def test_taxes_and_shipping_take_no_statement_and_a_discount_takes_one(
    app: App, filled: Filled
) -> None:
    shop = open_shop(filled.shop.api)
    product = shop.product(quantity=100)
    tax(shop, "0.22", applies_to_shipping=True)
    sent = {"shipping_address": ADDRESS, "shipping_rate_id": shipping(shop)["id"]}
    percent_off(shop, "10", "CODE")
    percent_off(shop, "10", "EACH", customer_usage_limit=100)
    sent["customer_id"] = shop.api.post("/api/v1/customers", {"first_name": "Ada"}).json["id"]
    for codes, expected in (([], 4), (["CODE"], 5), (["EACH"], 7), (["CODE", "EACH"], 8)):
        with statements(app.services.engine) as placing:
            assert place(shop, (product, 1), **sent, discount_codes=codes).status == 201
        assert len(placing) == expected, [statement for statement, _ in placing]


def test_a_replay_takes_two(app: App, filled: Filled) -> None:
    wanted = (filled.product["variants"][0]["id"], 1)
    filled.shop.order(wanted, key="again")
    with statements(app.services.engine) as sent:
        answered = filled.shop.order(wanted, key="again")
    assert answered.headers["Idempotency-Replayed"] == "true"
    assert len(sent) == 2


def test_a_malformed_id_asks_nothing(app: App, filled: Filled) -> None:
    with statements(app.services.engine) as sent:
        assert filled.shop.api.get("/api/v1/products/1").code == "invalid_id"
    assert sent == []


@pytest.mark.parametrize("size", [2, 1000])
def test_many_products_are_edited_with_as_many_statements_as_few(
    app: App, filled: Filled, size: int
) -> None:
    shop = open_shop(filled.shop.api)
    category_id = shop.api.post("/api/v1/categories", {"name": "C", "slug": "c"}).json["id"]
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        query = (
            "INSERT INTO products (tenant_id, id, name, price, currency, status, created_at,"
            " updated_at) SELECT :tenant, gen_random_uuid(), 'p', 1, 'USD', 'active', now(), now()"
            " FROM generate_series(1, :size) RETURNING id"
        )
        rows = session.execute(text(query), {"tenant": shop.tenant_id, "size": size})
        ids = [str(product_id) for product_id in rows.scalars()]
    items = [
        {"id": product_id, "sku": str(number), "category_ids": [category_id]}
        for number, product_id in enumerate(ids)
    ]
    path = "/api/v1/products/bulk-"
    with statements(app.services.engine) as updating:
        updated = shop.api.call("PUT", f"{path}update", {"products": items})
    with statements(app.services.engine) as deleting:
        deleted = shop.api.call("DELETE", f"{path}delete", {"ids": ids})
    assert [answered.json["succeeded"] for answered in (updated, deleted)] == [size, size]
    # the tenant, locks, SKUs, categories, before, change, categories, after, the record
    assert len(updating) == 9
    # the tenant, stock, locks, what was sold, before, deletion, the record
    assert len(deleting) == 7
