"""Shops that sell in several currencies, and how their figures are asked for in one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from typing import Any

from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.metrics.dimensions import DIMENSIONS
from analytics.query.asked import Asked, Filter
from analytics.query.opening import read_values
from tests.factories.lake import write_lake
from tests.factories.random_shops import Tables, catalogue

TENANT = "0198c0de-0000-7000-8000-00000000000b"
D = Decimal
CENT = D("0.01")


def at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, 12, tzinfo=UTC)


def order(id: str, currency: str, rate: str | None, gross: str, **values: Any) -> dict[str, Any]:
    return {
        "order_id": id,
        "number": int(id[1:]),
        "status": "completed",
        "payment_status": "paid",
        "fulfillment_status": "fulfilled",
        "channel": "web",
        "currency": currency,
        "base_currency": "EUR",
        "exchange_rate": None if rate is None else D(rate),
        "placed_at": at(3, 10),
        "units": 1,
        "gross_sales": D(gross),
        "customer_id": "ann",
        **values,
    }


class Place:
    """A shop's lake, and how it is asked."""

    def __init__(self, engine: Engine, lake: Lake, snapshot: Snapshot, currency: str) -> None:
        self.engine, self.lake, self.snapshot, self.currency = engine, lake, snapshot, currency

    def request(self, **changes: Any) -> AnalyticsRequest:
        values: dict[str, Any] = {
            "tenant_id": TENANT,
            "snapshot": self.snapshot,
            "timezone": "UTC",
            "currency": self.currency,
            "currency_digits": 2,
            "now": datetime(2026, 6, 1, tzinfo=UTC),
            "compare": "none",
            "converted": True,
            **changes,
        }
        return AnalyticsRequest(**values)

    def ask(self, build: Any, *more: Any, **changes: Any) -> dict[str, Any]:
        answer: dict[str, Any] = build(self.engine, self.lake, self.request(**changes), *more)
        return answer


@contextmanager
def serve(tables: Tables, currency: str = "EUR") -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        snapshot = write_lake(Path(folder), {TENANT: {"dim_products": catalogue(), **tables}})
        engine = Engine(folder)
        yield Place(engine, Lake(folder), snapshot, currency)
        engine.close()


PRICES = [D("9.99"), D("0.07"), D("19.90"), D("1.05"), D("333.33"), D("1999")]
DAYS = 28


def awkward_shop(source: Random) -> Tables:
    """Some four hundred lines in four currencies, at rates that come out even in none of them."""
    tables: Tables = {"orders": [], "order_lines": [], "refunds": [], "payments": []}
    for number in range(200):
        currency = source.choice(["EUR", "USD", "JPY", "PLN"])
        rate = D(source.randint(1, 10**12)) / 10 ** source.randint(9, 10)
        each = order(f"o{number}", currency, "1" if currency == "EUR" else str(rate), "0")
        each["placed_at"] = datetime(2026, 3, source.randint(1, DAYS), 23, tzinfo=UTC)
        each["channel"] = source.choice(["web", "pos"])
        shared = {n: each[n] for n in ("order_id", "currency", "base_currency", "exchange_rate")}
        shared |= {"channel": each["channel"], "placed_at": each["placed_at"]}
        lines = [
            {
                **shared,
                "line_id": f"o{number}-{position}",
                "product_id": source.choice(["tea", "cup", "spoon", None]),
                "quantity": (quantity := source.randint(1, 3)),
                "unit_price": (price := source.choice(PRICES)),
                "unit_cost": source.choice([None, D("0.33")]),
                "gross_sales": price * quantity,
                "discounts": source.choice([D(0), D("0.03")]),
                "order_status": "completed",
            }
            for position in range(source.randint(1, 3))
        ]
        costed = [line for line in lines if line["unit_cost"] is not None]
        each |= {name: sum(line[name] for line in lines) for name in ("gross_sales", "discounts")}
        each["costed_sales"] = sum(line["gross_sales"] - line["discounts"] for line in costed)
        each["units"] = sum(line["quantity"] for line in lines)
        each["cost_of_goods"] = sum(line["unit_cost"] * line["quantity"] for line in costed)
        tables["orders"].append({**each, "shipping": D("4.9"), "taxes": D("1.01")})
        tables["order_lines"] += lines
        if number % 5 == 0:
            back = {"line_id": lines[0]["line_id"], "product_id": lines[0]["product_id"]}
            amount = {"goods_amount": lines[0]["unit_price"] / 3, "refunded_at": at(4, 1)}
            amount["goods_amount"] = amount["goods_amount"].quantize(CENT)
            tables["refunds"].append({**shared, **back, **amount, "refund_id": f"r{number}"})
    return tables


# What is accepted of an amount and of a rate, from the least to the greatest.
AMOUNTS = [D("0.0001"), D("0.01"), D("119.16"), D("99999999.99"), D("99999999999999.9999")]
RATES = [D("0.0000000001"), D("0.5"), D("98.9999999999"), D(9_999_999), D("99999999.9999999999")]


def great_shop(drawn: list[tuple[Decimal, Decimal]], copies: int) -> Tables:
    """An order of each amount at each rate, of two lines, refunded in part, and paid; and copies
    of the last."""
    tables: Tables = {"orders": [], "order_lines": [], "refunds": [], "payments": []}
    for number, (amount, rate) in enumerate([*drawn, *drawn[-1:] * copies]):
        key = f"o{number}"
        each = order(key, "USD", str(rate), str(amount), taxes=amount, customer_id=f"c{number % 3}")
        each |= {"costed_sales": amount, "cost_of_goods": amount}
        shared = {n: each[n] for n in ("order_id", "currency", "base_currency", "exchange_rate")}
        shared |= {n: each[n] for n in ("channel", "placed_at")}
        line = {"product_id": "tea", "order_status": "completed", "unit_price": amount}
        line["customer_id"] = each["customer_id"]
        line |= {"gross_sales": amount, "unit_cost": amount, "quantity": 1}
        free = {**line, "product_id": "cup", "unit_price": D(0), "gross_sales": D(0)}
        many = {"unit_cost": D("999999999.9999"), "quantity": 100_000}
        tables["orders"].append(each)
        tables["order_lines"].append({**shared, **line, "line_id": f"{key}-1"})
        tables["order_lines"].append({**shared, **free, **many, "line_id": f"{key}-2"})
        back = {"refund_id": f"r{number}", "refunded_at": at(3, 20), "line_id": f"{key}-1"}
        back |= {"product_id": "tea", "goods_amount": amount, "costed_amount": amount}
        tables["refunds"].append({**shared, **back})
        paid = {"payment_id": key, "amount": amount, "created_at": at(3, 10), "method": "cash"}
        paid |= {"provider": "manual", "status": "captured", "order_status": "completed"}
        tables["payments"].append({**shared, **paid})
    return tables


def worth_of(drawn: list[tuple[Decimal, Decimal]], copies: int, digits: int) -> Decimal:
    """What its orders are worth together in a currency of so many digits."""
    every, unit = [*drawn, *drawn[-1:] * copies], D(1).scaleb(-digits)
    return sum(((a * r).quantize(unit, ROUND_HALF_UP) for a, r in every), D(0))


def opening(parameters: dict[str, str]) -> Asked:
    """The question that a part is opened by."""
    filters = [
        Filter(
            key.removeprefix("not_"),
            tuple(
                int(value)
                if value and DIMENSIONS[key.removeprefix("not_")].kind == "whole"
                else value
                for value in read_values(text)
            ),
            not key.startswith("not_"),
        )
        for key, text in parameters.items()
        if key.removeprefix("not_") in DIMENSIONS
    ]
    return Asked(metrics=tuple(parameters["metric"].split(",")), filters=tuple(filters), limit=1000)
