"""Every list is read along an index: no sort, no walk over the whole table."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from shop_api.app import App
from shop_api.kernel.cache_policy import REAL_TIME
from shop_api.web.pagination import PAGING
from tests.factories.big_shop import HOT_ROWS, ROWS, fill
from tests.factories.list_plans import LISTS, PRODUCT_SORTS, SORTED
from tests.factories.operations import operations
from tests.factories.pricing import ADDRESS, place
from tests.factories.rows import make_tenant
from tests.fixtures.api import ApiClient, Shop, open_shop
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

# read whole while there are few tenants
ONE_ROW_A_TENANT = {"product_stats"}

# each list is read, however often it was
APP_SETTINGS = {"cache_bytes": 0}


@pytest.fixture(scope="module")
def big_shop(api: ApiClient, database: Database) -> Shop:
    """A shop with many rows, beside a neighbour with as many."""
    shop = open_shop(api)
    with psycopg.connect(database.server.url(database.name)) as connection:
        fill(connection, shop.tenant_id, HOT_ROWS)
        fill(connection, make_tenant(database), ROWS)
    with psycopg.connect(database.migrator_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return shop


PLACE = re.compile(r"%(?:\((\w+)\)s|s|%)")


def numbered(statement: str) -> str:
    """A statement with `$1` for its values, as Postgres prepares it."""
    places: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found.group() == "%%":
            return "%"
        name = found.group(1) or f"{len(places)}"
        return f"${places.setdefault(name, len(places) + 1)}"

    return PLACE.sub(number, statement)


def plan_of(app: App, tenant_id: UUID, statement: str) -> list[dict[str, Any]]:
    """The nodes of a statement's generic plan, as the application's role runs it.

    Explained with its values, it would be planned for them.
    """
    with app.services.engine.begin() as connection:
        connection.exec_driver_sql(
            "SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),)
        )
        driver: Any = connection.connection.driver_connection
        text = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered(statement)}"
        (explained,) = driver.execute(text, prepare=False).fetchone()
    return list(nodes(explained[0]["Plan"]))


def list_statement(sent: list[tuple[str, Any]]) -> str:
    """The one that finds a page's rows; of products the JSON may be asked for after it."""
    return [statement for statement, _ in sent if " LIMIT " in statement.replace("\n", " ")][-1]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("page", ["first", "after", "last"])
@pytest.mark.parametrize(("name", "query", "index"), LISTS + SORTED)
def test_a_page_is_read_along_its_index(
    app: App, big_shop: Shop, name: str, query: dict[str, Any], index: str, page: str
) -> None:
    path = f"/api/v1/{name}"
    asked = dict(query)
    if page == "after":
        info = big_shop.api.get(path, query=query).json["page_info"]
        if info["end_cursor"] is None:
            return  # a filter that leaves nothing has one page
        asked["after"] = info["end_cursor"]
    if page == "last":
        asked["last"] = 20
    with statements(app.services.engine) as sent:
        assert big_shop.api.get(path, query=asked).status == 200
    found = plan_of(app, big_shop.tenant_id, list_statement(sent))
    used = {node["Index Name"] for node in found if "Index Name" in node}
    # where two are as good, statistics decide
    assert used & set(index.split("|"))
    # those found by their words are few, and are all looked up
    is_sorted = (name, query, index) in SORTED
    if page == "after" and not index.startswith("uq_") and "search" not in query and not is_sorted:
        # the page starts at its place in the index, it does not walk there from the beginning
        carrier = next(node for node in found if node.get("Index Name") == index)
        # an order's events are told apart by their sequence alone
        assert "ROW(" in carrier["Index Cond"] or "sequence >" in carrier["Index Cond"]
    scanned = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    assert scanned <= ONE_ROW_A_TENANT, f"reads all of {scanned}"
    top = [node for node in found if node["Node Type"] in ("Sort", "Incremental Sort")]
    # inside a row its lines are sorted; the list itself never is
    assert all(node["Plan Rows"] < 1000 for node in top)


@pytest.mark.parametrize("sort", PRODUCT_SORTS)
def test_a_walk_tells_by_the_index_which_products_it_reads(
    app: App, big_shop: Shop, sort: str
) -> None:
    asked = {"sort": sort, "in_stock": "true", "has_variants": "false", "status": "active"}
    with statements(app.services.engine) as sent:
        assert big_shop.api.get("/api/v1/products", query=asked).status == 200
    found = plan_of(app, big_shop.tenant_id, list_statement(sent))
    (walk,) = [node for node in found if node.get("Relation Name") == "products"]
    assert "is_in_stock" in walk["Index Cond"]
    assert "has_variants" in walk["Index Cond"]
    assert "status" in walk["Filter"]


@pytest.mark.parametrize("is_kept", [False, True])
def test_documents_of_products_are_looked_up_by_their_ids(
    app: App, database: Database, big_shop: Shop, is_kept: bool
) -> None:
    path = "/api/v1/products"
    product_id = big_shop.api.get(path, query={"limit": 1}).json["data"][0]["id"]

    def looked_up(path: str, **query: Any) -> list[str]:
        if not is_kept:
            with psycopg.connect(database.migrator_url) as connection:
                connection.execute("UPDATE products SET name = name WHERE id = %s", (product_id,))
        with statements(app.services.engine) as sent:
            assert big_shop.api.get(path, query=query).status == 200
        return [text for text, _ in sent if "FROM products" in text and " LIMIT " not in text]

    of_one, of_several = looked_up(f"{path}/{product_id}"), looked_up(path, limit=1)
    assert (len(of_one), len(of_several)) == ((1, 0) if is_kept else (2, 1))
    for statement in of_one + of_several:
        found = plan_of(app, big_shop.tenant_id, statement)
        scanned = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
        assert scanned <= ONE_ROW_A_TENANT


def test_every_list_is_here_with_each_sort_and_filter() -> None:
    missing: list[str] = []
    for operation in operations():
        parameters = {n: p for n, p in operation.parameters.items() if p["in"] == "query"}
        # the platform's own (tests/api/test_platform_tenants.py, test_pipelines.py), and the lake's
        is_elsewhere = operation.path.startswith(
            ("/api/v1/tenants", "/api/v1/pipeline_runs", "/api/v1/analytics/")
        )
        if "after" not in parameters or is_elsewhere:
            continue
        path = re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.path))
        asked = [q for name, q, _ in LISTS + SORTED if path.fullmatch(f"/api/v1/{name}")]
        if not asked:
            missing.append(operation.id)
        sorts = parameters.get("sort", {}).get("schema", {}).get("enum", ())
        missing += [
            f"{operation.id}: {name}"
            for name in parameters.keys() - PAGING - {REAL_TIME}
            if not any(name in query for query in asked)
        ] + [
            f"{operation.id}: sort={sort}"
            for sort in sorts
            if len(sorts) > 1 and not any(query.get("sort") == sort for query in asked)
        ]
    assert missing == []


def test_an_order_looks_up_its_terms(app: App, big_shop: Shop) -> None:
    rate = big_shop.api.get("/api/v1/shipping_rates").json["data"][0]
    product = big_shop.product()
    sent = {
        "shipping_rate_id": rate["id"],
        "shipping_address": {**ADDRESS, "country": "FR"},
        "discount_codes": ["C1", "C-2"],
    }
    with statements(app.services.engine) as placing:
        assert place(big_shop, (product, 1), **sent).code == "discount_not_found"
    statement = next(s for s, _ in placing if "tax_rates" in s)
    found = plan_of(app, big_shop.tenant_id, statement)
    used = {node["Index Name"] for node in found if "Index Name" in node}
    assert used >= {
        "ix_discounts_automatic",
        "uq_discounts_tenant_id_code",
        "uq_tax_rates_tenant_id_country_region_tax_class_name",
        "pk_shipping_rates",
    }
    for node in found:
        assert "Index Name" not in node or "tenant_id" in node.get("Index Cond", "")
    scanned = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    assert scanned <= {"tenants"}, "of which there are few here"


def test_signing_in_looks_up_the_address(app: App, big_shop: Shop, api: ApiClient) -> None:
    with statements(app.services.engine) as sent:
        api.post("/api/v1/auth/login", {"email": "u7@example.com", "password": "x"})
    statement, parameters = next(s for s in sent if "FROM users" in s[0])
    with app.services.engine.begin() as connection:
        connection.exec_driver_sql("SELECT set_config('app.login_email', 'u7@example.com', true)")
        explained = connection.exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {statement}", parameters
        ).scalar_one()
    used = {node.get("Index Name") for node in nodes(explained[0]["Plan"])}
    assert "ix_users_email" in used
