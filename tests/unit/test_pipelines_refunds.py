"""A refund's rows add up to it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from pipelines.sources.orders import (
    ORDER_COLUMNS,
    ORDER_LINE_COLUMNS,
    REFUND_COLUMNS,
    REFUND_LINE_COLUMNS,
)
from pipelines.transforms.refunds import refund_facts

AT = datetime(2026, 1, 1, tzinfo=UTC)


def facts(refund: dict[str, Any], lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fact rows of one refund of one order."""
    base = {"tenant_id": "t", "order_id": "o"}
    order = {**base, "channel": "web", "placed_at": AT, "cancelled_at": None}
    header = {
        **base,
        "refund_id": "r",
        "currency": "USD",
        "refunded_at": AT,
        "tax_amount": 0,
        "shipping_amount": 0,
        **refund,
    }
    rows = refund_facts(
        pl.DataFrame([header], schema=REFUND_COLUMNS).lazy(),
        pl.DataFrame(
            [{"tenant_id": "t", "refund_id": "r", **line} for line in lines],
            schema=REFUND_LINE_COLUMNS,
        ).lazy(),
        pl.DataFrame(
            [{**base, "line_id": "l", "product_id": "p"}], schema=ORDER_LINE_COLUMNS
        ).lazy(),
        pl.DataFrame([order], schema=ORDER_COLUMNS).lazy(),
    )
    return rows.sort("line_id", nulls_last=True).collect().to_dicts()


def parts(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["line_id"], row["goods_amount"], row["tax_amount"], row["shipping_amount"]


def test_goods_are_told_by_line() -> None:
    [row] = facts({"amount": 8}, [{"line_id": "l", "quantity": 1, "goods_amount": 8}])
    assert parts(row) == ("l", Decimal(8), 0, 0)
    assert (row["product_id"], row["quantity"], row["channel"]) == ("p", 1, "web")


def test_tax_shipping_and_the_rest_are_on_a_row_without_line() -> None:
    by_line, rest = facts(
        {"amount": Decimal("12.50"), "tax_amount": 1, "shipping_amount": 2},
        [{"line_id": "l", "quantity": 1, "goods_amount": 8}],
    )
    assert parts(by_line) == ("l", Decimal(8), 0, 0)
    assert parts(rest) == (None, Decimal("1.50"), Decimal(1), Decimal(2))
    assert (rest["product_id"], rest["quantity"]) == (None, 0)


def test_a_refund_without_lines_is_one_row() -> None:
    [row] = facts({"amount": 5}, [])
    assert parts(row) == (None, Decimal(5), 0, 0)


def test_a_refund_of_nothing_has_no_row() -> None:
    assert facts({"amount": 0}, []) == []
