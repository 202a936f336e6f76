"""Orders called off, by somebody or by the clock: their money and their stock."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.domains.cancellations.tasks import expire_orders, jobs
from shop_api.kernel.clock import utc_now
from shop_api.providers import simulated
from shop_api.spine.jobs import WorkerContext
from tests.api import test_payments as payments
from tests.api.test_fulfillments import act, ledger, read, some
from tests.api.test_order_concurrency import together
from tests.api.test_orders import move, pay, stock, variant_id
from tests.fixtures.api import Answered, Shop
from tests.fixtures.stores import Database

ORDERS = "/api/v1/orders"
HOLD = timedelta(seconds=1800)


@pytest.fixture
def worker(app: App, database: Database) -> WorkerContext:
    """The worker on the application's stores."""
    services = app.services
    return WorkerContext(
        services.settings,
        services.engine,
        database.exporter_engine,
        services.waker,
        services.redis,
    )


def test_cancelling_says_why_and_settles_every_payment(app: App, shop: Shop) -> None:
    product = shop.product("10.00", 9)
    order = shop.order((variant_id(product), 3)).json
    payments.pay(shop, order, simulated.APPROVED, amount=8)
    payments.pay(shop, order, simulated.AUTHORIZED_ONLY, amount=9)
    payments.pay(shop, order, simulated.TIMED_OUT, amount=10)
    act(shop, order, "refunds", {"amount": 3})
    done = act(shop, order, "cancel", {"reason": "Changed their mind"}).json
    assert payments.statuses(done) == ("cancelled", "refunded", ["captured", "voided", "voided"])
    assert (done["cancel_reason"], done["hold_expires_at"]) == ("Changed their mind", None)
    refunds = shop.api.get(f"{ORDERS}/{order['id']}/refunds").json["data"]
    assert [refund["amount"] for refund in refunds] == [Decimal("3.00"), Decimal("5.00")]
    # the provider took the voided payment after all: seen, so that it can be given back
    assert payments.tell(shop, done["payments"][2], "captured").json["is_applied"] is True
    taken = read(shop, order)
    assert (taken["status"], taken["payment_status"]) == ("cancelled", "partially_refunded")
    assert taken["paid_total"] - taken["refunded_total"] == Decimal("10.00")
    back = act(shop, order, "refunds", some(order, 1))
    assert (back.status, back.json["amount"]) == (201, Decimal("10.00"))
    assert read(shop, order)["payment_status"] == "refunded"
    assert ledger(app, shop) == [("released", 0, -3), ("reserved", 0, 3)]


def test_what_is_not_restocked_is_written_off(app: App, shop: Shop) -> None:
    product = shop.product(quantity=9)
    order = shop.order((variant_id(product), 4)).json
    assert act(shop, order, "cancel", {"restock": False}).status == 200
    assert stock(shop, product) == (5, 0)
    assert ledger(app, shop) == [("adjusted", -4, -4), ("reserved", 0, 4)]


def test_goods_that_never_came_are_not_written_off(app: App, shop: Shop) -> None:
    product = shop.product(quantity=1)
    variant = variant_id(product)
    path = f"/api/v1/products/{product['id']}/variants/{variant}"
    assert shop.api.patch(path, {"inventory": {"allow_backorder": True}}).status == 200
    order = shop.order((variant, 5)).json
    assert act(shop, order, "cancel", {"restock": False}).status == 200
    assert stock(shop, product) == (0, 0)
    assert ledger(app, shop) == [("adjusted", -1, -5), ("reserved", 0, 5)]


def test_an_order_that_left_in_part_is_not_called_off(shop: Shop) -> None:
    order = shop.order((variant_id(shop.product()), 2)).json
    pay(shop, order)
    act(shop, order, "fulfillments", some(order, 1))
    refused = act(shop, order, "cancel")
    assert (refused.status, refused.code) == (409, "illegal_state_change")
    assert refused.json["detail"] == (
        "The order cannot be cancelled: 1 unit of it has left. Refund the 1 that remains with POST"
        " /orders/{id}/refunds, and complete it. It may become: completed."
    )
    # as it says
    assert act(shop, order, "refunds", some(order, 1)).status == 201
    refused = act(shop, order, "cancel")
    assert refused.json["detail"] == (
        "The order cannot be cancelled: 1 unit of it has left. Complete it; POST"
        " /orders/{id}/refunds gives money back, POST /orders/{id}/returns takes goods back. It may"
        " become: completed."
    )
    assert move(shop, order, "complete").status == 200


def test_unpaid_orders_give_their_stock_back(app: App, shop: Shop, worker: WorkerContext) -> None:
    product = shop.product("10.00", 20)
    orders = [shop.order((variant_id(product), 2)).json for _ in range(6)]
    unpaid, waiting, declined, part, held, paid = orders
    payments.pay(shop, waiting, simulated.TIMED_OUT)
    payments.pay(shop, declined, simulated.DECLINED)
    pay(shop, part, "1.00")
    payments.pay(shop, held, simulated.AUTHORIZED_ONLY, amount=1)
    pay(shop, paid)
    assert expire_orders(worker, utc_now()) == 0
    assert expire_orders(worker, utc_now() + HOLD) == 3
    assert [read(shop, order)["status"] for order in orders] == [
        *["cancelled"] * 3,
        "pending",
        "pending",
        "processing",
    ]
    gone = read(shop, waiting)
    assert (gone["cancel_reason"], gone["payments"][0]["status"]) == ("expired", "voided")
    assert stock(shop, product) == (20, 6)
    events = shop.api.get(f"{ORDERS}/{unpaid['id']}/events").json["data"]
    assert [event["actor"] for event in events][1:] == ["system:order_holds"]
    assert expire_orders(worker, utc_now() + HOLD) == 0


def void_last(shop: Shop, order: dict[str, Any]) -> dict[str, Any]:
    """Let the newest payment go, and the order after it."""
    voided = payments.move(shop, read(shop, order), -1, "void")
    assert voided.status == 200
    found: dict[str, Any] = voided.json
    return found


def test_orders_that_no_money_is_left_in_give_their_stock_back(
    shop: Shop, worker: WorkerContext
) -> None:
    product = shop.product("10.00", 20)
    orders = [shop.order((variant_id(product), 3)).json for _ in range(5)]
    part, deposit, full, units, kept = orders
    payments.pay(shop, part, simulated.AUTHORIZED_ONLY, amount=5)
    pay(shop, deposit, "0.01")
    payments.pay(shop, full, simulated.AUTHORIZED_ONLY)
    for order in (units, kept):
        pay(shop, order)
    assert {read(shop, order)["hold_expires_at"] for order in orders} == {None}
    void_last(shop, part)
    act(shop, deposit, "refunds", {"amount": Decimal("0.01")})
    gone = void_last(shop, full)
    assert payments.statuses(gone) == ("processing", "unpaid", ["voided"])
    act(shop, units, "refunds", some(units, 3))
    act(shop, kept, "refunds", some(kept, 2))
    assert all(read(shop, order)["hold_expires_at"] for order in orders[:4])
    assert read(shop, kept)["hold_expires_at"] is None
    assert stock(shop, product) == (20, 10)
    assert expire_orders(worker, utc_now()) == 0
    assert expire_orders(worker, utc_now() + HOLD) == 4
    assert [read(shop, order)["status"] for order in orders] == [*["cancelled"] * 4, "processing"]
    assert stock(shop, product) == (20, 1)


def test_the_tenant_says_for_how_long_it_is_held_again(shop: Shop) -> None:
    assert shop.api.patch("/api/v1/tenant", {"settings": {"order_hold_minutes": 600}}).status == 200
    order = shop.order((variant_id(shop.product("10.00", 9)), 1)).json
    payments.pay(shop, order, simulated.AUTHORIZED_ONLY, amount=5)
    held_until = datetime.fromisoformat(void_last(shop, order)["hold_expires_at"])
    assert timedelta(minutes=595) < held_until - utc_now() <= timedelta(minutes=600)
    # told by the provider it is the same
    payments.pay(shop, order, simulated.TIMED_OUT)
    payment = read(shop, order)["payments"][-1]
    payments.tell(shop, payment, "authorized")
    assert read(shop, order)["hold_expires_at"] is None
    payments.tell(shop, payment, "failed")
    assert read(shop, order)["hold_expires_at"] is not None
    assert act(shop, order, "cancel").json["hold_expires_at"] is None


def test_what_has_left_is_not_given_up(shop: Shop) -> None:
    order = shop.order((variant_id(shop.product("10.00", 9)), 2)).json
    payments.pay(shop, order, simulated.AUTHORIZED_ONLY)
    act(shop, order, "fulfillments", some(order, 1))
    voided = void_last(shop, order)
    assert (voided["fulfillment_status"], voided["hold_expires_at"]) == ("partial", None)
    assert act(shop, order, "fulfillments").code == "payment_required"


def test_imported_orders_are_never_given_up(app: App, shop: Shop, worker: WorkerContext) -> None:
    order = shop.order((variant_id(shop.product()), 1)).json
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        session.execute(text("UPDATE orders SET hold_expires_at = NULL"))
    assert expire_orders(worker, utc_now() + HOLD * 100) == 0
    assert read(shop, order)["status"] == "pending"


def test_a_payment_at_the_last_moment_pays_or_finds_it_cancelled(
    app: App, shop: Shop, worker: WorkerContext
) -> None:
    product = shop.product("10.00", 100)
    for _ in range(6):
        order = shop.order((variant_id(product), 1)).json
        with tenant_session(app.services.engine, shop.tenant_id) as session:
            session.execute(
                text("UPDATE orders SET hold_expires_at = now() WHERE id = :id"),
                {"id": UUID(order["id"])},
            )

        def expire(order: dict[str, Any] = order) -> Answered:
            expire_orders(worker, utc_now())
            return shop.api.get(f"{ORDERS}/{order['id']}")

        paid, _ = together(partial(pay, shop, order), expire)
        after = read(shop, order)
        if paid.status == 201:
            assert payments.statuses(after) == ("processing", "paid", ["captured"])
        else:
            assert paid.code == "illegal_state_change"
            assert payments.statuses(after) == ("cancelled", "unpaid", [])
    quantity, reserved = stock(shop, product)
    kept = shop.api.get(ORDERS, query={"status": "processing"}).json["data"]
    assert (quantity, reserved) == (100, len(kept))


def test_the_job_is_plugged_in(worker: WorkerContext) -> None:
    [job] = jobs(worker)
    assert (job.name, job.interval_seconds) == ("expire_orders", 30)
    job.run(utc_now())
