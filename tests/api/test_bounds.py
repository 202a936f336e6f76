"""The bounds of a request, and refusals that leak nothing."""

import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shop_api.app import App, create_app
from tests.fixtures.api import AnswerChecker, Answered, ApiClient, Shop, open_shop, raw
from tests.fixtures.stores import Database

PRODUCTS = "/api/v1/products"
TENANT = "/api/v1/tenant"


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application with small bounds."""
    settings = database.settings(
        tmp_path_factory.mktemp("data"),
        redis_url,
        credential_cache_seconds=0.0,
        body_limit_bytes=50_000,
    )
    built = create_app(settings)
    yield built
    built.close()


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Shop:
    """One shop for all."""
    return open_shop(api)


def test_bodies_over_the_limit_are_refused_declared_or_not(app: App, shop: Shop) -> None:
    large = json.dumps({"first_name": "x" * 60_000}).encode()
    declared = shop.api.post("/api/v1/customers", data=large, content_type="application/json")
    assert (declared.status, declared.code) == (413, "body_too_large")
    assert "RateLimit" in declared.headers
    chunked = raw(
        app,
        "POST",
        "/api/v1/customers",
        input_stream=io.BytesIO(large),
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop.api.token}", "Transfer-Encoding": "chunked"},
        # werkzeug's client declares the length it finds
        environ_overrides={"CONTENT_LENGTH": "", "wsgi.input_terminated": True},
    )
    assert (chunked.status, chunked.code) == (413, "body_too_large")


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "9" * 5000, "+1", "٣"])
def test_a_length_that_is_no_number_is_malformed(app: App, length: str) -> None:
    answered = raw(app, "POST", "/api/v1/customers", environ_overrides={"CONTENT_LENGTH": length})
    assert (answered.status, answered.code) == (400, "invalid_content_length")


def test_a_text_that_never_ends_is_refused_at_once(api: ApiClient) -> None:
    """The bound is of nesting: more brackets than are allowed deep, then an endless text."""
    data = b"[" * 33 + b'"' + b'\\"' * 24_000
    started = time.process_time()
    answered = api.post("/api/v1/auth/login", data=data, content_type="application/json")
    assert answered.status == 400
    assert time.process_time() - started < 1


def test_a_list_beyond_its_length_is_refused_before_its_items_are_read(
    app: App, shop: Shop
) -> None:
    for path, body in [
        ("/api/v1/orders", {"lines": [{}] * 10_000}),
        (PRODUCTS, {"name": "x", "price": 1, "tags": [1] * 10_000}),
    ]:
        refused = shop.api.post(path, body)
        assert refused.status == 422
        assert len(refused.json["errors"]) == 1, path


def test_no_body_may_hold_a_list_without_a_bound(app: App) -> None:
    document = app.flask.extensions["shop_api.openapi"].to_dict()
    schemas = document["components"]["schemas"]
    bodies = [
        content["schema"]
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
        for content in operation.get("requestBody", {}).get("content", {}).values()
    ]
    unbounded: list[str] = []
    seen: set[str] = set()

    def walk(schema: dict[str, Any], name: str) -> None:
        if "$ref" in schema:
            name = schema["$ref"].split("/")[-1]
            if name not in seen:
                seen.add(name)
                walk(schemas[name], name)
            return
        if schema.get("type") == "array" and "maxItems" not in schema:
            unbounded.append(name)
        for key, value in schema.get("properties", {}).items():
            walk(value, f"{name}.{key}")
        if "items" in schema:
            walk(schema["items"], f"{name}[]")
        for part in (*schema.get("allOf", []), *schema.get("anyOf", [])):
            walk(part, name)

    for body in bodies:
        walk(body, "")
    assert seen
    assert unbounded == []


def test_a_body_where_none_is_taken_is_refused(shop: Shop) -> None:
    order = shop.order((shop.product()["variants"][0]["id"], 1)).json
    shop.api.post(f"/api/v1/orders/{order['id']}/payments", {"method": "cash"})
    path = f"/api/v1/orders/{order['id']}/complete"
    refused = shop.api.post(path, {"restock": False})
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"] == [{"pointer": "/restock", "detail": "Unknown field."}]
    assert shop.api.post(path, data=b"{x", content_type="application/json").status == 400
    assert shop.api.post(path, [1]).json["errors"][0]["pointer"] == ""
    assert shop.api.get(f"/api/v1/orders/{order['id']}").json["status"] == "processing"
    assert shop.api.post(path, {}).json["status"] == "completed"


def test_a_body_that_ends_early_is_malformed(app: App, shop: Shop) -> None:
    answered = raw(
        app,
        "POST",
        "/api/v1/customers",
        data=b"{}",
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop.api.token}"},
        environ_overrides={"CONTENT_LENGTH": "10"},
    )
    assert (answered.status, answered.code) == (400, "incomplete_body")


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        (f"{PRODUCTS}?" + "&".join(f"a{n}=1" for n in range(51)), 400, "too_many_parameters"),
        (f"{PRODUCTS}?search=" + "x" * 9000, 414, "url_too_long"),
        (f"{PRODUCTS}?tags=%00", 400, "invalid_url"),
        (f"{PRODUCTS}/%00", 400, "invalid_url"),
        (f"{PRODUCTS}?category=%ff%fe", 200, ""),
        (f"{PRODUCTS}?category=%ED%A0%80", 200, ""),
        (f"{PRODUCTS}?tags=%07", 400, "invalid_parameter"),
        (f"{PRODUCTS}?created_after=2026-01-01T00:00:00", 400, "invalid_parameter"),
        (f"{PRODUCTS}?created_after=2026-01-01", 400, "invalid_parameter"),
        (f"{PRODUCTS}?created_after=2026-02-30T00:00:00Z", 400, "invalid_parameter"),
        (f"{PRODUCTS}?created_after=0001-01-01T00:00:00%2B14:00", 400, "invalid_parameter"),
        (f"{PRODUCTS}?created_after=9999-12-31T23:59:59.999999Z", 200, ""),
        # as a JSON number is written, and as bodies take it
        (f"{PRODUCTS}?min_price=1e9", 200, ""),
        (f"{PRODUCTS}?min_price=1e99", 400, "invalid_parameter"),
        (f"{PRODUCTS}?min_price=.5", 400, "invalid_parameter"),
        (f"{PRODUCTS}?min_price=0x9", 400, "invalid_parameter"),
        (f"{PRODUCTS}?min_price=-1", 400, "invalid_parameter"),
        (f"{PRODUCTS}?min_price=99999999999999.9999", 200, ""),
        (f"{PRODUCTS}?status=sold", 400, "invalid_parameter"),
        (f"{PRODUCTS}?a%00b=1", 400, "invalid_url"),
        (f"{PRODUCTS}?colour=red&limit=0", 400, "unknown_parameter"),
        (f"{PRODUCTS}/", 404, "route_not_found"),
        ("//api/v1/products", 404, "route_not_found"),
        ("/api/v1//products", 404, "route_not_found"),
        ("/api/v2/products", 404, "route_not_found"),
        (f"{PRODUCTS}/%C3%A9", 400, "invalid_id"),
        ("/api/v1/%ff%fe", 404, "route_not_found"),
        ("/api/docs/assets/pages/../../../setup.cfg", 404, "route_not_found"),
        ("/api/v1/orders?number=99999999999999999999", 400, "invalid_parameter"),
        ("/api/v1/orders?customer_id=x", 400, "invalid_parameter"),
        ("/api/v1/customers?email=x", 400, "invalid_parameter"),
    ],
)
def test_urls_are_bounded_and_read_strictly(
    app: App, shop: Shop, target: str, status: int, code: str
) -> None:
    answered = raw(app, "GET", target, headers={"Authorization": f"Bearer {shop.api.token}"})
    assert answered.status == status, answered.body
    if status >= 400:
        assert answered.code in (code, "not_found") if status == 404 else answered.code == code
        assert answered.headers["Content-Type"] == "application/problem+json"
        assert set(answered.json) >= {"type", "title", "status", "detail", "instance", "code"}
        assert answered.json["status"] == status
        assert answered.json["instance"].isascii()


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/vnd.shop.v1+json", 200),
        ("application/vnd.shop.v2+json", 406),
        ("application/vnd.shop.v2+json, application/json", 200),
        ("application/vnd.shop.v2+json, application/vnd.shop.v1+json;q=0.1", 200),
        ("application/json", 200),
        ("*/*", 200),
    ],
)
def test_the_version_is_chosen_by_accept(shop: Shop, accept: str, status: int) -> None:
    assert shop.api.get(TENANT, headers={"Accept": accept}).status == status


def test_numbers_are_exact_or_refused(shop: Shop) -> None:
    def priced(number: str) -> Answered:
        data = f'{{"name": "N", "price": {number}}}'.encode()
        return shop.api.post(PRODUCTS, data=data, content_type="application/json")

    for number, written in [
        ("19.9", b'"price":19.90,'),
        ("0.1e2", b'"price":10.00,'),
        ("1E+2", b'"price":100.00,'),
        ("12.340000", b'"price":12.34,'),
        ("99999999999999.99", b'"price":99999999999999.99,'),
        ("-0", b'"price":0.00,'),
        ("-0.0", b'"price":0.00,'),
    ]:
        assert written in priced(number).body, number
    for number in ("1e14", "1e999", "1e-5", "-0.01", "1" + "0" * 30, "0.00001", "1.005", '"1"'):
        refused = priced(number)
        assert refused.status == 422, number
        assert refused.json["errors"][0]["pointer"] == "/price"


def test_text_is_stored_as_it_came(shop: Shop) -> None:
    name = "Ünïcödé 日本 \U0001f600 'quote' \"double\" \\ <b>&amp;</b> ;--"
    made = shop.api.post(PRODUCTS, {"name": name, "price": 1, "description": "a\r\n\tb"}).json
    assert (made["name"], made["description"]) == (name, "a\r\n\tb")
    for bad in ("\x00", "\x07", "\x85", "a\x1bb"):
        refused = shop.api.post(PRODUCTS, {"name": bad, "price": 1})
        assert refused.json["errors"] == [
            {"pointer": "/name", "detail": "Control characters are not allowed."}
        ]


def test_refusals_leak_nothing(app: App, shop: Shop, api: ApiClient) -> None:
    product = shop.product(sku="TAKEN")
    shop.order((product["variants"][0]["id"], 1))
    answers = [
        shop.api.post(PRODUCTS, {"name": "x", "price": 1, "sku": "TAKEN"}),
        shop.api.delete(f"{PRODUCTS}/{product['id']}"),
        shop.api.post(PRODUCTS, {"name": "x", "price": 1, "category_ids": [product["id"]]}),
        shop.api.post("/api/v1/orders", {"lines": 1}),
        shop.api.get("/api/v1/nowhere"),
        api.get(TENANT),
        shop.api.post(PRODUCTS, data=b"{", content_type="application/json"),
    ]
    codes = [answered.code for answered in answers]
    assert codes[:3] == ["sku_taken", "product_in_use", "category_not_found"]
    for answered in answers:
        for word in (b"SELECT", b"INSERT", b"psycopg", b"Traceback", b".py", b"uq_", b"fk_"):
            assert word not in answered.body
        AnswerChecker(app).check("GET", "/api/v1/nowhere", answered)


def test_deletes_are_refused_by_their_own_reason(shop: Shop) -> None:
    parent = shop.api.post("/api/v1/categories", {"name": "P", "slug": "parent"}).json["id"]
    child = {"name": "C", "slug": "child", "parent_id": parent}
    child_id = shop.api.post("/api/v1/categories", child).json["id"]
    refused = shop.api.delete(f"/api/v1/categories/{parent}")
    assert (refused.status, refused.code) == (409, "category_in_use")
    loop = shop.api.patch(f"/api/v1/categories/{parent}", {"parent_id": child_id})
    assert (loop.status, loop.code) == (422, "category_loop")
    assert shop.api.delete(f"/api/v1/categories/{child_id}").status == 204
    assert shop.api.delete(f"/api/v1/categories/{parent}").status == 204
    customer = shop.api.post("/api/v1/customers", {"first_name": "Ada"}).json["id"]
    line = {"variant_id": shop.product()["variants"][0]["id"], "quantity": 1}
    shop.api.post("/api/v1/orders", {"lines": [line], "customer_id": customer})
    refused = shop.api.delete(f"/api/v1/customers/{customer}")
    assert (refused.status, refused.code) == (409, "customer_in_use")
    erase = refused.json["detail"].rpartition("POST ")[2].rstrip(".")
    assert shop.api.post(erase).status == 200
    assert "They were erased" in shop.api.delete(f"/api/v1/customers/{customer}").json["detail"]
