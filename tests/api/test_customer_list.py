"""Customers are found by when they came and changed, by the id of elsewhere, and by their words."""

from typing import Any

import pytest

from tests.fixtures.api import Shop

CUSTOMERS = "/api/v1/customers"


@pytest.fixture
def people(shop: Shop) -> list[dict[str, Any]]:
    """Three customers, the oldest first."""
    bodies = [
        {"first_name": "Adélie", "last_name": "Roux", "email": "adelie@example.com"},
        {"first_name": "Ben", "last_name": "Adler", "external_id": "b-1", "tags": ["vip"]},
        {"first_name": "Cleo", "phone": "+39 011 555 0177"},
    ]
    return [shop.api.post(CUSTOMERS, body).json for body in bodies]


def found(shop: Shop, **query: Any) -> list[str]:
    rows = shop.api.get(CUSTOMERS, query={"order": "asc", **query}).json["data"]
    return [row["first_name"] for row in rows]


def test_customers_are_found_by_their_times(shop: Shop, people: list[dict[str, Any]]) -> None:
    oldest, middle, newest = people
    assert found(shop, created_after=oldest["created_at"]) == ["Ben", "Cleo"]
    assert found(shop, created_before=newest["created_at"]) == ["Adélie", "Ben"]
    between = {"created_after": oldest["created_at"], "created_before": newest["created_at"]}
    assert found(shop, **between) == ["Ben"]
    shop.api.patch(f"{CUSTOMERS}/{oldest['id']}", {"tags": ["new"]})
    assert found(shop, updated_after=newest["updated_at"]) == ["Adélie"]
    assert found(shop, updated_before=newest["updated_at"]) == ["Ben"]
    page = shop.api.get(CUSTOMERS, query={**between, "include_total": "true"}).json
    assert (page["total"], page["data"][0]["id"]) == (1, middle["id"])


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("ad", ["Adélie", "Ben"]),
        ("adelie rou", ["Adélie"]),
        ("0177", ["Cleo"]),
        ("vip", ["Ben"]),
        ("nobody", []),
        ("--", []),
    ],
)
def test_customers_are_found_by_their_words(
    shop: Shop, people: list[dict[str, Any]], words: str, names: list[str]
) -> None:
    assert found(shop, search=words) == names
    # with other filters, by pages
    assert found(shop, search=words, tags="vip") == [name for name in names if name == "Ben"]
    seen: list[str] = []
    query: dict[str, Any] = {"search": words, "limit": 1, "order": "asc"}
    while True:
        page = shop.api.get(CUSTOMERS, query=query).json
        seen += [row["first_name"] for row in page["data"]]
        if not page["page_info"]["has_next_page"]:
            break
        query["after"] = page["page_info"]["end_cursor"]
    assert seen == names
    # whoever is erased is not found
    shop.api.post(f"{CUSTOMERS}/{people[0]['id']}/erase")
    assert found(shop, search=words) == [name for name in names if name != "Adélie"]


def test_customers_are_found_by_the_id_of_elsewhere(
    shop: Shop, other_shop: Shop, people: list[dict[str, Any]]
) -> None:
    assert found(shop, external_id="b-1") == ["Ben"]
    assert found(shop, external_id="b") == []
    assert found(other_shop, search="ad") == []
