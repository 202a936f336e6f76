"""Prices with their tax and without in the lake: sales are without, and everything adds up."""

from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.domains.pricing.repository import Discount, ShippingRate, TaxRate
from shop_api.domains.pricing.service import Amounts, Goods, price_order
from shop_api.kernel.money import currency_digits
from tests.factories.rows import insert_order
from tests.factories.sales import cancel, day, selling
from tests.fixtures.lake import new_lake, now, rows
from tests.fixtures.stores import Database

ORDERS = 40


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake."""
    return new_lake(database, tmp_path / "lake")


def priced(random: Random, currency: str, tax_included: bool) -> tuple[list[Decimal], Amounts]:
    """Some lines and what they come to."""
    unit = Decimal(1).scaleb(-currency_digits(currency))
    most = random.choice((50, 10_000, 9 * 10**12))
    prices = [random.randint(0, most) * unit for _ in range(random.randint(1, 5))]
    ratio = Decimal(random.randint(1, 10**6)) / 10**6
    off = Discount(id=UUID(int=1), title="x", kind="percentage", percentage_ratio=ratio)
    rate = TaxRate(
        tax_class="standard",
        rate_ratio=Decimal(random.choice(("0.22", "0.05", "0.077", "0.206", "1"))),
        applies_to_shipping=True,
    )
    amounts = price_order(
        [Goods(subtotal=price) for price in prices],
        discounts=[off] if random.random() < 0.5 else [],
        tax_rates=[rate],
        shipping_rate=ShippingRate(name="x", kind="flat", price=random.randint(0, 999) * unit),
        currency=currency,
        tax_included=tax_included,
    )
    return prices, amounts


def line(price: Decimal, amounts: Amounts, index: int) -> dict[str, Any]:
    of_line = amounts.lines[index]
    return {
        "unit_price": price,
        "quantity": 1,
        "discount_total": of_line.discount_total,
        "tax_total": of_line.tax_total,
        "tax_rate_ratio": of_line.tax_rate_ratio,
    }


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_sales_are_without_tax_and_add_up(
    database: Database, tenant_id: UUID, lake: LakeContext, currency: str
) -> None:
    random = Random(currency)
    with selling(database, tenant_id) as work:
        for number in range(1, ORDERS + 1):
            prices, amounts = priced(random, currency, tax_included=number % 2 == 0)
            order_id = insert_order(
                work,
                number=number,
                placed_at=day(number),
                lines=[line(price, amounts, index) for index, price in enumerate(prices)],
                currency=currency,
                shipping_total=amounts.shipping_total,
                shipping_tax_total=amounts.shipping_tax_total,
                tax_included=amounts.tax_included,
            )
            if number % 5 == 0:
                cancel(work, order_id, day(number + 1))
    run_export(lake, now())
    assert run_verify(lake, now()).differences == []
    lines = rows(lake, "order_lines")
    assert lines.filter(
        (pl.col("discounts") < 0) | (pl.col("gross_sales") < 0) | (pl.col("discounts").is_null())
    ).is_empty()
    whole = lines.join(
        rows(lake, "orders").filter(pl.col("discounts") == 0).select("order_id"), on="order_id"
    )
    assert whole.height > 0
    assert whole.filter(pl.col("gross_sales") != pl.col("total") - pl.col("taxes")).is_empty()
