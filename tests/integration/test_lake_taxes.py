"""Prices with their tax and without in the lake: sales are without, and everything adds up, by
discount and by tax, too."""

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
from shop_api import models
from shop_api.domains.pricing.repository import Discount, ShippingRate, TaxRate
from shop_api.domains.pricing.service import Amounts, Goods, price_order
from shop_api.kernel.money import currency_digits
from shop_api.spine.unit_of_work import UnitOfWork
from tests.factories.rows import insert, insert_order
from tests.factories.sales import cancel, day, place, selling
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
    off = [
        Discount(id=UUID(int=1), title="x", kind="percentage", percentage_ratio=ratio),
        Discount(id=UUID(int=2), title="y", kind="fixed", amount=random.randint(1, most) * unit),
        Discount(id=UUID(int=3), title="z", kind="free_shipping"),
    ]
    rate = TaxRate(
        tax_class="standard",
        rate_ratio=Decimal(random.choice(("0.22", "0.05", "0.077", "0.206", "1"))),
        applies_to_shipping=True,
    )
    amounts = price_order(
        [Goods(subtotal=price) for price in prices],
        discounts=random.sample(off, random.randint(0, 3)),
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


def keep_discounts(work: UnitOfWork, order_id: UUID, amounts: Amounts) -> None:
    for position, applied in enumerate(amounts.discounts):
        insert(
            work,
            models.order_discounts,
            order_id=order_id,
            position=position,
            title=applied.discount.title,
            kind=applied.discount.kind,
            amount=applied.amount,
            shipping_amount=applied.shipping_amount,
            line_amounts=applied.line_amounts,
        )


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_sales_are_without_tax_and_add_up(
    database: Database, tenant_id: UUID, lake: LakeContext, currency: str
) -> None:
    random = Random(currency)
    kept: dict[str, Amounts] = {}
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
            keep_discounts(work, order_id, amounts)
            kept[str(order_id)] = amounts
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
    discounts, taxes = rows(lake, "discounts"), rows(lake, "taxes")
    assert discounts.filter(
        (pl.col("amount") < 0) | pl.col("order_discount_id").is_null()
    ).is_empty()
    for placed_id, amounts in kept.items():
        own = discounts.filter(order_id=placed_id)
        assert own["order_discount_id"].n_unique() == len(amounts.discounts)
        for applied in amounts.discounts:
            of_one = own.filter(title=applied.discount.title)
            assert of_one["shipping_amount"].sum() == applied.shipping_amount
            if not amounts.tax_included:
                assert of_one["amount"].sum() == applied.amount
        charged = taxes.filter(order_id=placed_id)
        by_kind = {kind: charged.filter(kind=kind)["amount"].sum() for kind in ("line", "shipping")}
        assert by_kind["shipping"] == amounts.shipping_tax_total
        assert sum(by_kind.values()) == amounts.tax_total
    # what each takes off a line, and what it is taxed on, worked out from the lines' own amounts
    of_lines = lines.join(
        discounts.group_by("line_id").agg(pl.col("amount").sum().alias("told")), on="line_id"
    )
    assert of_lines.height > 0
    assert of_lines.filter(pl.col("told") != pl.col("discounts")).is_empty()
    taxed = lines.join(taxes.select("line_id", "taxable_amount", "amount"), on="line_id")
    assert taxed.height > 0
    assert taxed.filter(
        (pl.col("taxable_amount") != pl.col("gross_sales") - pl.col("discounts"))
        | (pl.col("amount") != pl.col("taxes"))
    ).is_empty()


def test_discounts_and_taxes_of_orders_worked_out_by_hand(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    """Of 24.40 with 22 % in it 10 % and then 2.00 are off: 20.00, 2.00 and 1.64 without the tax."""
    with selling(database, tenant_id) as work:
        named = insert_order(
            work,
            number=1,
            placed_at=day(1),
            tax_included=True,
            shipping_total=Decimal("6.10"),
            shipping_tax_total=Decimal("1.10"),
            lines=[
                {
                    "unit_price": Decimal("24.40"),
                    "quantity": 1,
                    "discount_total": Decimal("4.44"),
                    "tax_total": Decimal("3.60"),
                    "tax_rate_ratio": Decimal("0.22"),
                }
            ],
        )
        for position, (code, amount) in enumerate((("TEN", "2.44"), (None, "2.00"))):
            insert(
                work,
                models.order_discounts,
                order_id=named,
                position=position,
                code=code,
                title=f"Off {position}",
                kind="fixed",
                amount=Decimal(amount),
                line_amounts=[Decimal(amount)],
            )
        # imported: its discount has no name, and 0.25 of its tax is told of no line
        unnamed = place(work, 2, day(2), tax_total=Decimal("1.50"), total=Decimal("25.00"))
    run_export(lake, now())
    assert run_verify(lake, now()).differences == []
    own = str(tenant_id)
    discounts = rows(lake, "discounts").filter(tenant_id=own).sort("placed_at", "title")
    columns = ("order_id", "code", "title", "amount", "shipping_amount")
    assert discounts.select(columns).rows() == [
        (str(named), "TEN", "Off 0", Decimal("2.00"), 0),
        (str(named), None, "Off 1", Decimal("1.64"), 0),
        (str(unnamed), None, None, Decimal("0.50"), 0),
    ]
    taxes = rows(lake, "taxes").filter(tenant_id=own).sort("placed_at", "kind")
    columns = ("order_id", "kind", "rate_ratio", "taxable_amount", "amount")
    assert taxes.select(columns).rows() == [
        (str(named), "line", Decimal("0.22"), Decimal("16.36"), Decimal("3.60")),
        (str(named), "shipping", None, Decimal("5.00"), Decimal("1.10")),
        (str(unnamed), "line", 0, Decimal("19.50"), Decimal("1.25")),
        (str(unnamed), "other", None, None, Decimal("0.25")),
    ]
