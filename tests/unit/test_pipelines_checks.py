"""Checks refuse rows that break a rule, and name them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from analytics.contracts import CONTRACTS, ORDER_LINES, ORDERS, REFUNDS, Contract
from pipelines.checks.amounts import (
    check_discounts,
    check_exchange_rates,
    check_order_lines,
    check_orders,
    check_payments,
    check_refunds,
    check_taxes,
)
from pipelines.checks.failure import CheckFailedError
from pipelines.checks.shape import check_shape
from pipelines.frames import POLARS_TYPES, polars_schema
from pipelines.transforms.order_sums import line_sums

VALUES: dict[str, Any] = {
    "text": "x",
    "integer": 1,
    "money": Decimal(0),
    "money_sum": Decimal(0),
    "rate": Decimal(1),
    "ratio": Decimal(0),
    "instant": datetime(2026, 1, 1, tzinfo=UTC),
    "date": datetime(2026, 1, 1, tzinfo=UTC).date(),
    "text_list": ["x"],
    "boolean": True,
}


def frame(contract: Contract, *changes: dict[str, Any]) -> pl.DataFrame:
    """A row of the contract for each of `changes`, with all columns filled."""
    base = {column.name: VALUES[column.type] for column in contract.columns}
    return pl.DataFrame(
        [{"tenant_id": "t", **base, **change} for change in changes],
        schema={"tenant_id": pl.String(), **polars_schema(contract)},
    )


def order(**changes: Any) -> dict[str, Any]:
    return {"status": "pending", "cancelled_at": None, **changes}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_rows_of_the_contract_pass(contract: Contract) -> None:
    check_shape(contract, frame(contract, {}))
    nullable = {column.name: None for column in contract.columns if column.is_nullable}
    check_shape(contract, frame(contract, nullable))


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_a_key_twice_a_null_and_another_type_are_refused(contract: Contract) -> None:
    with pytest.raises(CheckFailedError, match="unique"):
        check_shape(contract, frame(contract, {}, {}))
    for column in contract.columns:
        if not column.is_nullable:
            with pytest.raises(CheckFailedError, match="no null"):
                check_shape(contract, frame(contract, {column.name: None}))
        other = pl.Int8() if POLARS_TYPES[column.type] != pl.Int8() else pl.String()
        with pytest.raises(CheckFailedError, match=column.name):
            check_shape(
                contract,
                frame(contract, {}).with_columns(pl.lit(None, other).alias(column.name)),
            )


def test_an_order_must_add_up() -> None:
    lines = line_sums(frame(ORDER_LINES, {"order_id": "o", "gross_sales": Decimal(9)}))
    check_orders(frame(ORDERS, order(order_id="o", gross_sales=9, total=9)), lines)
    with pytest.raises(CheckFailedError, match="total = "):
        check_orders(frame(ORDERS, order(order_id="o", gross_sales=9, total=8)), lines)
    with pytest.raises(CheckFailedError, match="sums of the lines"):
        check_orders(frame(ORDERS, order(order_id="o", gross_sales=8, total=8)), lines)
    with pytest.raises(CheckFailedError, match="cancelled_at"):
        check_orders(
            frame(ORDERS, order(order_id="o", gross_sales=9, total=9, status="cancelled")), lines
        )


def test_an_order_without_lines_is_of_nothing() -> None:
    check_orders(frame(ORDERS, order(order_id="empty")), line_sums(frame(ORDER_LINES)))


def test_a_line_must_sell_something_and_add_up() -> None:
    check_order_lines(frame(ORDER_LINES, {}))
    with pytest.raises(CheckFailedError, match="quantity"):
        check_order_lines(frame(ORDER_LINES, {"quantity": 0}))
    with pytest.raises(CheckFailedError, match="total = "):
        check_order_lines(frame(ORDER_LINES, {"total": Decimal("0.0001")}))


def test_payments_and_refunds_are_not_negative() -> None:
    payments = CONTRACTS["payments"]
    check_payments(frame(payments, {}))
    with pytest.raises(CheckFailedError, match="amount >= 0"):
        check_payments(frame(payments, {"amount": Decimal(-1)}))
    orders = frame(ORDERS, order(order_id="x"))
    check_refunds(frame(REFUNDS, {}), orders)
    with pytest.raises(CheckFailedError, match="negative"):
        check_refunds(frame(REFUNDS, {"goods_amount": Decimal(-1)}), orders)
    with pytest.raises(CheckFailedError, match="currency"):
        check_refunds(frame(REFUNDS, {"currency": "EUR"}), orders)


def test_a_rate_is_worth_something_and_one_in_the_shop_s_own_currency() -> None:
    lines = line_sums(frame(ORDER_LINES, {"order_id": "x"}))
    for rate in (Decimal(2), None, Decimal(0)):
        of_its_own = frame(ORDERS, order(order_id="x", exchange_rate=rate))
        with pytest.raises(CheckFailedError, match="exchange_rate"):
            check_orders(of_its_own, lines)
    for rate in (Decimal(2), None):
        check_orders(frame(ORDERS, order(order_id="x", exchange_rate=rate, currency="y")), lines)
    with pytest.raises(CheckFailedError, match="rate > 0"):
        check_exchange_rates(frame(CONTRACTS["exchange_rates"], {"rate": Decimal(0)}))


def test_a_failure_names_table_rule_and_rows() -> None:
    with pytest.raises(CheckFailedError) as refused:
        check_payments(frame(CONTRACTS["payments"], {"amount": Decimal(-1), "payment_id": "p"}))
    assert (refused.value.table, refused.value.count) == ("payments", 1)
    assert refused.value.examples[0]["payment_id"] == "p"
    assert "payments" in str(refused.value)


def test_discounts_and_taxes_add_up_to_what_they_are_parts_of() -> None:
    discounts, taxes = CONTRACTS["discounts"], CONTRACTS["taxes"]
    line = frame(ORDER_LINES, {"discounts": Decimal(3)})
    named, unnamed = ({"order_discount_id": each, "amount": Decimal(2)} for each in ("a", None))
    check_discounts(frame(discounts, named, {**unnamed, "amount": Decimal(1)}), line)
    with pytest.raises(CheckFailedError, match="of a line"):
        check_discounts(frame(discounts, named, unnamed), line)
    with pytest.raises(CheckFailedError, match="without line"):
        loose = {"line_id": None, "amount": Decimal(3)}
        check_discounts(frame(discounts, loose), frame(ORDER_LINES).clear())
    taxed = frame(ORDERS, order(taxes=Decimal(3)))
    shipping = {"kind": "shipping", "line_id": None}
    of_line = {"kind": "line", "amount": Decimal(2)}
    check_taxes(frame(taxes, of_line, {**shipping, "amount": Decimal(1)}), taxed)
    with pytest.raises(CheckFailedError, match="of an order"):
        check_taxes(frame(taxes, of_line, shipping), taxed)
    with pytest.raises(CheckFailedError, match="line_id"):
        check_taxes(frame(taxes, {**of_line, "kind": "other"}), frame(ORDERS).clear())
