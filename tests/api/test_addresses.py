"""Customers' address books: one default of each kind, fifty addresses at most."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.fixtures.api import Shop

PLACE = {"line1": "Via Roma 1", "city": "Torino", "postal_code": "10121", "country": "IT"}
FLAGS = ("is_default_shipping", "is_default_billing")


@pytest.fixture
def book(shop: Shop) -> str:
    """The path of a new customer's addresses."""
    customer = shop.api.post("/api/v1/customers", {"first_name": "Ada"}).json
    return f"/api/v1/customers/{customer['id']}/addresses"


def defaults(shop: Shop, book: str) -> dict[str, list[str]]:
    """By flag, the ids of the addresses that have it."""
    rows = shop.api.get(book, query={"limit": 100}).json["data"]
    return {flag: [row["id"] for row in rows if row[flag]] for flag in FLAGS}


def test_an_address_is_added_read_replaced_changed_and_deleted(shop: Shop, book: str) -> None:
    body = {
        **PLACE,
        "recipient": "Ada Rossi",
        "company": "Fig Srl",
        "phone": "+39 011",
        "label": "Work",
        "line2": "Scala B",
        "region": "TO",
    }
    made = shop.api.post(book, body)
    path = made.headers["Location"]
    assert path == f"{book}/{made.json['id']}"
    assert made.json.items() >= {**body, **dict.fromkeys(FLAGS, True)}.items()
    assert made.json["customer_id"] == book.split("/")[-2]
    read = shop.api.get(path)
    assert read.json == made.json
    tag = read.headers["ETag"]
    replaced = shop.api.put(path, {**PLACE, "label": "Old"}, headers={"If-Match": tag}).json
    assert replaced.items() >= {**PLACE, "label": "Old", **dict.fromkeys(FLAGS, False)}.items()
    assert {replaced[name] for name in ("recipient", "company", "phone", "line2", "region")} == {
        None
    }
    stale = shop.api.patch(path, {"label": "New"}, headers={"If-Match": tag})
    assert (stale.status, stale.code) == (412, "precondition_failed")
    changed = shop.api.patch(path, {"label": "New", "is_default_billing": True}).json
    assert changed.items() >= {**PLACE, "label": "New", "is_default_billing": True}.items()
    refused = shop.api.patch(path, {"country": "Italy"})
    assert refused.json["errors"][0]["pointer"] == "/country"
    assert shop.api.delete(path).status == 204
    assert shop.api.get(path).status == 404
    assert shop.api.get(book).json["data"] == []


def test_each_kind_has_one_default(shop: Shop, book: str) -> None:
    first = shop.api.post(book, PLACE).json["id"]
    second = shop.api.post(book, PLACE).json["id"]
    assert defaults(shop, book) == {FLAGS[0]: [first], FLAGS[1]: [first]}
    third = shop.api.post(book, {**PLACE, "is_default_shipping": True}).json["id"]
    assert defaults(shop, book) == {FLAGS[0]: [third], FLAGS[1]: [first]}
    shop.api.patch(f"{book}/{second}", {"is_default_billing": True})
    assert defaults(shop, book) == {FLAGS[0]: [third], FLAGS[1]: [second]}
    shop.api.delete(f"{book}/{third}")
    assert defaults(shop, book) == {FLAGS[0]: [], FLAGS[1]: [second]}
    # of another customer, it is not there
    other = shop.api.post("/api/v1/customers", {"first_name": "Ben"}).json["id"]
    assert shop.api.get(f"/api/v1/customers/{other}/addresses/{second}").status == 404
    assert shop.api.delete(f"/api/v1/customers/{other}/addresses/{second}").status == 404


def test_the_database_holds_one_default(app: App, shop: Shop, book: str) -> None:
    for _ in range(2):
        shop.api.post(book, PLACE)
    for flag in FLAGS:
        with (
            pytest.raises(IntegrityError, match=f"uq_customer_addresses_{flag[3:]}"),
            tenant_session(app.services.engine, shop.tenant_id) as session,
        ):
            session.execute(text(f"UPDATE customer_addresses SET {flag} = true"))


def test_two_defaults_at_once_leave_one(shop: Shop, book: str) -> None:
    paths = [f"{book}/{shop.api.post(book, PLACE).json['id']}" for _ in range(4)]
    change: dict[str, Any] = dict.fromkeys(FLAGS, True)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: shop.api.patch(path, change).status, paths * 2))
    assert found == [200] * 8
    assert [len(ids) for ids in defaults(shop, book).values()] == [1, 1]


def test_a_book_holds_fifty(shop: Shop, book: str) -> None:
    for _ in range(50):
        assert shop.api.post(book, PLACE).status == 201
    refused = shop.api.post(book, PLACE)
    assert (refused.status, refused.code) == (409, "too_many_addresses")
    assert shop.api.get(book, query={"include_total": "true"}).json["total"] == 50
    # with the customer goes the book
    assert shop.api.delete(book.removesuffix("/addresses")).status == 204
    assert shop.api.get(book).status == 404


def test_an_order_keeps_the_whole_address(shop: Shop) -> None:
    address = {**PLACE, "recipient": "Ada Rossi", "company": "Fig Srl", "phone": "+39 011"}
    line = {"variant_id": shop.product()["variants"][0]["id"], "quantity": 1}
    order = shop.api.post("/api/v1/orders", {"lines": [line], "shipping_address": address}).json
    assert order["shipping_address"] == {**address, "line2": None, "region": None}
    path = f"/api/v1/orders/{order['id']}"
    nothing = dict.fromkeys((*address, "line2", "region"))
    given = {"line1": "Via Po 2", "city": "Torino", "country": "IT"}
    changed = shop.api.patch(path, {"shipping_address": given}).json
    assert changed["shipping_address"] == {**nothing, **given}
    assert changed["billing_address"] is None
    listed = shop.api.get("/api/v1/orders").json["data"][0]
    assert listed["shipping_address"] == {**nothing, **given}


def test_the_log_tells_that_an_address_changed_and_not_what_it_says(shop: Shop, book: str) -> None:
    path = shop.api.post(book, {**PLACE, "recipient": "Ada Rossi"}).headers["Location"]
    shop.api.patch(path, {"line1": "Via Po 2", "label": "Lake house"})
    shop.api.delete(path)
    found = shop.api.get("/api/v1/audit_log", query={"subject_type": "customer_address"})
    assert [entry["action"] for entry in found.json["data"]] == [
        "customer_address_deleted",
        "customer_address_updated",
        "customer_address_added",
    ]
    for personal in ("Rossi", "Via", "Torino", "10121", "Lake"):
        assert personal not in found.body.decode()
