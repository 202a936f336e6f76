"""That amounts are in range and add up: orders to their lines, refunds to their parts.

Belongs here: rules about money and quantities. Does not: comparing with Postgres (verification.py).
"""

import polars as pl

from pipelines.checks.failure import refuse
from pipelines.transforms.order_sums import ORDER, sums_by_order


def check_orders(orders: pl.DataFrame, line_sums: pl.DataFrame) -> None:
    """An order's total is the sum of its parts, and its goods are the sums of its lines."""
    refuse(
        "orders",
        "total = gross_sales - discounts + shipping + taxes",
        orders.filter(
            pl.col("total")
            != pl.col("gross_sales") - pl.col("discounts") + pl.col("shipping") + pl.col("taxes")
        ).select(*ORDER, "total"),
    )
    refuse(
        "orders",
        "cancelled_at is set exactly when cancelled",
        orders.filter(
            (pl.col("status") == "cancelled") != pl.col("cancelled_at").is_not_null()
        ).select(*ORDER, "status", "cancelled_at"),
    )
    is_own = pl.col("currency") == pl.col("base_currency")
    refuse(
        "orders",
        "exchange_rate is above 0, and 1 in the shop's own currency",
        orders.filter(
            (pl.col("exchange_rate") <= 0) | (is_own & pl.col("exchange_rate").ne_missing(1))
        ).select(*ORDER, "currency", "base_currency", "exchange_rate"),
    )
    of_lines = ("lines_gross_sales", "lines_discounts")
    compared = (
        orders.select(*ORDER, "gross_sales", "discounts")
        .join(line_sums.select(*ORDER, *of_lines), on=ORDER, how="left")
        .with_columns(pl.col(of_lines).fill_null(0))
    )
    refuse(
        "orders",
        "gross_sales and discounts are the sums of the lines",
        compared.filter(
            (pl.col("gross_sales") != pl.col("lines_gross_sales"))
            | (pl.col("discounts") != pl.col("lines_discounts"))
        ).select(*ORDER, "gross_sales", "lines_gross_sales", "discounts", "lines_discounts"),
    )


def check_order_lines(order_lines: pl.DataFrame) -> None:
    """Lines sell something, and their amounts add up."""
    refuse(
        "order_lines",
        "quantity > 0",
        order_lines.filter(pl.col("quantity") <= 0).select(*ORDER, "line_id", "quantity"),
    )
    refuse(
        "order_lines",
        "total = gross_sales - discounts + taxes",
        order_lines.filter(
            pl.col("total") != pl.col("gross_sales") - pl.col("discounts") + pl.col("taxes")
        ).select(*ORDER, "line_id", "total"),
    )


def check_payments(payments: pl.DataFrame) -> None:
    """Payments are not negative."""
    refuse(
        "payments",
        "amount >= 0",
        payments.filter(pl.col("amount") < 0).select(*ORDER, "payment_id", "amount"),
    )


def check_refunds(refunds: pl.DataFrame, orders: pl.DataFrame) -> None:
    """A refund's parts are not negative and in the currency of its order."""
    parts = ["goods_amount", "tax_amount", "shipping_amount"]
    refuse(
        "refunds",
        "amount = goods + tax + shipping, none of them negative",
        refunds.filter(pl.any_horizontal(pl.col(name) < 0 for name in parts)).select(
            *ORDER, "refund_id", *parts
        ),
    )
    compared = refunds.join(
        orders.select(*ORDER, pl.col("currency").alias("order_currency")), on=ORDER
    )
    refuse(
        "refunds",
        "currency is the order's",
        compared.filter(pl.col("currency") != pl.col("order_currency")).select(*ORDER, "refund_id"),
    )


def check_exchange_rates(rates: pl.DataFrame) -> None:
    """Every rate is worth something."""
    refuse(
        "exchange_rates",
        "rate > 0",
        rates.filter(pl.col("rate") <= 0).select("tenant_id", "exchange_rate_id", "rate"),
    )


def check_discounts(discounts: pl.DataFrame, order_lines: pl.DataFrame) -> None:
    """What discounts took off a line is what the line was reduced by."""
    line = ["tenant_id", "line_id"]
    of_lines = discounts.filter(pl.col("line_id").is_not_null())
    told = of_lines.group_by(line).agg(pl.col("amount").sum().alias("told"))
    reduced = order_lines.filter(pl.col("discounts") != 0).select(*line, "discounts")
    compared = reduced.join(told, on=line, how="full", coalesce=True).with_columns(
        pl.col("told", "discounts").fill_null(0)
    )
    refuse(
        "discounts",
        "amounts of a line add up to its discounts",
        compared.filter(pl.col("told") != pl.col("discounts")).select(*line, "told", "discounts"),
    )
    refuse(
        "discounts",
        "a row without line takes nothing off the goods",
        discounts.filter(pl.col("line_id").is_null() & (pl.col("amount") != 0)).select(ORDER),
    )


def check_taxes(taxes: pl.DataFrame, orders: pl.DataFrame) -> None:
    """Taxes add up to those of their order."""
    told = sums_by_order(taxes, pl.col("amount").sum().alias("told"))
    compared = (
        orders.select(*ORDER, "taxes")
        .join(told, on=ORDER, how="left")
        .with_columns(pl.col("told").fill_null(0))
    )
    refuse(
        "taxes",
        "amounts of an order add up to its taxes",
        compared.filter(pl.col("told") != pl.col("taxes")).select(*ORDER, "told", "taxes"),
    )
    refuse(
        "taxes",
        "line_id is set exactly on lines",
        taxes.filter((pl.col("kind") == "line") != pl.col("line_id").is_not_null()).select(ORDER),
    )
