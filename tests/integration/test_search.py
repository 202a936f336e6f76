"""Search: words and their beginnings without accents, ranked, shown, and nobody else's."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.domains.search.service import mark, number_ranges
from shop_api.kernel.folding import fold_text
from tests.factories.rows import make_tenant
from tests.fixtures.api import ApiClient, Shop
from tests.fixtures.stores import Database

SEARCH = "/api/v1/search"


def find(api: ApiClient, q: str, **query: Any) -> dict[str, list[dict[str, Any]]]:
    answered = api.get(SEARCH, query={"q": q, **query})
    assert answered.status == 200, answered.body
    found: dict[str, list[dict[str, Any]]] = answered.json
    return found


def names(shop: Shop, q: str) -> list[str]:
    return [hit["name"] for hit in find(shop.api, q)["products"]]


@pytest.mark.parametrize(
    "q", ["Crème Brûlée", "creme brulee", "CREME", "brul", "bru cre", "crème-brûlée!", " creme  "]
)
def test_accents_case_and_the_rest_of_a_word_do_not_count(shop: Shop, q: str) -> None:
    shop.product(name="Crème Brûlée dish")
    shop.product(name="Plate")
    assert names(shop, q) == ["Crème Brûlée dish"]


@pytest.mark.parametrize(
    ("name", "q"),
    [
        ("Ærø Straße", "aero strasse"),
        ("Łódź", "lodz"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("ЧАЙ", "чай"),
        ("\ufb01g", "fig"),
        ("İstanbul", "istanbul"),
        ("日本茶", "日本"),
    ],
)
def test_letters_of_other_alphabets_are_found(shop: Shop, name: str, q: str) -> None:
    shop.product(name=name)
    assert names(shop, q) == [name]


def test_the_nearest_comes_first(shop: Shop) -> None:
    shop.product(name="Plate", description="goes with a mug")
    shop.product(name="Mugwort tea")
    shop.product(name="Fig mug")
    shop.product(name="Mug")
    assert names(shop, "mug")[0] == "Mug"
    assert names(shop, "mug")[1] == "Fig mug"
    assert set(names(shop, "mug")) == {"Mug", "Fig mug", "Mugwort tea", "Plate"}
    assert names(shop, "fig mugw") == []


def test_products_are_found_by_code_and_tag(shop: Shop) -> None:
    shop.product(name="Shirt", sku="TS-100", tags=["summer"])
    shop.product(name="Hat", variants=[{"title": "Red", "sku": "HAT-RED"}])
    assert names(shop, "ts-100") == ["Shirt"]
    assert names(shop, "summ") == ["Shirt"]
    assert names(shop, "hat-red") == ["Hat"]


def test_a_change_is_found_at_once_and_what_was_no_more(shop: Shop) -> None:
    product = shop.product(name="Kettle")
    shop.api.patch(f"/api/v1/products/{product['id']}", {"name": "Teapot"})
    assert (names(shop, "kettle"), names(shop, "teapot")) == ([], ["Teapot"])


def test_customers_and_their_orders_are_found(shop: Shop) -> None:
    body = {"first_name": "Zoë", "last_name": "O'Hara", "email": "zoe@hara.example"}
    customer = shop.api.post("/api/v1/customers", {**body, "phone": "+1 555-0100"}).json
    lines = [{"variant_id": shop.product()["variants"][0]["id"], "quantity": 1}]
    sent = {"lines": lines, "customer_id": customer["id"], "external_id": "WEB-7"}
    order = shop.api.post("/api/v1/orders", sent).json
    for q in ("zoe", "ohara zoe", "zoe@hara.example", "555-0100", "hara"):
        found = find(shop.api, q)
        if q != "ohara zoe":
            assert [hit["id"] for hit in found["customers"]] == [customer["id"]], q
            assert [hit["id"] for hit in found["orders"]] == [order["id"]], q
    for q in (str(order["number"]), f"#{order['number']}", "WEB-7"):
        assert [hit["id"] for hit in find(shop.api, q)["orders"]] == [order["id"]], q
    assert find(shop.api, "hara", type="orders")["orders"] == []


def test_what_was_found_is_marked_and_all_else_escaped(shop: Shop) -> None:
    shop.product(name="Café <b>& Crème</b>")
    (hit,) = find(shop.api, "cafe cre")["products"]
    expected = "<mark>Café</mark> &lt;b&gt;&amp; <mark>Crè</mark>me&lt;/b&gt;"
    assert hit["highlight"] == {"name": expected}
    assert mark("Straße", ["strasse"]) == "<mark>Straße</mark>"
    assert mark("Street", ["strasse"]) == "Street"


def test_each_kind_needs_its_scope(api: ApiClient, shop: Shop) -> None:
    shop.product(name="Ada's mug")
    shop.product(name="Ada's draft", status="draft")
    shop.api.post("/api/v1/customers", {"first_name": "Ada"})

    def client(**body: Any) -> ApiClient:
        made = shop.api.post("/api/v1/api_keys", {"name": "x", **body})
        return api.with_token(made.json["key"])

    reader = client(scopes=["catalog:read", "orders:read"])
    assert find(reader, "ada").keys() == {"products", "orders"}
    refused = reader.get(SEARCH, query={"q": "ada", "type": "customers"})
    assert (refused.status, refused.code) == (403, "insufficient_scope")
    assert "customers:read" in refused.json["detail"]
    assert client(scopes=["tenant:read"]).get(SEARCH, query={"q": "a"}).status == 403
    page = find(client(kind="publishable"), "ada")
    assert [hit["name"] for hit in page["products"]] == ["Ada's mug"]
    assert page.keys() == {"products"}


@pytest.mark.parametrize("q", ["", " ", "!!!", "'", "a & b | !c", ":*", "\\", "' or 1=1 --", "<->"])
def test_no_text_breaks_it(shop: Shop, q: str) -> None:
    answered = shop.api.get(SEARCH, query={"q": q})
    assert answered.status == (200 if q else 400)


def test_one_tenant_never_finds_anothers(
    app: App, database: Database, shop: Shop, other_shop: Shop
) -> None:
    other_shop.product(name="Secret", tags=["secret"])
    assert names(shop, "secret") == []
    # nor does whoever calls the functions without a tenant, or with none there is
    for tenant in ("", str(make_tenant(database))):
        with app.services.engine.begin() as connection:
            connection.execute(text("SELECT set_config('app.tenant_id', :t, true)"), {"t": tenant})
            for name in ("products", "customers"):
                query = f"SELECT count(*) FROM search_{name}('secret', NULL, 10)"
                assert connection.execute(text(query)).scalar_one() == 0
            query = "SELECT count(*) FROM search_products_tagged('{secret}', 10)"
            assert connection.execute(text(query)).scalar_one() == 0
    with tenant_session(app.services.engine, other_shop.tenant_id) as session:
        found = session.execute(text("SELECT count(*) FROM search_products('secret', NULL, 10)"))
        assert found.scalar_one() == 1


def test_the_index_is_used_for_a_common_word(app: App, database: Database, shop: Shop) -> None:
    with psycopg.connect(database.migrator_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO products (tenant_id, id, name, price, currency, status, created_at,"
            " updated_at) SELECT %s, gen_random_uuid(), 'Common thing ' || n, 1, 'USD', 'active',"
            " now(), now() FROM generate_series(1, 5000) n",
            (shop.tenant_id,),
        )
        connection.execute("VACUUM ANALYZE products")
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        # a backend also counts here what earlier transactions of its connection have not sent yet
        scans = text(
            "SELECT coalesce(sum(seq_scan), 0), coalesce(sum(idx_scan), 0)"
            " FROM pg_stat_xact_user_tables WHERE relname = 'products'"
        )
        seq_scans_before, idx_scans_before = session.execute(scans).one()
        found = session.execute(text("SELECT count(*) FROM search_products('comm', NULL, 10)"))
        assert found.scalar_one() == 10
        seq_scans, idx_scans = session.execute(scans).one()
    assert seq_scans == seq_scans_before
    assert idx_scans >= idx_scans_before + 2


def test_numbers_are_found_by_their_first_digits() -> None:
    assert number_ranges("12")[:3] == [(12, 13), (120, 130), (1200, 1300)]
    assert number_ranges("#7")[0] == (7, 8)
    for q in ("0", "-1", "1.5", "x", "9" * 13, "\u0661"):
        assert number_ranges(q) == []


@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(value=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F), max_size=40))
def test_folding_is_the_same_in_both_languages(database: Database, value: str) -> None:
    with database.engine.connect() as connection:
        found = connection.execute(text("SELECT fold_text(:v)"), {"v": value}).scalar_one()
    assert found == fold_text(value)
