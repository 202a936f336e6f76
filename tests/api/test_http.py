"""HTTP itself: methods, conditions, codings, origins and identities."""

import gzip
import re
from collections.abc import Iterator
from typing import Any

import brotli
import pytest
import zstandard
from sqlalchemy import text

from shop_api.app import App, create_app
from shop_api.db.tenancy import tenant_session
from shop_api.domains.tenants.service import ORIGIN_SECONDS
from shop_api.gateway.metrics import NO_ENDPOINT
from shop_api.kernel.exchange import OTHER_METHOD
from shop_api.metrics.definitions import REGISTRY
from shop_api.metrics.tally import tally
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop, raw
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import Database

PRODUCTS = "/api/v1/products"
CUSTOMERS = "/api/v1/customers"
TENANT = "/api/v1/tenant"
INSTALLATION_ORIGIN = "https://console.example"


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application with a browser origin of its own and small bounds."""
    settings = database.settings(
        tmp_path_factory.mktemp("data"),
        redis_url,
        credential_cache_seconds=0.0,
        cors_origins=[INSTALLATION_ORIGIN],
        body_limit_bytes=50_000,
    )
    built = create_app(settings)
    yield built
    built.close()


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Shop:
    """One shop with a product whose answer is worth compressing."""
    return open_shop(api)


@pytest.fixture(scope="module")
def path(shop: Shop) -> str:
    product = shop.product(description="linen " * 500)
    return f"{PRODUCTS}/{product['id']}"


# --- conditions


def test_what_the_client_has_is_not_sent_again(shop: Shop, path: str) -> None:
    first = shop.api.get(path)
    etag = first.headers["ETag"]
    assert re.fullmatch(r'"[0-9]+-[0-9a-f]{18}"', etag)
    for known in (etag, f"W/{etag}", "*", f'"x", {etag}', f'{etag[:-1]}-br"'):
        again = shop.api.get(path, headers={"If-None-Match": known})
        assert (again.status, again.body) == (304, b""), known
        assert "Content-Type" not in again.headers
    assert again.headers["ETag"] == f'{etag[:-1]}-br"', "the tag of the answer the client kept"
    assert shop.api.get(path, headers={"If-None-Match": '"x"'}).body == first.body


def test_a_change_and_a_sale_change_the_tag(shop: Shop) -> None:
    product = shop.product()
    target = f"{PRODUCTS}/{product['id']}"
    tags = [shop.api.get(target).headers["ETag"]]
    shop.order((product["variants"][0]["id"], 1))
    tags.append(shop.api.get(target).headers["ETag"])
    shop.api.patch(target, {"name": "Other"})
    tags.append(shop.api.get(target).headers["ETag"])
    assert len(set(tags)) == 3
    # a sale is no edit: If-Match still holds after it, and not after the edit
    assert shop.api.patch(target, {}, headers={"If-Match": tags[0]}).status == 412
    product = shop.product()
    target = f"{PRODUCTS}/{product['id']}"
    seen = shop.api.get(target).headers["ETag"]
    shop.order((product["variants"][0]["id"], 1))
    assert shop.api.patch(target, {"name": "Mine"}, headers={"If-Match": seen}).status == 200


@pytest.mark.parametrize("kind", ["products", "categories", "customers", "users"])
def test_an_edit_of_an_older_version_changes_nothing(shop: Shop, kind: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "products": {"name": "A", "price": 1},
        "categories": {"name": "A", "slug": "a"},
        "customers": {"first_name": "A"},
        "users": {"email": "a@x.io", "name": "A", "role": "viewer", "password": "x" * 12},
    }
    name = "first_name" if kind == "customers" else "name"
    made = shop.api.post(f"/api/v1/{kind}", bodies[kind])
    target = f"/api/v1/{kind}/{made.json['id']}"
    old = made.headers["ETag"]
    assert shop.api.patch(target, {name: "B"}, headers={"If-Match": old}).status == 200
    shown = shop.api.get(target).body
    said = {
        old: "has changed",
        f"W/{old}": "is weak",
        '"0"': "has changed",
        "x": "no tag of this API",
        '""': "no tag of this API",
    }
    for condition, words in said.items():
        refused = shop.api.patch(target, {name: "C"}, headers={"If-Match": condition})
        assert (refused.status, refused.code) == (412, "precondition_failed"), condition
        assert words in refused.json["detail"]
        if kind != "users":
            refused = shop.api.delete(target, headers={"If-Match": condition})
            assert (refused.status, refused.code) == (412, "precondition_failed")
    assert shop.api.get(target).body == shown
    assert shop.api.patch(target, {name: "D"}, headers={"If-Match": "*"}).status == 200


def test_moves_of_an_order_honour_a_condition_too(shop: Shop) -> None:
    order = shop.order((shop.product()["variants"][0]["id"], 1))
    path = f"/api/v1/orders/{order.json['id']}"
    old = {"If-Match": order.headers["ETag"]}
    assert shop.api.post(f"{path}/payments", {"method": "cash"}, headers=old).status == 201
    for action in ("complete", "cancel"):
        refused = shop.api.post(f"{path}/{action}", headers=old)
        assert (refused.status, refused.code) == (412, "precondition_failed")
    current = {"If-Match": shop.api.get(path).headers["ETag"]}
    assert shop.api.post(f"{path}/complete", headers=current).status == 200


# --- codings


DECODERS = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "br"),
        ("GZIP", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("deflate", None),
        ("gzip;q=x", None),
        ("", None),
    ],
)
def test_codings_are_chosen_by_the_client(
    shop: Shop, path: str, accepted: str, coding: str | None
) -> None:
    plain = shop.api.get(path)
    answered = shop.api.get(path, headers={"Accept-Encoding": accepted})
    assert answered.headers.get("Content-Encoding") == coding
    assert "Accept-Encoding" in answered.headers["Vary"]
    if coding is None:
        assert answered.body == plain.body
        return
    assert DECODERS[coding](answered.body) == plain.body
    assert int(answered.headers["Content-Length"]) == len(answered.body) < len(plain.body)
    assert answered.headers["ETag"] == f'{plain.headers["ETag"][:-1]}-{coding}"'
    again = shop.api.get(
        path,
        headers={"Accept-Encoding": accepted, "If-None-Match": answered.headers["ETag"]},
    )
    assert again.status == 304
    assert again.headers["ETag"] == answered.headers["ETag"]
    # the version in the tag is that of the resource, whatever the coding
    held = shop.api.patch(path, {}, headers={"If-Match": answered.headers["ETag"]})
    assert held.status == 200


def test_small_answers_are_not_compressed(shop: Shop) -> None:
    answered = shop.api.get(TENANT, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answered.headers


def test_a_replay_is_the_same_whatever_its_coding(shop: Shop) -> None:
    body = {"name": "Long", "price": 1, "description": "x " * 2000}
    plain = shop.api.post(PRODUCTS, body, key="coded")
    zipped = shop.api.post(PRODUCTS, body, key="coded", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(zipped.body) == plain.body
    assert zipped.headers["Idempotency-Replayed"] == "true"


# --- methods


def test_head_is_get_without_its_body(shop: Shop, path: str) -> None:
    shown, head = shop.api.get(path), shop.api.call("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert head.headers[name] == shown.headers[name]
    known = {"If-None-Match": shown.headers["ETag"]}
    assert shop.api.call("HEAD", path, headers=known).status == 304


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("PUT", PRODUCTS, "GET, HEAD, OPTIONS, POST"),
        ("DELETE", TENANT, "GET, HEAD, OPTIONS, PATCH"),
        ("POST", "/health/live", "GET, HEAD, OPTIONS"),
        ("TRACE", PRODUCTS, "GET, HEAD, OPTIONS, POST"),
        ("QUERY", PRODUCTS, "GET, HEAD, OPTIONS, POST"),
    ],
)
def test_other_methods_name_the_allowed_ones(
    app: App, shop: Shop, method: str, target: str, allowed: str
) -> None:
    answered = raw(app, method, target, headers={"Authorization": f"Bearer {shop.api.token}"})
    assert (answered.status, answered.code) == (405, "method_not_allowed")
    assert answered.headers["Allow"] == allowed


@pytest.mark.parametrize("method", ["post", "Post", "get", "BREW", "X" * 50_000])
def test_what_is_no_method_is_counted_as_other_and_never_done(
    app: App, shop: Shop, method: str
) -> None:
    labels = {"method": OTHER_METHOD, "endpoint": NO_ENDPOINT, "status": "405"}

    def count() -> float:
        tally.flush()
        return REGISTRY.get_sample_value("api_requests_total", labels) or 0.0

    before = count()
    answered = raw(
        app,
        "POST",
        CUSTOMERS,
        json={"first_name": "Ada"},
        headers={"Authorization": f"Bearer {shop.api.token}", "Idempotency-Key": "once"},
        environ_overrides={"REQUEST_METHOD": method},
    )
    assert (answered.status, answered.code) == (405, "method_not_allowed")
    assert answered.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert count() - before == 1


def test_options_names_the_methods(app: App) -> None:
    answered = raw(app, "OPTIONS", PRODUCTS)
    assert answered.status == 200
    assert set(answered.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


# --- origins


def preflight(api: ApiClient, origin: str) -> Answered:
    return api.call(
        "OPTIONS",
        PRODUCTS,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key",
        },
    )


def allowed_origin(answered: Answered) -> str | None:
    assert "Origin" in answered.headers["Vary"]
    found = answered.headers.get("Access-Control-Allow-Origin")
    if found is not None:
        for name in ("X-Request-ID", "ETag", "Idempotency-Replayed", "Link", "RateLimit"):
            assert name in answered.headers["Access-Control-Expose-Headers"]
    return found


def test_pages_of_listed_origins_may_read(api: ApiClient) -> None:
    mine, neighbour = open_shop(api), open_shop(api)
    origin, stranger = "https://shop.example", "https://evil.example"
    assert allowed_origin(preflight(api, origin)) is None
    assert mine.api.patch(TENANT, {"cors_origins": [origin]}).status == 200
    second = "https://second.example:8443"
    mine.api.patch(TENANT, {"cors_origins": [origin, second]})
    # the list that this process has may be from before
    wait_until(lambda: allowed_origin(preflight(api, second)) is not None, ORIGIN_SECONDS + 5)
    answered = preflight(api, second)
    assert (answered.status, allowed_origin(answered)) == (204, second)
    assert "Idempotency-Key" in answered.headers["Access-Control-Allow-Headers"]
    assert "PATCH" in answered.headers["Access-Control-Allow-Methods"]
    assert allowed_origin(preflight(api, INSTALLATION_ORIGIN)) == INSTALLATION_ORIGIN
    for other in (stranger, "null", "*", "https://second.example", "http://second.example:8443"):
        assert allowed_origin(preflight(api, other)) is None, other
    # with a credential only the tenant's own origins count
    shown = mine.api.get(TENANT, headers={"Origin": second})
    assert (shown.status, allowed_origin(shown)) == (200, second)
    assert allowed_origin(neighbour.api.get(TENANT, headers={"Origin": second})) is None
    assert allowed_origin(mine.api.get(TENANT, headers={"Origin": stranger})) is None
    both = neighbour.api.get(TENANT, headers={"Origin": INSTALLATION_ORIGIN})
    assert allowed_origin(both) == INSTALLATION_ORIGIN
    assert allowed_origin(mine.api.get(TENANT)) is None
    # a page must be able to read a refusal
    refused = mine.api.get(f"{PRODUCTS}/1", headers={"Origin": second})
    assert (refused.status, allowed_origin(refused)) == (400, second)
    anonymous = api.get(TENANT, headers={"Origin": second})
    assert (anonymous.status, allowed_origin(anonymous)) == (401, second)


NO_ORIGINS = (
    *("*", "null", "https://a/b", "ftp://a", "https://", "a.example", "https://*.a.example"),
    # what no browser sends would allow nobody
    *("https://Shop.example", "https://a.example:443", "http://a.example:80"),
    *("https://a..example", "https://a.example.", "https://-a.example", "https://:::"),
    *(
        "https://a.example:",
        "https://a.example:0",
        "https://a.example:65536",
        "https://u@a.example",
    ),
)


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_what_is_no_origin_is_not_listed(shop: Shop, origin: str) -> None:
    refused = shop.api.patch(TENANT, {"cors_origins": [origin]})
    assert refused.json["errors"][0]["pointer"] == "/cors_origins/0"


def test_origins_of_every_form_are_listed(shop: Shop) -> None:
    origins = ["http://localhost:3000", "https://a-b.example", "http://10.0.0.1", "http://[::1]:81"]
    origins += ["https://xn--bcher-kva.example", "http://a.example:443", "https://a.example:65535"]
    assert shop.api.patch(TENANT, {"cors_origins": origins}).json["cors_origins"] == origins


# --- identities


@pytest.mark.parametrize("given", ["a", "A.b_c-9", "x" * 128])
def test_a_request_id_is_echoed_and_written_down(app: App, shop: Shop, given: str) -> None:
    headers = {"X-Request-ID": given}
    body = {"first_name": "Ada"}
    made = shop.api.post("/api/v1/customers", body, headers=headers)
    assert made.headers["X-Request-ID"] == given
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        for table in ("events", "audit_entries"):
            query = f"SELECT count(*) FROM {table} WHERE request_id = :id"
            assert session.execute(text(query), {"id": given}).scalar() == 1
    assert shop.api.get(f"{PRODUCTS}/1", headers=headers).json["request_id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é", "a\tb", "<script>", "a,b"])
def test_other_request_ids_are_replaced(shop: Shop, given: str) -> None:
    answered = shop.api.get(TENANT, headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answered.headers["X-Request-ID"])


def test_security_headers_are_on_every_answer(app: App, shop: Shop) -> None:
    for answered in (
        shop.api.get(TENANT),
        shop.api.get("/nowhere"),
        shop.api.call("HEAD", TENANT),
        shop.api.get("/health/live"),
        shop.api.get(TENANT, headers={"If-None-Match": "*"}),
    ):
        assert answered.headers["X-Content-Type-Options"] == "nosniff"
        assert answered.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answered.headers["Content-Security-Policy"]
        assert "Strict-Transport-Security" not in answered.headers
    secure = raw(app, "GET", "/health/live", base_url="https://shop.example")
    assert secure.headers["Strict-Transport-Security"].startswith("max-age=")


# --- empty bodies


def test_a_content_type_with_nothing_is_no_body(app: App, shop: Shop) -> None:
    order = shop.order((shop.product()["variants"][0]["id"], 1)).json
    cancel = f"/api/v1/orders/{order['id']}/cancel"
    headers = {"Authorization": f"Bearer {shop.api.token}", "Content-Type": "application/json"}
    assert raw(app, "POST", cancel, headers=headers).json["status"] == "cancelled"
    refused = raw(app, "POST", PRODUCTS, headers=headers)
    assert (refused.status, refused.code) == (400, "invalid_json")
    assert refused.json["detail"] == "The body is empty: send a JSON object."


# --- the way in


@pytest.mark.parametrize("target", ["/", "/api", "/api/v1"])
def test_an_address_without_a_path_leads_to_the_reference(api: ApiClient, target: str) -> None:
    answered = api.get(target)
    assert (answered.status, answered.headers["Location"]) == (302, "/api/docs")
