"""What a real server's answers carry whatever they say, and whom it takes a request to be from."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from shop_api.app import App
from shop_api.domains.tenants.service import ORIGIN_SECONDS
from tests.fixtures.api import PLATFORM_KEY, Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.servers import ApiServer, Heard, api_server

CONSOLE = "https://console.example"
PRODUCTS = "/api/v1/products"
TENANT = "/api/v1/tenant"
# of requests a minute from one address
LIMIT = 4
EXPOSED = ("X-Request-ID", "ETag", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed", "Link")


@pytest.fixture(scope="module")
def running_api(app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    log = tmp_path_factory.mktemp("served") / "log"
    with api_server(app.services.settings, log, cors_origins=f'["{CONSOLE}"]') as found:
        yield found


@pytest.fixture
def uncounted(app: App) -> None:
    """Nobody has asked yet from any address."""
    client = app.services.redis
    client.delete("rate:none", *client.keys("rate:address:*"))


@pytest.fixture
def behind_a_proxy(app: App, tmp_path: Path, uncounted: None) -> Iterator[ApiServer]:
    log = tmp_path / "log"
    settings = app.services.settings
    with api_server(settings, log, trusted_proxies=1, rate_limit_address=LIMIT) as found:
        yield found


def statuses(server: ApiServer, forwarded: list[list[str]]) -> list[int]:
    """The statuses of a request for each list of X-Forwarded-For lines."""
    found = []
    for lines in forwarded:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.putrequest("GET", TENANT)
        for line in lines:
            connection.putheader("X-Forwarded-For", line)
        connection.endheaders()
        found.append(connection.getresponse().status)
        connection.close()
    return found


def test_every_answer_carries_them(running_api: ApiServer, shop: Shop) -> None:
    token = shop.api.token
    preflight = {"Origin": CONSOLE, "Access-Control-Request-Method": "PATCH"}
    answers = {
        "live": running_api.call("GET", "/health/live"),
        "ready": running_api.call("GET", "/health/ready"),
        "reference": running_api.call("GET", "/api/docs"),
        "document": running_api.call("GET", "/api/v1/openapi.json"),
        "list": running_api.call("GET", PRODUCTS, token=token),
        "list again": running_api.call("GET", PRODUCTS, token=token),
        "kept list": running_api.call("GET", PRODUCTS, token=token),
        "head": running_api.call("HEAD", TENANT, token=token),
        "made": running_api.call("POST", "/api/v1/customers", {"first_name": "Ada"}, token=token),
        "malformed": running_api.call("POST", "/api/v1/customers", b"{", token=token),
        "no credential": running_api.call("GET", TENANT),
        "bad credential": running_api.call("GET", TENANT, token="sk_x"),
        "no scope": running_api.call("GET", "/api/v1/tenants", token=token),
        "no path": running_api.call("GET", "/nowhere", token=token),
        "no method": running_api.call("DELETE", TENANT, token=token),
        "bad parameter": running_api.call("GET", f"{PRODUCTS}?limit=0", token=token),
        "bad id": running_api.call("GET", f"{PRODUCTS}/1", token=token),
        "metrics": running_api.call("GET", "/metrics"),
        "preflight": running_api.call("OPTIONS", PRODUCTS, headers=preflight),
        "another version": running_api.call(
            "GET", TENANT, token=token, headers={"Accept": "application/vnd.shop.v9+json"}
        ),
    }
    for name, heard in answers.items():
        assert heard.headers["cache-status"].count("shop-api") == 1, name
        assert heard.headers["x-content-type-options"] == "nosniff", name
        assert heard.headers["referrer-policy"] == "no-referrer", name
        policy = heard.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy, name
        assert "default-src 'none'" in policy or "default-src 'self'" in policy, name
        assert "x-request-id" in heard.headers, name
    told = {name: heard.headers["cache-status"] for name, heard in answers.items()}
    assert told["kept list"].startswith("shop-api; hit")
    assert told["bad parameter"] == "shop-api; fwd=miss"
    assert told["no credential"] == told["no path"] == told["live"] == "shop-api; fwd=bypass"
    assert told["malformed"] == told["preflight"] == "shop-api; fwd=method"


def test_a_refusal_for_asking_too_often_carries_them(behind_a_proxy: ApiServer) -> None:
    heard: list[Heard] = [behind_a_proxy.call("GET", TENANT) for _ in range(LIMIT + 1)]
    assert heard[-1].status == 429
    assert heard[-1].headers["cache-status"] == "shop-api; fwd=bypass"
    assert int(heard[-1].headers["retry-after"]) > 0


def test_a_page_of_a_listed_origin_may_read_and_no_other(
    running_api: ApiServer, shop: Shop
) -> None:
    origin = "https://shop.example:8443"
    assert shop.api.patch(TENANT, {"cors_origins": [origin]}).status == 200
    asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match"}

    def may_ask(page: str) -> bool:
        heard = running_api.call("OPTIONS", TENANT, headers={"Origin": page, **asked})
        return "access-control-allow-origin" in heard.headers

    # the list that the process has may be from before
    wait_until(lambda: may_ask(origin), ORIGIN_SECONDS + 5)
    for listed in (origin, CONSOLE):
        heard = running_api.call("OPTIONS", TENANT, headers={"Origin": listed, **asked})
        assert heard.status == 204
        assert heard.headers["access-control-allow-origin"] == listed
        assert heard.headers["access-control-allow-credentials"] == "true"
        assert "If-Match" in heard.headers["access-control-allow-headers"]
        shown = running_api.call("GET", TENANT, token=shop.api.token, headers={"Origin": listed})
        assert shown.headers["access-control-allow-origin"] == listed
        exposed = shown.headers["access-control-expose-headers"].split(", ")
        assert {*EXPOSED, "Retry-After"} <= set(exposed)
    for other in ("https://evil.example", "null", "*", f"{origin}.evil.example"):
        for heard in (
            running_api.call("OPTIONS", TENANT, headers={"Origin": other, **asked}),
            running_api.call("GET", TENANT, token=shop.api.token, headers={"Origin": other}),
        ):
            assert "access-control-allow-origin" not in heard.headers, other
            assert "origin" in heard.headers["vary"].lower()
    # nobody's origin but the console's may read with the platform's key
    heard = running_api.call(
        "GET", "/api/v1/tenants", token=PLATFORM_KEY, headers={"Origin": origin}
    )
    assert "access-control-allow-origin" not in heard.headers


def test_who_asks_is_whom_the_proxy_names_last(behind_a_proxy: ApiServer) -> None:
    own = "203.0.113.7"
    # what the client wrote itself, in one line with the proxy's or in another before it
    spoofed = [[f"198.51.100.{n}, {own}"] for n in range(LIMIT // 2)]
    spoofed += [[f"198.51.100.{n}", own] for n in range(LIMIT // 2)]
    assert statuses(behind_a_proxy, spoofed) == [401] * LIMIT
    assert statuses(behind_a_proxy, [[f"192.0.2.1, {own}"], ["192.0.2.2", own]]) == [429, 429]
    assert statuses(behind_a_proxy, [["203.0.113.8"]]) == [401]


def test_without_a_proxy_nobody_is_believed(app: App, tmp_path: Path, uncounted: None) -> None:
    settings = app.services.settings
    with api_server(settings, tmp_path / "log", rate_limit_address=LIMIT) as server:
        found = statuses(server, [[f"203.0.113.{n}"] for n in range(LIMIT + 1)])
    assert found == [401] * LIMIT + [429]
