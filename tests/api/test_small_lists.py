"""Small administrative lists by offset: pages by number beside those by cursor."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from shop_api.app import App
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop

OFFSET_LISTS = (
    *("api_keys", "users", "invitations", "categories", "locations"),
    *("discounts", "tax_rates", "shipping_rates", "exchange_rates", "webhook_endpoints"),
)
# asked with the platform key (test_platform_tenants.py)
OF_THE_PLATFORM = ("tenants",)


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Shop:
    """A shop with five categories."""
    opened = open_shop(api)
    for name in ("a", "b", "c", "d", "e"):
        assert opened.api.post("/api/v1/categories", {"name": name, "slug": name}).status == 201
    return opened


def names(body: dict[str, Any]) -> list[str]:
    return [row["name"] for row in body["data"]]


def links_of(answered: Answered) -> dict[str, dict[str, str]]:
    """The queries of the pages beside, by their relation."""
    found = re.findall(r'<([^>]+)>; rel="(next|prev)"', answered.headers.get("Link", ""))
    return {relation: dict(parse_qsl(urlsplit(target).query)) for target, relation in found}


def test_the_reference_names_the_lists_that_take_an_offset(app: App) -> None:
    document = app.flask.extensions["shop_api.openapi"].to_dict()
    taking = {
        path.removeprefix("/api/v1/")
        for path, operations in document["paths"].items()
        for parameter in operations.get("get", {}).get("parameters", ())
        # figures are pages of a snapshot of the lake
        if parameter.get("name") == "offset" and "/analytics/" not in path
    }
    assert taking == {*OFFSET_LISTS, *OF_THE_PLATFORM}


@pytest.mark.parametrize("noun", OFFSET_LISTS)
def test_each_counts_its_rows(shop: Shop, noun: str) -> None:
    path = f"/api/v1/{noun}"
    by_cursor = shop.api.get(path, query={"limit": 100}).json
    by_offset = shop.api.get(path, query={"limit": 100, "offset": 0}).json
    assert by_offset["data"] == by_cursor["data"]
    total = len(by_cursor["data"])
    expected = {"offset": 0, "limit": 100, "total": total, "has_more": False}
    assert by_offset["pagination"] == expected
    assert "page_info" not in by_offset
    assert "total" not in by_offset
    behind = shop.api.get(path, query={"offset": 100_000}).json
    assert behind["data"] == []
    assert behind["pagination"]["total"] == total


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_links_lead_through_all_pages_and_back(shop: Shop, order: str) -> None:
    query: dict[str, Any] = {"sort": "name", "order": order, "first": 2, "offset": 0}
    seen, trail = [], []
    for _ in range(4):
        answered = shop.api.get("/api/v1/categories", query=query)
        seen += names(answered.json)
        trail.append(answered.json["pagination"])
        if "next" not in links_of(answered):
            break
        query = links_of(answered)["next"]
    assert seen == sorted("abcde", reverse=order == "desc")
    assert [(at["offset"], at["has_more"]) for at in trail] == [(0, True), (2, True), (4, False)]
    assert {at["total"] for at in trail} == {5}
    back = links_of(answered)["prev"]
    assert names(shop.api.get("/api/v1/categories", query=back).json) == seen[2:4]
    odd = shop.api.get("/api/v1/categories", query={"offset": 1, "limit": 2})
    assert links_of(odd)["prev"]["offset"] == "0"


def test_filters_and_offsets_go_together(shop: Shop) -> None:
    query = {"slug": "c", "offset": 0}
    found = shop.api.get("/api/v1/categories", query=query).json
    assert (names(found), found["pagination"]["total"]) == (["c"], 1)


@pytest.mark.parametrize(
    "query",
    [
        {"offset": -1},
        {"offset": 100_001},
        {"offset": "x"},
        {"offset": 1, "last": 2},
        {"offset": 1, "after": "abc"},
        {"offset": 1, "before": "abc"},
    ],
    ids=str,
)
def test_other_offsets_are_refused(shop: Shop, query: dict[str, Any]) -> None:
    answered = shop.api.get("/api/v1/categories", query=query)
    assert (answered.status, answered.code) == (400, "invalid_parameter")
    assert answered.json["errors"][0]["pointer"] == "offset"


def test_long_lists_take_cursors_only(shop: Shop) -> None:
    answered = shop.api.get("/api/v1/orders", query={"offset": 0})
    assert (answered.status, answered.code) == (400, "unknown_parameter")
