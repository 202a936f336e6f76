"""The rows of a made-up shop, by the contracts: its catalogue, its orders and what hangs on them.

Belongs here: rows from a seed, the same on every run. Does not: which shops there are and where
their rows are kept (lake_data.py).
"""

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl

from analytics.contracts import ORDER_LINES, ORDERS, PAYMENTS, REFUNDS
from pipelines.frames import INSTANT, MONEY, MONEY_SUM, RATE

PRODUCTS = 2_000
# of each product
VARIANTS = 2
CATEGORIES = 40
FIRST_DAY = date(2023, 1, 1)
CURRENCY = "USD"
METHODS = ("credit_card", "bank_transfer", "cash")
COUNTRIES = ("US", "BR", "DE", "IN", "NG")


@dataclass(frozen=True)
class Catalogue:
    """A shop's products and their variants, in the order they are picked by, and its customers."""

    products: pl.DataFrame
    variants: pl.DataFrame
    location_id: str
    customers: list[str]


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def make_ids(source: random.Random, count: int, at: datetime) -> list[str]:
    """UUIDv7s of one instant, by rising value."""
    head = f"{int(at.timestamp() * 1000):012x}"
    digits = source.randbytes(count * 9).hex()
    pieces = sorted(digits[at : at + 18] for at in range(0, count * 18, 18))
    return [f"{head[:8]}-{head[8:]}-7{p[:3]}-8{p[3:6]}-{p[6:18]}" for p in pieces]


def _pick(seed: int, choices: int) -> pl.Expr:
    """A number below `choices` for each row, the same on every run."""
    return (pl.col("row").hash(seed) % choices).cast(pl.Int64)


def _one_of(number: pl.Expr, values: tuple[str, ...]) -> pl.Expr:
    return number.replace_strict(dict(enumerate(values)), return_dtype=pl.String)


def _cents(expression: pl.Expr) -> pl.Expr:
    return (expression.cast(MONEY) * pl.lit(Decimal("0.01"), dtype=MONEY)).cast(MONEY)


def make_catalogue(source: random.Random, customers: int) -> Catalogue:
    """A catalogue with that many customers."""
    start = midnight(FIRST_DAY)
    ids = make_ids(source, PRODUCTS, start)
    categories = make_ids(source, CATEGORIES, start)
    products = pl.DataFrame({"row": range(PRODUCTS), "product_id": ids}).select(
        "product_id",
        pl.format("Product {}", "row").alias("name"),
        pl.format("SKU-{}", "row").alias("sku"),
        pl.lit("active").alias("status"),
        _cents(_pick(1, 20_000) + 99).alias("price"),
        pl.lit(None, dtype=MONEY).alias("cost_price"),
        pl.lit(CURRENCY).alias("currency"),
        _one_of(pl.col("row") % CATEGORIES, tuple(categories)).alias("category_id"),
        pl.format("Category {}", pl.col("row") % CATEGORIES).alias("category_name"),
        pl.concat_list(pl.format("Category {}", pl.col("row") % CATEGORIES)).alias("categories"),
        pl.lit(start, dtype=INSTANT).alias("created_at"),
    )
    (location_id,) = make_ids(source, 1, start)
    variants = (
        products.select("product_id", "sku", "currency", "created_at")
        .with_columns(pl.lit([f"Variant {number}" for number in range(VARIANTS)]).alias("title"))
        .explode("title")
        .with_columns(
            pl.Series("variant_id", make_ids(source, PRODUCTS * VARIANTS, start)),
            pl.lit(None, dtype=MONEY).alias("cost"),
        )
    )
    return Catalogue(products, variants, location_id, make_ids(source, customers, start))


def make_levels(catalogue: Catalogue) -> pl.DataFrame:
    """Up to 500 units of each variant, in the one location."""
    numbered = catalogue.variants.with_row_index("row")
    return numbered.select(
        "variant_id",
        pl.lit(catalogue.location_id).alias("location_id"),
        _pick(12, 500).alias("quantity"),
        pl.lit(0, dtype=pl.Int64).alias("reserved"),
    )


def make_facts(
    source: random.Random,
    catalogue: Catalogue,
    start: datetime,
    end: datetime,
    count: int,
    first_number: int,
) -> dict[str, pl.DataFrame]:
    """The orders of a month, spread evenly over it, with what hangs on them."""
    step_us = (end - start) // timedelta(microseconds=1) // count
    customers = source.choices(catalogue.customers, k=count)
    rows = pl.DataFrame(
        {
            "row": range(first_number, first_number + count),
            "order_id": make_ids(source, count, start),
            "customer_id": customers,
        }
    )
    closed_at = pl.col("placed_at") + pl.duration(hours=20)
    heads = (
        rows.with_columns(
            (
                pl.lit(start, dtype=INSTANT)
                + pl.duration(microseconds=pl.int_range(count) * step_us)
            ).alias("placed_at"),
            _one_of(
                _pick(2, 20), ("cancelled", "pending", "processing", *["completed"] * 17)
            ).alias("order_status"),
            _one_of(_pick(3, 5), ("web", "web", "web", "pos", "pos")).alias("channel"),
            pl.lit(CURRENCY).alias("currency"),
            pl.lit(CURRENCY).alias("base_currency"),
            pl.lit(Decimal(1), dtype=RATE).alias("exchange_rate"),
        )
        .with_columns(
            pl.when(pl.col("order_status") == "cancelled").then(closed_at).alias("cancelled_at"),
            pl.when(pl.col("order_status") == "completed").then(closed_at).alias("completed_at"),
        )
        .with_columns(pl.col("placed_at", "completed_at", "cancelled_at").cast(INSTANT))
    )
    lines = _lines(source, catalogue, heads, start)
    refunds = _refunds(source, lines, start)
    orders = _orders(heads, lines, refunds)
    return {
        ORDERS.name: orders,
        ORDER_LINES.name: lines,
        PAYMENTS.name: _payments(source, orders, start),
        REFUNDS.name: refunds,
    }


def _lines(
    source: random.Random, catalogue: Catalogue, heads: pl.DataFrame, start: datetime
) -> pl.DataFrame:
    """One to four lines an order; a tenth of them discounted by a tenth."""
    exploded = (
        heads.with_columns(pl.int_ranges(1 + _pick(5, 4)).alias("position"))
        .explode("position")
        .with_columns((pl.col("row") * 4 + pl.col("position")).alias("row"))
    )
    # the product of two even picks: some products sell far more than others
    picked = exploded.with_columns(
        (_pick(6, PRODUCTS) * _pick(7, PRODUCTS) // PRODUCTS).alias("product"),
        _pick(13, VARIANTS).alias("variant"),
        (1 + _pick(8, 3)).alias("quantity"),
        pl.Series("line_id", make_ids(source, exploded.height, start), pl.String),
    )
    products = catalogue.products.select(
        "product_id", "category_id", pl.col("price").alias("unit_price")
    )
    variants = catalogue.variants.select("variant_id")
    places = picked["product"] * VARIANTS + picked["variant"]
    priced = (
        picked.hstack(products[picked["product"]])
        .hstack(variants[places])
        .with_columns(
            (pl.col("unit_price") * pl.col("quantity").cast(MONEY)).cast(MONEY).alias("gross_sales")
        )
    )
    discount = pl.when(_pick(9, 10) == 0).then(pl.lit(Decimal("0.1"))).otherwise(Decimal(0))
    return (
        priced.with_columns(_share("gross_sales", discount).alias("discounts"))
        .with_columns((pl.col("gross_sales") - pl.col("discounts")).cast(MONEY).alias("net"))
        .with_columns(_share("net", pl.lit(Decimal("0.08"))).alias("taxes"))
        .with_columns(
            (pl.col("net") + pl.col("taxes")).cast(MONEY).alias("total"),
            pl.lit(catalogue.location_id).alias("location_id"),
            pl.lit(None, dtype=MONEY).alias("unit_cost"),
        )
    )


def _share(amount: str, share: pl.Expr) -> pl.Expr:
    """A share of an amount, to the cent."""
    return (pl.col(amount) * share.cast(MONEY)).cast(MONEY).round(2).cast(MONEY)


def _refunds(source: random.Random, lines: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """Three of a hundred first lines came back whole, with their tax on a row without line."""
    back = lines.filter(
        (pl.col("position") == 0) & (pl.col("order_status") == "completed") & (_pick(10, 100) < 3)
    )
    goods = back.select(
        pl.Series("refund_id", make_ids(source, back.height, start), pl.String),
        "order_id",
        "line_id",
        "product_id",
        "quantity",
        pl.col("net").alias("goods_amount"),
        pl.lit(Decimal(0), dtype=MONEY).alias("costed_amount"),
        pl.lit(Decimal(0), dtype=MONEY).alias("tax_amount"),
        pl.lit(Decimal(0), dtype=MONEY).alias("shipping_amount"),
        "currency",
        "base_currency",
        "exchange_rate",
        "channel",
        (pl.col("placed_at") + pl.duration(days=6)).cast(INSTANT).alias("refunded_at"),
        "placed_at",
        "cancelled_at",
    )
    taxes = goods.with_columns(
        pl.lit(None, dtype=pl.String).alias("line_id"),
        pl.lit(None, dtype=pl.String).alias("product_id"),
        pl.lit(0, dtype=pl.Int64).alias("quantity"),
        pl.lit(Decimal(0), dtype=MONEY).alias("goods_amount"),
        back["taxes"].alias("tax_amount"),
    )
    return pl.concat([goods, taxes])


def _orders(heads: pl.DataFrame, lines: pl.DataFrame, refunds: pl.DataFrame) -> pl.DataFrame:
    amounts = ("gross_sales", "discounts", "taxes")
    sums = lines.group_by("order_id").agg(
        *(pl.col(name).sum().cast(MONEY) for name in (*amounts, "total")),
        pl.col("quantity").sum().alias("units"),
    )
    refunded = refunds.group_by("order_id").agg(
        (pl.col("goods_amount") + pl.col("tax_amount")).sum().cast(MONEY).alias("refunded_total")
    )
    shipping = pl.lit(Decimal(5), dtype=MONEY)
    is_completed = pl.col("order_status") == "completed"
    return (
        heads.join(sums, on="order_id")
        .join(refunded, on="order_id", how="left")
        .with_columns(
            (1 + pl.col("row")).alias("number"),
            pl.lit(Decimal(0), dtype=MONEY_SUM).alias("cost_of_goods"),
            pl.lit(Decimal(0), dtype=MONEY).alias("costed_sales"),
            pl.col("order_status").alias("status"),
            pl.when(is_completed)
            .then(pl.lit("paid"))
            .otherwise(pl.lit("unpaid"))
            .alias("payment_status"),
            pl.when(is_completed)
            .then(pl.lit("fulfilled"))
            .otherwise(pl.lit("unfulfilled"))
            .alias("fulfillment_status"),
            shipping.alias("shipping"),
            (pl.col("total") + shipping).cast(MONEY).alias("total"),
            pl.col("refunded_total").fill_null(Decimal(0)),
            _one_of(_pick(4, 5), COUNTRIES).alias("country"),
            pl.lit(None, dtype=pl.String).alias("region"),
        )
    )


def _payments(source: random.Random, orders: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """One captured payment of every order that is completed."""
    paid = orders.filter(pl.col("order_status") == "completed")
    return paid.with_columns(
        pl.Series("payment_id", make_ids(source, paid.height, start), pl.String),
        _one_of(_pick(11, 3), METHODS).alias("method"),
        pl.lit("manual").alias("provider"),
        pl.lit("captured").alias("status"),
        pl.col("total").alias("amount"),
        (pl.col("placed_at") + pl.duration(minutes=1)).cast(INSTANT).alias("created_at"),
    )


def make_moves(facts: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """What each order tells of its customer."""
    refunded = (
        facts[REFUNDS.name]
        .group_by("order_id")
        .agg(pl.col("goods_amount").sum(), pl.col("refunded_at").max())
    )
    return (
        facts[ORDERS.name]
        .join(refunded, on="order_id", how="left")
        .select(
            "customer_id",
            "country",
            pl.col("placed_at"),
            pl.col("cancelled_at").is_null().alias("is_kept"),
            pl.max_horizontal("placed_at", "cancelled_at", "refunded_at").alias("moved_at"),
            (
                pl.col("gross_sales") - pl.col("discounts") - pl.col("goods_amount").fill_null(0)
            ).alias("net_sales"),
        )
    )


def make_customers(catalogue: Catalogue, moves: pl.DataFrame) -> pl.DataFrame:
    """All customers, those who never ordered too."""
    is_kept = pl.col("is_kept")
    known = moves.group_by("customer_id").agg(
        pl.col("placed_at").filter(is_kept).min().alias("first_order_at"),
        pl.col("placed_at").filter(is_kept).max().alias("last_order_at"),
        is_kept.sum().cast(pl.Int64).alias("orders"),
        pl.col("net_sales").filter(is_kept).sum().alias("net_sales"),
        pl.col("moved_at").max().alias("last_moved_at"),
        pl.col("country").first(),
    )
    everyone = pl.DataFrame({"customer_id": catalogue.customers})
    return everyone.join(known, on="customer_id", how="left").with_columns(
        pl.col("orders", "net_sales").fill_null(0),
        pl.lit(midnight(FIRST_DAY), dtype=INSTANT).alias("created_at"),
        pl.lit(None, dtype=pl.String).alias("region"),
    )
