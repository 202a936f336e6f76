"""Tables and tills: orders join a session, and it closes when they are settled."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from tests.api.test_order_concurrency import outcomes, together
from tests.api.test_orders import move, pay, variant_id
from tests.factories.pricing import ADDRESS, tax
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop

SESSIONS = "/api/v1/sessions"
ORDERS = "/api/v1/orders"


@pytest.fixture
def table(shop: Shop) -> dict[str, Any]:
    """An open table of its own."""
    count = shop.api.get(SESSIONS, query={"include_total": "true", "limit": 1}).json["total"]
    body = {"kind": "table", "name": f"Table {count}", "channel": "dine_in"}
    opened = shop.api.post(SESSIONS, body)
    assert opened.status == 201
    found: dict[str, Any] = opened.json
    return found


def order_at(shop: Shop, session: dict[str, Any], **more: Any) -> Answered:
    line = {"variant_id": variant_id(shop.product(price="8.50", quantity=9)), "quantity": 2}
    return shop.api.post(ORDERS, {"lines": [line], "session_id": session["id"], **more})


def close(shop: Shop, session: dict[str, Any]) -> Answered:
    return shop.api.delete(f"{SESSIONS}/{session['id']}")


def test_a_session_is_of_its_orders_and_closes_when_they_are_settled(
    shop: Shop, table: dict[str, Any]
) -> None:
    assert (table["is_open"], table["order_count"], str(table["total"])) == (True, 0, "0.00")
    first, second, third = (order_at(shop, table).json for _ in range(3))
    assert (first["session_id"], first["channel"]) == (table["id"], "dine_in")
    # a guest who eats for an hour keeps what was ordered
    assert first["hold_expires_at"] is None
    move(shop, third, "cancel")
    found = shop.api.get(f"{SESSIONS}/{table['id']}").json
    assert (found["order_count"], str(found["total"])) == (2, "34.00")

    pay(shop, first)
    refused = close(shop, table)
    assert (refused.status, refused.code) == (409, "session_not_settled")
    assert [error["pointer"] for error in refused.json["errors"]] == [f"/orders/{second['id']}"]
    pay(shop, second, "1.00")
    assert close(shop, table).code == "session_not_settled"
    pay(shop, second)
    closed = close(shop, table)
    assert (closed.status, closed.json["is_open"]) == (200, False)
    assert (str(closed.json["total"]), str(closed.json["paid_total"])) == ("34.00", "34.00")
    assert close(shop, table).code == "session_closed"
    assert order_at(shop, table).code == "session_closed"
    listed = shop.api.get(ORDERS, query={"session_id": table["id"]}).json["data"]
    assert {order["id"] for order in listed} == {first["id"], second["id"], third["id"]}


def test_a_table_is_not_closed_while_money_is_owed(shop: Shop, table: dict[str, Any]) -> None:
    order = order_at(shop, table).json
    path = f"{ORDERS}/{order['id']}"
    pay(shop, order, "10.00")
    shop.api.post(f"{path}/refunds", {"amount": 5})
    refused = close(shop, table)
    assert refused.code == "session_not_settled"
    told = refused.json["errors"][0]["detail"]
    assert told == f"Order {order['number']} is pending and partially_refunded."
    assert pay(shop, order).json["status"] == "processing"
    # a favour to a guest who has paid
    shop.api.post(f"{path}/refunds", {"amount": 5})
    assert close(shop, table).status == 200
    assert shop.api.get(path).json["hold_expires_at"] is None


def test_an_order_at_an_open_table_is_not_given_up(shop: Shop, table: dict[str, Any]) -> None:
    order = order_at(shop, table).json
    paid = shop.api.post(f"{ORDERS}/{order['id']}/payments", {"method": "card", "capture": False})
    assert paid.json["status"] == "processing"
    payment = paid.json["payments"][0]["id"]
    voided = shop.api.post(f"{ORDERS}/{order['id']}/payments/{payment}/void").json
    assert (voided["payment_status"], voided["hold_expires_at"]) == ("unpaid", None)
    assert close(shop, table).code == "session_not_settled"


def test_what_is_sold_in_person_is_taxed_where_the_shop_is(api: ApiClient) -> None:
    shop = open_shop(api)
    counter = shop.api.post(SESSIONS, {"kind": "till", "name": "Till 1"}).json
    for rate, where in (("0.22", {}), ("0.07", {"region": "TO"}), ("0.19", {"country": "DE"})):
        tax(shop, rate, **where)
    settings: list[tuple[dict[str, Any], str]] = [
        ({}, "0"),
        ({"country": "IT"}, "3.74"),
        ({"region": "to"}, "4.93"),
        ({"country": "DE"}, "3.23"),
    ]
    for changed, expected in settings:
        assert shop.api.patch("/api/v1/tenant", {"settings": changed}).status == 200
        sold = order_at(shop, counter).json
        assert [Decimal(sold[name]) for name in ("subtotal", "tax_total")] == [
            17,
            Decimal(expected),
        ]
    # what is brought somewhere is taxed there, and what is sold elsewhere as before
    sent = order_at(shop, counter, shipping_address=ADDRESS).json
    assert Decimal(sent["tax_total"]) == Decimal("4.93")
    online = shop.order((sent["lines"][0]["variant_id"], 1)).json
    assert Decimal(online["tax_total"]) == 0


def test_one_of_a_kind_and_name_is_open_at_a_time(shop: Shop, table: dict[str, Any]) -> None:
    again = {"kind": "table", "name": table["name"]}
    refused = shop.api.post(SESSIONS, again)
    assert (refused.status, refused.code) == (409, "session_open")
    assert shop.api.post(SESSIONS, {**again, "kind": "till"}).json["channel"] == "pos"
    close(shop, table)
    assert shop.api.post(SESSIONS, again).status == 201


def test_what_a_session_cannot_be_is_refused(shop: Shop, table: dict[str, Any]) -> None:
    body = {"kind": "till", "name": "Till", "location_id": table["id"]}
    assert shop.api.post(SESSIONS, body).code == "location_not_found"
    assert shop.api.post(SESSIONS, {"kind": "sofa", "name": "x"}).status == 422
    assert order_at(shop, {"id": str(shop.tenant_id)}).code == "session_not_found"
    assert order_at(shop, table, channel="web").code == "channel_of_session"
    assert order_at(shop, table, channel="dine_in").status == 201


def test_sessions_are_listed_by_what_they_are(shop: Shop, table: dict[str, Any]) -> None:
    query = {"is_open": "true", "kind": "table", "limit": 100}
    assert table["id"] in [row["id"] for row in shop.api.get(SESSIONS, query=query).json["data"]]
    close(shop, table)
    assert table["id"] not in [
        row["id"] for row in shop.api.get(SESSIONS, query=query).json["data"]
    ]


def test_no_order_slips_in_while_a_session_is_closed(shop: Shop) -> None:
    for number in range(5):
        body = {"kind": "till", "name": f"Race {number}"}
        session = shop.api.post(SESSIONS, body).json
        line = {"variant_id": variant_id(shop.product(quantity=99)), "quantity": 1}
        order = {"lines": [line], "session_id": session["id"]}
        calls = [partial(shop.api.post, ORDERS, order) for _ in range(4)]
        answers = together(*calls, partial(close, shop, session))
        placed = sum(answer.status == 201 for answer in answers)
        is_closed = not shop.api.get(f"{SESSIONS}/{session['id']}").json["is_open"]
        # closed with nothing placed, or open because something was
        assert is_closed == (placed == 0), outcomes(answers)
