"""Versions over HTTP: a client that asks for an older one gets it, whatever stands between."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from gzip import decompress
from typing import Any

import pytest

from pipelines.context import LakeContext
from pipelines.runner import run_export
from shop_api.app import App, create_app
from shop_api.kernel.api_versions import BY_NAME, DEPRECATIONS, NEWEST, OLDEST, changes_of
from shop_api.kernel.clock import utc_now
from tests.fixtures.api import AnswerChecker, Answered, ApiClient, Shop, open_shop, raw
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

ORDERS = "/api/v1/orders"
DASHBOARD = "/api/v1/analytics/dashboard"
REVENUE = "/api/v1/analytics/revenue"
BATCH = "/api/v1/batch"
OLD_TYPE = BY_NAME[OLDEST].media_type
OLD = {"Accept": OLD_TYPE}


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def make_app(
    database: Database, redis_url: str, lake: LakeContext, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], App]:
    def make() -> App:
        folder = tmp_path_factory.mktemp("data")
        changes = {"lake_url": lake.location, "credential_cache_seconds": 0.0}
        return create_app(database.settings(folder, redis_url, **changes))

    return make


@pytest.fixture(scope="module")
def app(make_app: Callable[[], App]) -> Iterator[App]:
    built = make_app()
    yield built
    built.close()


@pytest.fixture(scope="module")
def api(app: App) -> ApiClient:
    return ApiClient(app, AnswerChecker(app))


@pytest.fixture(scope="module")
def seen(api: ApiClient, lake: LakeContext) -> Shop:
    """A shop with an order whose figures are in the lake."""
    shop = open_shop(api)
    ordered(shop)
    run_export(lake, datetime.now(UTC))
    return shop


def ordered(shop: Shop, **options: Any) -> Answered:
    product = shop.product("19.90")
    answered = shop.order((product["variants"][0]["id"], 2), **options)
    assert answered.status == 201, answered.body
    return answered


def as_old(value: Any) -> Any:
    """A newest answer's values under the oldest version's names; told here once more."""
    if isinstance(value, list):
        return [as_old(one) for one in value]
    if not isinstance(value, dict):
        return value
    names = {"prices_include_tax": "tax_included"}
    names |= {"refunded_total": "refunded_amount"} if "unit_price" in value else {}
    names |= {"product_count": "products"} if "category_id" in value else {}
    return {names.get(name, name): as_old(one) for name, one in value.items()}


# resource → a read that answers with it, and whether an answer is of the oldest version
ANSWERS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "Order": (ORDERS, lambda answer: "tax_included" in answer["data"][0]),
    "OrderLine": (ORDERS, lambda answer: "refunded_amount" in answer["data"][0]["lines"][0]),
    "CategorySales": (
        f"{REVENUE}?compare=none",
        lambda answer: "products" in answer["by_category"][0],
    ),
}


@pytest.mark.parametrize("resource", ANSWERS)
def test_each_change_is_undone_for_who_asks_for_the_version_before(
    seen: Shop, resource: str
) -> None:
    path, is_old = ANSWERS[resource]
    assert changes_of(resource)
    newest, old = seen.api.get(path), seen.api.get(path, headers=OLD)
    assert (is_old(newest.json), is_old(old.json)) == (False, True)
    assert old.json == as_old(newest.json)
    # names apart the bytes are the same: no amount was read and written again
    bare = [re.sub(rb"[\s\"a-z_]", b"", answer.body) for answer in (newest, old)]
    assert bare[0] == bare[1]
    assert old.headers["Content-Type"] == OLD_TYPE
    assert newest.headers["Content-Type"] == "application/json"
    assert [a.headers["Shop-Version"] for a in (newest, old)] == [NEWEST, OLDEST]
    assert all("Accept" in a.headers["Vary"].split(", ") for a in (newest, old))


def test_an_older_version_says_until_when_it_is_there_and_what_follows(shop: Shop) -> None:
    path = f"{ORDERS}?limit=1&status=pending"
    ordered(shop)
    ordered(shop)
    headers = {**OLD, "Authorization": f"Bearer {shop.api.token}"}
    answered = raw(shop.api.app, "GET", path, headers=headers)
    deprecation = DEPRECATIONS[OLDEST]
    since = datetime.fromtimestamp(int(answered.headers["Deprecation"].removeprefix("@")), UTC)
    assert since.date() == deprecation.since
    assert parsedate_to_datetime(answered.headers["Sunset"]).date() == deprecation.sunset_on
    links = {rel: (uri, rest) for uri, rest, rel in LINK.findall(all_links(shop.api, path))}
    assert set(links) == {"next", "deprecation", "sunset", "successor-version"}
    assert links["successor-version"][0] == path
    assert BY_NAME[NEWEST].media_type in links["successor-version"][1]
    page, _, anchor = links["deprecation"][0].partition("#")
    assert links["sunset"][0] == links["deprecation"][0]
    assert f'id="{anchor}"' in shop.api.get(page).body.decode()


LINK = re.compile(r'<([^>]*)>([^<]*?); rel="([^"]+)"')


def all_links(api: ApiClient, path: str) -> str:
    """All Link lines of an answer to the older version."""
    lines: list[str] = []

    def start(_: str, headers: list[tuple[str, str]]) -> None:
        lines.extend(value for name, value in headers if name == "Link")

    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_ACCEPT": OLD_TYPE,
        "HTTP_AUTHORIZATION": f"Bearer {api.token}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    b"".join(api.app(environ, start))
    return ", ".join(lines)


def test_who_asks_for_none_or_for_the_newest_gets_the_same_without_a_warning(shop: Shop) -> None:
    path = f"{ORDERS}/{ordered(shop).json['id']}"
    plain = shop.api.get(path)
    for accept in ("application/vnd.shop.v1+json", BY_NAME[NEWEST].media_type, "*/*"):
        named = shop.api.get(path, headers={"Accept": accept})
        assert (named.body, named.headers["ETag"]) == (plain.body, plain.headers["ETag"])
        assert not named.headers.keys() & {"Deprecation", "Sunset", "Link"}


@pytest.mark.parametrize("day", ["2020-01-01", "2999-12-31"])
def test_a_version_that_is_not_there_is_refused_with_those_that_are(shop: Shop, day: str) -> None:
    accept = {"Accept": f"application/vnd.shop.v1+json; version={day}"}
    for refused in (shop.api.get(ORDERS, headers=accept), shop.api.post(ORDERS, headers=accept)):
        assert (refused.status, refused.code) == (406, "unknown_version")
        assert all(name in refused.json["detail"] for name in (day, *BY_NAME))
        assert "Accept" in refused.headers["Vary"]


def test_each_version_has_its_tag_and_any_of_them_names_the_order(shop: Shop) -> None:
    path = f"{ORDERS}/{ordered(shop).json['id']}"
    newest, old = shop.api.get(path), shop.api.get(path, headers=OLD)
    tags = {"new": newest.headers["ETag"], "old": old.headers["ETag"]}
    assert tags["new"] != tags["old"]
    same = shop.api.get(path, headers={**OLD, "If-None-Match": tags["old"]})
    assert (same.status, same.headers["Shop-Version"]) == (304, OLDEST)
    assert {"Deprecation", "Sunset", "Link"} <= same.headers.keys()
    assert "Accept" in same.headers["Vary"]
    other = shop.api.get(path, headers={**OLD, "If-None-Match": tags["new"]})
    assert (other.status, other.body) == (200, old.body)
    assert shop.api.get(path, headers={"If-None-Match": tags["old"]}).status == 200
    changed = shop.api.patch(path, {"note": "a"}, headers={**OLD, "If-Match": tags["old"]})
    assert changed.status == 200
    assert "tax_included" in changed.json
    late = shop.api.patch(path, {"note": "b"}, headers={"If-Match": tags["old"]})
    assert late.status == 412


def test_a_refusal_is_the_same_problem_and_warns_too(shop: Shop) -> None:
    path = f"{ORDERS}/{shop.tenant_id}"
    plain, old = shop.api.get(path), shop.api.get(path, headers=OLD)
    assert (old.status, old.code) == (plain.status, plain.code) == (404, "not_found")
    assert old.headers["Content-Type"] == "application/problem+json"
    assert {"Deprecation", "Sunset", "Link"} <= old.headers.keys()
    unknown = shop.api.post(ORDERS, {"nothing": 1}, headers=OLD)
    assert (unknown.status, unknown.code) == (422, "validation_failed")
    assert "Sunset" in unknown.headers


def test_an_operation_that_never_changed_answers_the_same_and_warns(shop: Shop) -> None:
    plain, old = shop.api.get("/api/v1/tenant"), shop.api.get("/api/v1/tenant", headers=OLD)
    assert (old.body, old.headers["ETag"]) == (plain.body, plain.headers["ETag"])
    assert {"Deprecation", "Sunset"} <= old.headers.keys()
    assert "Deprecation" not in plain.headers


@pytest.mark.parametrize(
    "accept", [f"application/json; version={OLDEST}", f"application/vnd.shop+json; v={OLDEST}"]
)
def test_a_version_in_the_wrong_place_is_told(shop: Shop, accept: str) -> None:
    refused = shop.api.get(ORDERS, headers={"Accept": accept})
    assert (refused.status, refused.code) == (406, "unknown_version")
    assert "application/vnd.shop.v1+json; version=" in refused.json["detail"]


def test_a_type_is_the_same_in_capitals(shop: Shop) -> None:
    told = shop.api.get(ORDERS, headers={"Accept": OLD_TYPE.upper().replace("VERSION", "version")})
    assert "Deprecation" in told.headers
    unknown = shop.api.get(ORDERS, headers={"Accept": "application/VND.Shop.v9+json"})
    assert (unknown.status, unknown.code) == (406, "unknown_version")


@pytest.mark.parametrize("path", ["/api/v1/tenant", "/api/v1/orders/none", DASHBOARD])
def test_what_warns_of_an_old_version_varies_by_what_asked_for_it(shop: Shop, path: str) -> None:
    told = shop.api.get(path, headers=OLD)
    assert "Deprecation" in told.headers
    varies = told.headers["Vary"].split(", ")
    assert "Accept" in varies
    assert len(varies) == len(set(varies))


def test_a_long_url_is_not_given_back(shop: Shop) -> None:
    told = shop.api.get(ORDERS, query={"search": "x" * 5000}, headers=OLD)
    assert '<>; type="application/vnd.shop.v1+json' in told.headers["Link"]
    assert sum(len(name) + len(value) for name, value in told.headers.items()) < 4000


@pytest.mark.parametrize("path", [DASHBOARD, REVENUE])
def test_kept_answers_are_kept_by_version(seen: Shop, path: str) -> None:
    query = {"period": "7d", "channel": "web", "compare": "none"}

    def ask(**headers: str) -> Answered:
        return seen.api.get(path, query=query, headers=headers)

    made = [ask(Accept=OLD_TYPE), ask()]
    kept = [ask(Accept=OLD_TYPE), ask()]
    for first, again in zip(made, kept, strict=True):
        assert "fwd=miss; stored" in first.headers["Cache-Status"]
        assert "detail=memory" in again.headers["Cache-Status"]
        assert first.body == again.body
        assert first.headers["ETag"] == again.headers["ETag"]
    old, newest = kept
    assert old.json == as_old(newest.json) != newest.json
    assert "Sunset" in old.headers
    assert "Sunset" not in newest.headers


def test_another_process_finds_each_version_in_redis(
    seen: Shop, make_app: Callable[[], App]
) -> None:
    query = {"period": "90d"}
    made = {a: seen.api.get(REVENUE, query=query, headers={"Accept": a}) for a in (OLD_TYPE, "*/*")}
    other = make_app()
    try:
        client = ApiClient(other, seen.api.checker, seen.api.token)
        for accept, first in made.items():
            found = client.get(REVENUE, query=query, headers={"Accept": accept})
            assert "detail=redis" in found.headers["Cache-Status"]
            assert (found.body, found.headers["ETag"]) == (first.body, first.headers["ETag"])
    finally:
        other.close()


def test_who_asks_at_the_same_time_for_another_version_shares_no_flight(seen: Shop) -> None:
    accepts = [OLD_TYPE, "application/json"] * 4
    for period in ("mtd", "qtd", "ytd", "365d"):

        def ask(accept: str, period: str = period) -> Answered:
            return seen.api.get(REVENUE, query={"period": period}, headers={"Accept": accept})

        with ThreadPoolExecutor(len(accepts)) as pool:
            answers = list(pool.map(ask, accepts))
        for accept, answered in zip(accepts, answers, strict=True):
            is_old = ANSWERS["CategorySales"][1](answered.json)
            assert is_old == (accept == OLD_TYPE), answered.headers["Cache-Status"]


def test_figures_that_are_made_again_are_made_as_they_were_asked_for(
    app: App, seen: Shop, lake: LakeContext
) -> None:
    query = {"period": "30d", "interval": "week"}
    seen.api.get(REVENUE, query=query, headers=OLD)
    ordered(seen)
    snapshot = run_export(lake, datetime.now(UTC)).snapshot
    assert snapshot is not None
    while app.lake.snapshot().id < snapshot.id:
        pass
    app.gateway.upkeep.warm(utc_now())
    warm = seen.api.get(REVENUE, query=query, headers=OLD)
    assert "detail=memory" in warm.headers["Cache-Status"]
    assert ANSWERS["CategorySales"][1](warm.json)
    assert warm.json["metrics"]["orders"] == 2


def test_a_replay_is_the_stored_order_in_the_version_asked_for(shop: Shop) -> None:
    product = shop.product("19.90")
    line = (product["variants"][0]["id"], 1)
    first = shop.order(line, key="k", headers=OLD)
    again = shop.order(line, key="k", headers=OLD)
    newest = shop.order(line, key="k")
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == newest.headers["Idempotency-Replayed"] == "true"
    assert (first.status, first.body) == (again.status, again.body)
    assert first.json == as_old(newest.json) != newest.json
    for name in ("ETag", "Location", "Content-Type", "Shop-Version", "Sunset"):
        assert first.headers[name] == again.headers[name]
    # and it is the order's own answer, tag and all
    path = newest.headers["Location"]
    assert newest.headers["ETag"] == shop.api.get(path).headers["ETag"]
    assert again.headers["ETag"] == shop.api.get(path, headers=OLD).headers["ETag"]
    assert shop.api.get(path).body == newest.body
    third = shop.order(line, key="k")
    assert third.body == newest.body


def test_a_mutation_of_an_order_is_replayed_in_the_version_asked_for(shop: Shop) -> None:
    path = f"{ORDERS}/{ordered(shop).json['id']}/payments"
    body = {"method": "cash"}
    newest = shop.api.post(path, body, key="p")
    old = shop.api.post(path, body, key="p", headers=OLD)
    assert (newest.status, old.status) == (201, 201)
    assert "Idempotency-Replayed" in old.headers
    assert old.json == as_old(newest.json) != newest.json


def test_requests_of_a_batch_are_answered_in_the_batchs_version(shop: Shop) -> None:
    order_id = ordered(shop).json["id"]
    ordered(shop)
    body = {
        "requests": [
            {"method": "GET", "path": f"{ORDERS}?limit=1"},
            {"method": "PATCH", "path": f"{ORDERS}/{order_id}", "body": {"note": "x"}},
            {"method": "GET", "path": f"{ORDERS}/{shop.tenant_id}"},
        ]
    }
    old = shop.api.post(BATCH, body, key="b", headers=OLD)
    page, changed, missing = old.json["responses"]
    assert "tax_included" in page["body"]["data"][0]
    assert "tax_included" in changed["body"]
    assert missing["body"]["code"] == "not_found"
    for one in (page, changed, missing):
        assert {"Deprecation", "Sunset"} <= one["headers"].keys()
    assert page["headers"]["Shop-Version"] == OLDEST
    links = [rel for _, _, rel in LINK.findall(page["headers"]["Link"])]
    assert sorted(links) == ["deprecation", "next", "successor-version", "sunset"]
    newest = shop.api.post(BATCH, body, key="c").json["responses"]
    assert "prices_include_tax" in newest[0]["body"]["data"][0]
    assert "Sunset" not in newest[0]["headers"]
    # a batch is replayed as its requests were answered, which each says of itself
    assert shop.api.post(BATCH, body, key="b").body == old.body


def test_a_compressed_answer_is_of_its_version(shop: Shop) -> None:
    path = f"{ORDERS}/{ordered(shop).json['id']}"
    old = shop.api.get(path, headers=OLD)
    packed = shop.api.get(path, headers={**OLD, "Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert decompress(packed.body) == old.body
    assert packed.headers["ETag"] == old.headers["ETag"][:-1] + '-gzip"'
    assert {"Accept", "Accept-Encoding"} <= set(packed.headers["Vary"].split(", "))
    assert "tax_included" in json.loads(decompress(packed.body))


def test_a_page_may_ask_for_a_version_and_read_what_is_told(shop: Shop) -> None:
    origin = "https://shop.example"
    shop.api.patch("/api/v1/tenant", {"cors_origins": [origin]})
    answered = shop.api.get(ORDERS, headers={**OLD, "Origin": origin})
    exposed = answered.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Shop-Version", "Deprecation", "Sunset", "Link"} <= set(exposed)
