"""The rollup: what each order and refund adds to which local day.

Belongs here: the definitions of contracts/daily_sales.py as frames. Does not: which orders changed.

What an order adds depends on that order alone, so a changed order is rolled up by taking out what
its old row added and putting in what its new row adds.
"""

import polars as pl

from analytics.contracts import DAILY_SALES
from pipelines.frames import POLARS_TYPES
from pipelines.transforms.local_days import local_day

KEY = ["tenant_id", *DAILY_SALES.key]
MEASURES = [column.name for column in DAILY_SALES.columns if column.unit is not None]
STATUSES = ("pending", "processing", "completed")
# What an order adds when it counts, beside `orders` and its status.
ORDER_MEASURES = (
    "units",
    "gross_sales",
    "discounts",
    "shipping",
    "taxes",
    "cost_of_goods",
    "costed_sales",
)


def _with_days(frame: pl.LazyFrame, timezone: str, *instants: str) -> pl.LazyFrame:
    """The local day of each of these columns, as `<column>_day`."""
    return frame.with_columns(
        local_day(pl.col(name), timezone).alias(f"{name}_day") for name in instants
    )


def _rows(frame: pl.LazyFrame, basis: str, day: str, **measures: pl.Expr) -> pl.LazyFrame:
    """One row of measures per row of `frame`; measures not named are zero."""
    zero = pl.lit(0)
    return frame.select(
        "tenant_id",
        pl.lit(basis).alias("basis"),
        pl.col(day).alias("day"),
        "currency",
        "channel",
        *(
            measures.get(name, zero).cast(POLARS_TYPES[DAILY_SALES.column(name).type]).alias(name)
            for name in MEASURES
        ),
    )


def _orders_add(orders: pl.LazyFrame, timezone: str) -> list[pl.LazyFrame]:
    placed, cancelled_day = "placed_at_day", "cancelled_at_day"
    orders = _with_days(orders, timezone, "placed_at", "cancelled_at")
    cancelled = orders.filter(pl.col("status") == "cancelled")
    kept = orders.filter(pl.col("status") != "cancelled")
    counted = {name: pl.col(name) for name in ORDER_MEASURES}
    counted |= {f"{status}_orders": pl.col("status") == status for status in STATUSES}
    reversed_ = {name: -pl.col(name) for name in ORDER_MEASURES}
    one = pl.lit(1)
    return [
        _rows(kept, "order_date", placed, orders=one, **counted),
        _rows(cancelled, "order_date", placed, cancelled_orders=one),
        _rows(orders, "event_date", placed, orders=one, **counted),
        _rows(
            cancelled, "event_date", cancelled_day, orders=-one, cancelled_orders=one, **reversed_
        ),
    ]


def _refunds_add(refunds: pl.LazyFrame, timezone: str) -> list[pl.LazyFrame]:
    returned = {
        "returns": pl.col("goods_amount"),
        "shipping": -pl.col("shipping_amount"),
        "taxes": -pl.col("tax_amount"),
        "costed_sales": -pl.col("costed_amount"),
    }
    taken_back = {name: -value for name, value in returned.items()}
    refunds = _with_days(refunds, timezone, "placed_at", "refunded_at", "cancelled_at")
    kept = refunds.filter(pl.col("cancelled_at").is_null())
    # one made when or after the order was cancelled settles the cancelling, which reversed it all
    before_cancelling = refunds.filter(pl.col("refunded_at") < pl.col("cancelled_at"))
    placed, refunded, cancelled_day = "placed_at_day", "refunded_at_day", "cancelled_at_day"
    return [
        _rows(kept, "order_date", placed, **returned),
        _rows(kept, "event_date", refunded, **returned),
        _rows(before_cancelling, "event_date", refunded, **returned),
        _rows(before_cancelling, "event_date", cancelled_day, **taken_back),
    ]


def additions(orders: pl.LazyFrame, refunds: pl.LazyFrame, timezone: str) -> pl.LazyFrame:
    """What facts of tenants of one timezone add to their rollups, not yet summed."""
    return pl.concat([*_orders_add(orders, timezone), *_refunds_add(refunds, timezone)])


def negated(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The same rows, taking out what they would add."""
    return rows.with_columns(-pl.col(name) for name in MEASURES)


def summed(rows: pl.LazyFrame, timezone: str) -> pl.LazyFrame:
    """The rollup: one row per key; a row that came to nothing is none."""
    return (
        rows.group_by(KEY)
        .agg(
            pl.col(name).sum().cast(POLARS_TYPES[DAILY_SALES.column(name).type])
            for name in MEASURES
        )
        .filter(pl.any_horizontal(pl.col(name) != 0 for name in MEASURES))
        .with_columns(pl.lit(timezone).alias("timezone"))
        .select("tenant_id", *DAILY_SALES.column_names)
    )
