"""Payments over HTTP: taken, held, captured, declined, and told about by their provider."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.domains.callbacks.service import sign
from shop_api.providers import simulated
from tests.fixtures.api import Answered, Shop, encode

ORDERS = "/api/v1/orders"


def placed(shop: Shop, price: str = "10.00", quantity: int = 3) -> dict[str, Any]:
    product = shop.product(price, 10)
    order: dict[str, Any] = shop.order((product["variants"][0]["id"], quantity)).json
    return order


def pay(shop: Shop, order: dict[str, Any], card: str | None = None, **body: Any) -> Answered:
    if card is not None:
        body |= {"provider": "simulated", "card_number": card}
    return shop.api.post(f"{ORDERS}/{order['id']}/payments", {"method": "card", **body})


def read(shop: Shop, order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = shop.api.get(f"{ORDERS}/{order['id']}").json
    return found


def move(shop: Shop, order: dict[str, Any], index: int, action: str, body: Any = None) -> Answered:
    payment_id = order["payments"][index]["id"]
    return shop.api.post(f"{ORDERS}/{order['id']}/payments/{payment_id}/{action}", body)


def tell(shop: Shop, payment: dict[str, Any], outcome: str, **changes: Any) -> Answered:
    """A callback as the provider sends it, or with another signature, tenant or provider."""
    assert isinstance(shop.api.app, App)
    signature = changes.pop("signature", None)
    tenant_id: UUID = changes.pop("tenant_id", shop.tenant_id)
    provider = changes.pop("provider", "simulated")
    body = {"callback_id": outcome, "reference": payment["reference"], "outcome": outcome}
    data = encode(body | changes)
    if signature is None:
        signature = sign(shop.api.app.services.secret_keys.signing, shop.tenant_id, data)
    return shop.api.with_token(None).post(
        f"/api/v1/payment_callbacks/{provider}/{tenant_id}",
        data=data,
        content_type="application/json",
        headers={"X-Payment-Signature": signature},
    )


def statuses(order: dict[str, Any]) -> tuple[str, str, list[str]]:
    return order["status"], order["payment_status"], [p["status"] for p in order["payments"]]


def test_each_test_card_does_what_it_stands_for(shop: Shop) -> None:
    for card, expected in [
        (simulated.APPROVED, ("processing", "paid", ["captured"])),
        (simulated.DECLINED, ("pending", "unpaid", ["failed"])),
        (simulated.AUTHORIZED_ONLY, ("processing", "authorized", ["authorized"])),
        (simulated.TIMED_OUT, ("pending", "unpaid", ["pending"])),
        (simulated.TOLD_TWICE, ("processing", "paid", ["captured"])),
        ("5555555555554444", ("pending", "unpaid", ["failed"])),
    ]:
        order = placed(shop)
        answered = pay(shop, order, card)
        assert (answered.status, statuses(answered.json)) == (201, expected), card
        assert answered.json["payments"][0]["reference"].startswith("sim_")


def test_a_declined_payment_is_recorded_and_another_may_follow(shop: Shop) -> None:
    order = placed(shop)
    declined = pay(shop, order, simulated.DECLINED).json
    assert declined["payments"][0]["failure_code"] == "card_declined"
    assert (declined["paid_total"], declined["hold_expires_at"]) == (0, order["hold_expires_at"])
    paid = pay(shop, order, simulated.APPROVED).json
    assert statuses(paid) == ("processing", "paid", ["failed", "captured"])
    assert paid["hold_expires_at"] is None


def test_a_card_number_is_stored_nowhere(app: App, shop: Shop) -> None:
    order = placed(shop)
    assert pay(shop, order, simulated.APPROVED).status == 201
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        for table in ("payments", "events", "audit_entries", "idempotency_records"):
            rows = session.execute(text(f"SELECT t::text FROM {table} t")).scalars()
            assert not any(simulated.APPROVED in row for row in rows), table


def test_what_each_provider_takes(shop: Shop) -> None:
    order = placed(shop)
    for body, code in [
        ({"provider": "simulated"}, "card_number_needed"),
        ({"card_number": simulated.APPROVED}, "card_number_not_taken"),
        (
            {"provider": "simulated", "card_number": simulated.APPROVED, "reference": "mine"},
            "reference_not_taken",
        ),
        ({"provider": "bank"}, "validation_failed"),
        ({"card_number": "4242 4242"}, "validation_failed"),
    ]:
        refused = pay(shop, order, **body)
        assert (refused.status, refused.code) == (422, code)
    assert read(shop, order)["payments"] == []


def test_several_payments_in_parts_by_several_providers(shop: Shop) -> None:
    order = placed(shop)
    assert pay(shop, order, amount=5).json["payment_status"] == "partially_paid"
    assert pay(shop, order, simulated.AUTHORIZED_ONLY, amount=10).json["status"] == "pending"
    too_much = pay(shop, order, amount=Decimal("15.01"))
    assert (too_much.status, too_much.code) == (409, "amount_exceeds_due")
    assert "15.00 USD" in too_much.json["detail"]
    full = pay(shop, order, simulated.APPROVED).json
    # all of it is there, though a part is only held
    assert (full["status"], full["payment_status"]) == ("processing", "partially_paid")
    assert full["paid_total"] == Decimal("20.00")
    assert pay(shop, order).code == "payment_in_progress"
    captured = move(shop, full, 1, "capture").json
    assert (captured["payment_status"], captured["paid_total"]) == ("paid", Decimal("30.00"))
    assert pay(shop, order).code == "paid_already"
    listed = shop.api.get(f"{ORDERS}/{order['id']}/payments", query={"include_total": "true"}).json
    assert listed["data"] == captured["payments"]
    assert listed["total"] == 3


def test_capturing_a_part_releases_the_rest(shop: Shop) -> None:
    order = placed(shop)
    held = pay(shop, order, capture=False).json
    assert statuses(held) == ("processing", "authorized", ["authorized"])
    assert held["payments"][0]["authorized_amount"] == Decimal("30.00")
    for amount, status, code in [
        ("30.01", 409, "amount_exceeds_authorized"),
        ("0.001", 422, "inexact_amount"),
        ("0", 422, "validation_failed"),
    ]:
        refused = move(shop, held, 0, "capture", {"amount": Decimal(amount)})
        assert (refused.status, refused.code) == (status, code)
    part = move(shop, held, 0, "capture", {"amount": 12}).json
    assert (part["payment_status"], part["paid_total"]) == ("partially_paid", Decimal("12.00"))
    assert part["payments"][0]["amount"] == Decimal("12.00")
    for action in ("capture", "void"):
        refused = move(shop, held, 0, action)
        assert (refused.status, refused.code) == (409, "illegal_state_change")
    assert pay(shop, order).json["payment_status"] == "paid"


def test_what_is_voided_is_due_again(shop: Shop) -> None:
    order = placed(shop)
    for card in (simulated.AUTHORIZED_ONLY, simulated.TIMED_OUT):
        opened = pay(shop, order, card).json
        assert pay(shop, order).code == "payment_in_progress"
        voided = move(shop, opened, -1, "void").json
        assert (voided["payment_status"], voided["payments"][-1]["status"]) == ("unpaid", "voided")
    assert pay(shop, order).json["payment_status"] == "paid"


def test_a_paid_order_says_what_it_may_still_become(shop: Shop) -> None:
    order = placed(shop)
    nothing_due = "The order is paid already: 0.00 USD is due."
    for step, told in (
        ("payments", f"{nothing_due} It may become: completed, cancelled."),
        ("fulfillments", f"{nothing_due} It may become: completed."),
        ("complete", f"{nothing_due} It is final."),
    ):
        body = {"method": "cash"} if step == "payments" else None
        assert shop.api.post(f"/api/v1/orders/{order['id']}/{step}", body).status < 300
        refused = pay(shop, order)
        assert (refused.status, refused.code) == (409, "paid_already")
        assert refused.json["detail"] == told


def test_a_payment_of_another_order_is_not_found(shop: Shop) -> None:
    first, second = placed(shop), placed(shop)
    held = pay(shop, first, capture=False).json
    path = f"{ORDERS}/{second['id']}/payments/{held['payments'][0]['id']}"
    for action in ("capture", "void"):
        assert shop.api.post(f"{path}/{action}").status == 404


def test_a_callback_ends_the_waiting_once(app: App, shop: Shop) -> None:
    order = placed(shop)
    payment = pay(shop, order, simulated.TIMED_OUT).json["payments"][0]
    told = tell(shop, payment, "captured")
    assert (told.status, told.json["is_applied"]) == (200, True)
    paid = read(shop, order)
    assert statuses(paid) == ("processing", "paid", ["captured"])
    for again in (
        tell(shop, payment, "captured"),
        tell(shop, payment, "captured", callback_id="b"),
    ):
        assert (again.status, again.json["is_applied"]) == (200, False)
    assert read(shop, order) == paid
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        query = "SELECT count(*) FROM events WHERE type = 'order_paid'"
        assert session.execute(text(query)).scalar_one() == 1


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["captured", "authorized"], ("processing", "paid", ["captured"])),
        (["authorized", "captured"], ("processing", "paid", ["captured"])),
        (["failed", "authorized"], ("pending", "unpaid", ["failed"])),
        (["captured", "failed"], ("processing", "paid", ["captured"])),
        (["refunded", "captured"], ("processing", "refunded", ["captured"])),
        (["captured", "refunded", "authorized"], ("processing", "refunded", ["captured"])),
        # money that moved is never lost, whatever was told before
        (["failed", "captured"], ("processing", "paid", ["captured"])),
        (["captured", "failed", "refunded"], ("processing", "refunded", ["captured"])),
        (["failed", "captured", "refunded"], ("processing", "refunded", ["captured"])),
        (["failed", "refunded"], ("processing", "refunded", ["captured"])),
    ],
)
def test_callbacks_out_of_order_never_take_a_payment_back(
    shop: Shop, outcomes: list[str], expected: Any
) -> None:
    order = placed(shop)
    payment = pay(shop, order, simulated.TIMED_OUT).json["payments"][0]
    for outcome in outcomes:
        assert tell(shop, payment, outcome).status == 200
    found = read(shop, order)
    assert statuses(found) == expected
    has_failed = expected[2] == ["failed"]
    assert (found["payments"][0]["failure_code"] is not None) == has_failed


def test_a_deposit_that_was_given_back_is_owed_again(shop: Shop) -> None:
    order = placed(shop)
    pay(shop, order, amount=10)
    path = f"{ORDERS}/{order['id']}/refunds"
    shop.api.post(path, {"amount": 10})
    assert pay(shop, order, amount=Decimal("30.01")).code == "amount_exceeds_due"
    assert read(shop, order)["due_total"] == Decimal("30.00")
    partly = pay(shop, order, amount=20).json
    assert (statuses(partly)[0], partly["due_total"]) == ("pending", Decimal("10.00"))
    paid = pay(shop, order).json
    assert paid["due_total"] == 0
    assert (paid["status"], paid["paid_total"]) == ("processing", Decimal("40.00"))
    assert paid["paid_total"] - paid["refunded_total"] == paid["total"]
    assert pay(shop, order).code == "paid_already"
    # of a paid order it is a favour, and not owed again
    shop.api.post(path, {"amount": 5})
    favour = pay(shop, order)
    told = "The order is partially refunded already: 0.00 USD is due. It may become: "
    assert favour.code == "paid_already"
    assert favour.json["detail"].startswith(told)
    units = {"lines": [{"line_id": order["lines"][0]["id"], "quantity": 2}]}
    assert shop.api.post(path, units).json["amount"] == Decimal("20.00")


def test_what_is_given_back_of_a_part_that_was_captured_is_owed_again(shop: Shop) -> None:
    order = placed(shop)
    pay(shop, order, simulated.AUTHORIZED_ONLY)
    held = read(shop, order)["payments"][0]
    path = f"{ORDERS}/{order['id']}"
    assert shop.api.post(f"{path}/payments/{held['id']}/capture", {"amount": 20}).status == 200
    assert shop.api.post(f"{path}/refunds", {"amount": 20}).status == 201
    # more than the total is captured now, and less of it is there
    partly = pay(shop, order, amount=25).json
    assert (partly["paid_total"], partly["due_total"]) == (Decimal("45.00"), Decimal("5.00"))
    assert shop.api.post(f"{path}/fulfillments").code == "payment_required"
    assert pay(shop, order, amount=Decimal("5.01")).code == "amount_exceeds_due"
    paid = pay(shop, order).json
    assert paid["paid_total"] - paid["refunded_total"] == paid["total"] == Decimal("30.00")
    shop.api.post(f"{path}/refunds", {"amount": 3})
    assert pay(shop, order).code == "paid_already"
    assert shop.api.post(f"{path}/fulfillments").status == 201


def test_refunded_units_are_not_owed_again(shop: Shop) -> None:
    order = placed(shop)
    pay(shop, order, amount=10)
    units = {"lines": [{"line_id": order["lines"][0]["id"], "quantity": 1}]}
    shop.api.post(f"{ORDERS}/{order['id']}/refunds", units)
    assert pay(shop, order, amount=Decimal("20.01")).code == "amount_exceeds_due"
    assert pay(shop, order).json["status"] == "processing"
    sent = shop.api.post(f"{ORDERS}/{order['id']}/fulfillments")
    assert sent.json["lines"][0]["quantity"] == 2


def test_a_hold_after_a_refund_is_authorized(shop: Shop) -> None:
    order = placed(shop)
    pay(shop, order, amount=10)
    shop.api.post(f"{ORDERS}/{order['id']}/refunds", {"amount": 10})
    held = pay(shop, order, simulated.AUTHORIZED_ONLY).json
    assert statuses(held) == ("processing", "authorized", ["captured", "authorized"])
    assert shop.api.post(f"{ORDERS}/{order['id']}/fulfillments").status == 201


def test_a_provider_tells_of_refunds_by_their_sum(shop: Shop) -> None:
    order = placed(shop)
    payment = pay(shop, order, simulated.APPROVED).json["payments"][0]
    ours = shop.api.post(f"{ORDERS}/{order['id']}/refunds", {"amount": 4})
    assert ours.status == 201
    for amount, callback_id, is_applied, refunded in [
        ("4.00", "echo of ours", False, "4.00"),
        ("10.00", "theirs", True, "10.00"),
        ("6.00", "late", False, "10.00"),
    ]:
        told = tell(shop, payment, "refunded", amount=Decimal(amount), callback_id=callback_id)
        assert told.json["is_applied"] == is_applied
        assert read(shop, order)["refunded_total"] == Decimal(refunded)
    assert tell(shop, payment, "refunded", amount=31, callback_id="x").status == 409


def test_a_callback_must_be_signed_for_its_tenant(shop: Shop, other_shop: Shop) -> None:
    order = placed(shop)
    payment = pay(shop, order, simulated.TIMED_OUT).json["payments"][0]
    assert isinstance(shop.api.app, App)
    for changes in (
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "é"},
        {"tenant_id": other_shop.tenant_id},
        {"tenant_id": UUID(int=7)},
    ):
        refused = tell(shop, payment, "captured", **changes)
        assert (refused.status, refused.code) == (401, "invalid_signature")
    # signed right by the other tenant, it knows no such payment
    foreign = tell(other_shop, payment, "captured")
    assert (foreign.status, foreign.code) == (404, "not_found")
    for provider in ("manual", "nobody"):
        assert tell(shop, payment, "captured", provider=provider).status == 404
    assert statuses(read(shop, order)) == ("pending", "unpaid", ["pending"])


def test_the_timeline_tells_it_all_without_personal_data(shop: Shop) -> None:
    customer = shop.api.post(
        "/api/v1/customers", {"first_name": "Ada", "email": "ada@example.com"}
    ).json
    line = {"variant_id": shop.product()["variants"][0]["id"], "quantity": 1}
    address = {"line1": "Via Roma 1", "city": "Torino", "country": "IT"}
    order = shop.api.post(
        ORDERS, {"lines": [line], "customer_id": customer["id"], "shipping_address": address}
    ).json
    path = f"{ORDERS}/{order['id']}"
    pay(shop, order, simulated.DECLINED)
    pay(shop, order, simulated.APPROVED)
    shop.api.patch(path, {"note": "Ada whispers", "billing_address": address})
    shop.api.post(f"{path}/complete")
    shop.api.post(f"{path}/refunds", {"amount": 1})
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = shop.api.get(f"{path}/events", query=query).json
        found += page["data"]
        if not page["page_info"]["has_next_page"]:
            break
        query["after"] = page["page_info"]["end_cursor"]
    assert [event["type"] for event in found] == [
        "order_created",
        "payment_failed",
        "order_paid",
        "order_status_changed",
        "order_updated",
        "order_fulfilled",
        "order_status_changed",
        "order_refunded",
    ]
    sequences = [event["sequence"] for event in found]
    assert sequences == sorted(sequences)
    refund = shop.api.get(f"{path}/refunds").json["data"][0]
    assert found[-1]["data"] == {
        "order_id": order["id"],
        "refund_id": refund["id"],
        "amount": Decimal("1.00"),
        "currency": "USD",
        "payment_status": "partially_refunded",
    }
    told = json.dumps(found, default=str)
    assert not any(word in told for word in ("Ada", "ada@", "Roma", "whispers"))
