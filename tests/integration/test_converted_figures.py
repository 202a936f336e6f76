"""Figures of all currencies in the shop's own, each order at the rate it was placed at: a shop
counted by hand, and what holds of every shop."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from random import Random
from threading import get_ident
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from analytics.dashboard.answers import build_dashboard, build_orders, build_revenue
from analytics.dashboard.customers import build_customers
from analytics.engine import Engine
from analytics.metrics.dimensions import ASKABLE, DIMENSIONS, is_of_sales
from analytics.query.asked import Asked
from analytics.query.figures import build_figures
from analytics.query.rows import build_rows
from analytics.reports.products import ProductOptions, build_products
from tests.factories.converted_shop import (
    AMOUNTS,
    CENT,
    RATES,
    at,
    awkward_shop,
    great_shop,
    opening,
    order,
    serve,
    worth_of,
)
from tests.factories.random_shops import Tables, metrics_of, movements, shops

D = Decimal
BASES = ("order_date", "event_date")
ADDITIVE = tuple(n for n, m in ASKABLE.items() if is_of_sales(m) and m.is_additive)
BY_LINE = tuple(name for name in ADDITIVE if DIMENSIONS["product"].is_known_of(ASKABLE[name]))
MARCH = {"start": date(2026, 3, 1), "end": date(2026, 4, 1)}
APRIL = {"start": date(2026, 4, 1), "end": date(2026, 5, 1)}


# The shop sells in EUR. o2: 12.34 × 0.9217 = 11.373778, of which 5.00 × 0.9217 = 4.6085 come back
# in April, with tax of 1.01 × 0.9217 = 0.930917. o3: 1 999 × 0.0061005 = 12.1948995.
# o5 was cancelled in April. o6 has a rate into another currency, o4 none at all.
ORDERS = [
    order("o1", "EUR", "1", "10.00", shipping=D("2.00")),
    order("o2", "USD", "0.9217", "12.34", taxes=D("2.02")),
    order("o3", "JPY", "0.0061005", "1999"),
    order("o4", "GBP", None, "77.00"),
    order("o5", "USD", "0.9", "3.33", status="cancelled", cancelled_at=at(4, 3)),
    order("o6", "USD", "3.5", "50.00", base_currency="PLN"),
    order("o7", "JPY", "0.0061005", "100", placed_at=at(2, 10)),
    # the shop's own currency needs no rate, whatever the shop's was then
    order("o8", "EUR", "4.2", "1.00", base_currency="PLN"),
]
BY_ID = {each["order_id"]: each for each in ORDERS}


def of_order(id: str) -> dict[str, Any]:
    names = ("order_id", "currency", "base_currency", "exchange_rate", "channel", "placed_at")
    return {name: BY_ID[id].get(name) for name in (*names, "cancelled_at")}


def refund(id: str, order_id: str, at: datetime, goods: str, **values: Any) -> dict[str, Any]:
    told = {"refund_id": id, "refunded_at": at, "goods_amount": D(goods)}
    return {**of_order(order_id), **told, **values}


REFUNDS = [
    refund("r1", "o2", at(4, 2), "5.00", line_id="o2-1", product_id="tea", quantity=1),
    refund("r1", "o2", at(4, 2), "0", tax_amount=D("1.01")),
    refund("r2", "o3", at(3, 31), "999", line_id="o3-1", product_id="cup"),
    refund("r3", "o4", at(4, 4), "7.00", line_id="o4-1", product_id="tea"),
]
LINES = [
    {
        **of_order(each["order_id"]),
        "line_id": f"{each['order_id']}-1",
        "product_id": "cup" if each["currency"] == "JPY" else "tea",
        "variant_id": "v",
        "quantity": 1,
        "unit_price": each["gross_sales"],
        "unit_cost": D("1.11") if each["order_id"] == "o2" else None,
        "gross_sales": each["gross_sales"],
        "order_status": each["status"],
        "customer_id": "ann",
    }
    for each in ORDERS
]
PAYMENTS = [
    {
        **of_order(order_id),
        "payment_id": order_id,
        "method": "cash",
        "provider": "manual",
        "amount": D(amount),
        "status": "captured",
        "created_at": at(3, 10),
        "order_status": "completed",
    }
    for order_id, amount in (("o1", "12.00"), ("o2", "14.36"), ("o4", "77.00"))
]
DIM_CUSTOMERS = [{"customer_id": "ann", "first_order_at": at(2, 10), "created_at": at(2, 1)}]
SHOP: Tables = {
    "orders": ORDERS,
    "order_lines": LINES,
    "refunds": REFUNDS,
    "payments": PAYMENTS,
    "dim_customers": DIM_CUSTOMERS,
}


# By basis and month: gross sales, returns, taxes, each row in whole cents. Of March by order date,
# without the cancelled o5: 10 + 11.37 + 12.19 + 1; returns 4.61 + 6.09 (999 × 0.0061005).
# By event date o5's 2.997 count in March and reverse in April, and of the returns r1 is April's.
EXPECTED = {
    ("order_date", "march"): ("34.56", "10.70", "0.93"),
    ("order_date", "april"): ("0", "0", "0"),
    ("event_date", "march"): ("37.56", "6.09", "1.86"),
    ("event_date", "april"): ("-3.00", "4.61", "-0.93"),
}


def test_three_currencies_over_a_month_s_end_are_what_is_counted_by_hand() -> None:
    with serve(SHOP) as place:
        for (basis, month), amounts in EXPECTED.items():
            period = MARCH if month == "march" else APRIL
            gross, returns, taxes = (D(amount) for amount in amounts)
            told = place.ask(build_revenue, basis=basis, **period)
            assert (told["currency"], told["converted"]) == ("EUR", True)
            assert told["unconverted_orders"] == (2 if month == "march" else 0)
            exact = {"gross_sales": gross, "returns": returns, "taxes": taxes}
            exact["net_sales"] = gross - returns
            exact["total_sales"] = gross - returns + taxes + (2 if month == "march" else 0)
            for name, amount in exact.items():
                assert told["metrics"][name] == amount, (basis, month, name)
            for name in ("gross_sales", "returns", "net_sales"):
                assert sum(each[name] for each in told["by_category"]) == exact[name]
            rows = place.ask(
                build_rows, Asked(metrics=tuple(exact), limit=1000), basis=basis, **period
            )
            for name, amount in exact.items():
                assert sum(row["amounts"][name] for row in rows["data"]) == amount, (basis, name)
        told = place.ask(build_revenue, **MARCH)
        # 12.00 + 14.36 × 0.9217 = 25.235612
        paid = [{"method": "cash", "amount": D("25.24"), "payments": 2}]
        assert told["by_payment_method"] == paid
        # of the order's line: 1.11 × 0.9217 = 1.023087
        assert told["metrics"]["cost_of_goods"] == D("1.02")


def test_every_answer_of_sales_is_converted_and_says_so() -> None:
    with serve(SHOP) as place:
        by_product = place.ask(build_products, ProductOptions(), **MARCH)
        sold = {row["product_id"]: row["metrics"] for row in by_product["data"]}
        # 10 + 11.37 + 1; of the line's cost 1.02
        assert sold["tea"]["gross_sales"] == D("22.37")
        assert sold["tea"]["cost_of_goods"] == D("1.02")
        assert sold["cup"]["gross_sales"] == D("12.19")
        counts = place.ask(build_orders, **MARCH)["metrics"]
        assert (counts["orders"], counts["cancelled_orders"]) == (4, 1)
        dashboard = place.ask(build_dashboard, **MARCH)
        assert dashboard["orders"]["total"] == 5
        assert dashboard["unconverted_orders"] == 2
        customers = place.ask(build_customers, **MARCH)
        # and the 100 × 0.0061005 = 0.61005 of February, less what came back by order date
        worth = D("34.56") + D("0.61") - D("10.70")
        assert customers["lifetime_value"]["net_sales"] == worth
        assert customers["unconverted_orders"] == 2
        plain = place.ask(build_figures, Asked(metrics=("gross_sales",)), converted=False, **MARCH)
        assert (plain["converted"], plain["unconverted_orders"]) == (False, None)
        assert plain["totals"]["metrics"]["gross_sales"] == D("11.00")


def test_rows_name_the_currency_and_the_rate_of_their_order() -> None:
    with serve(SHOP) as place:
        for asked in (
            Asked(metrics=("net_sales",), limit=1000),
            Asked(metrics=("net_sales",), dimensions=("product", "weekday"), limit=1000),
        ):
            answer = place.ask(build_figures, asked, basis="event_date", **MARCH)
            for part in (answer["totals"], *answer["data"]):
                opened = dict(part["rows"])
                assert opened["converted"] == "true"
                assert opened["currency"] == "EUR"
        rows = place.ask(
            build_rows, Asked(metrics=("net_sales",), limit=1000), basis="event_date", **MARCH
        )["data"]
        rates = {row["order_id"]: (row["currency"], row["exchange_rate"]) for row in rows}
        assert rates == {
            "o1": ("EUR", D(1)),
            "o2": ("USD", D("0.9217")),
            "o3": ("JPY", D("0.0061005")),
            "o5": ("USD", D("0.9")),
            "o8": ("EUR", D(1)),
        }


def test_parts_of_a_long_converted_answer_do_not_share_its_memory() -> None:
    threads: list[int] = []

    def observe(_: str) -> AbstractContextManager[None]:
        threads.append(get_ident())
        return nullcontext()

    with serve(SHOP) as place:
        place.engine = Engine(place.engine.folder, threads=2, observe=observe)
        year = {"start": date(2026, 1, 1), "end": date(2027, 1, 1)}
        place.ask(build_dashboard, **year)
        place.ask(build_revenue, **year)
        assert set(threads) == {get_ident()}
        for changes in (MARCH, {**year, "converted": False}):
            threads.clear()
            place.ask(build_dashboard, **changes)
            assert len(set(threads)) == 2
        place.engine.close()


BOUNDED = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
rates = st.none() | st.decimals("0.0000000001", "99", places=10)


def rated(tables: Tables, drawn: list[tuple[Decimal | None, str]]) -> Tables:
    """The shop with a rate on each order, and on all that carries its order's."""
    own = {"base_currency": "BRL", "exchange_rate": D(1)}
    of: dict[str, dict[str, Any]] = {}
    for row, (rate, base) in zip(tables["orders"], drawn, strict=False):
        is_own = row["currency"] == "BRL"
        of[row["order_id"]] = own if is_own else {"base_currency": base, "exchange_rate": rate}
    return {
        table: [{**row, **of[row["order_id"]]} if "order_id" in row else row for row in rows]
        for table, rows in tables.items()
    }


def converted(tables: Tables, rate_of: dict[str, Decimal]) -> Tables:
    """What has a rate, in whole cents; an order's goods are worth what its lines are."""

    def worth(row: dict[str, Any], amount: Decimal | None) -> Decimal:
        if row["currency"] == "BRL":
            return amount or D(0)
        return ((amount or D(0)) * rate_of[row["order_id"]]).quantize(CENT, ROUND_HALF_UP)

    def told(table: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            {**row, **{name: worth(row, row[name]) for name in names if name in row}}
            for row in tables[table]
            if rate_of.get(row["order_id"]) is not None
        ]

    lines = [
        {**line, "cost_of_goods": worth(line, (line["unit_cost"] or D(0)) * line["quantity"])}
        for line in told("order_lines", ("gross_sales", "discounts"))
    ]
    orders = []
    for each in told("orders", ("shipping", "taxes")):
        own = [line for line in lines if line["order_id"] == each["order_id"]]
        costed = [line for line in own if line["unit_cost"] is not None]
        of_lines = {
            **{name: sum(line[name] for line in own) for name in ("gross_sales", "discounts")},
            "cost_of_goods": sum(line["cost_of_goods"] for line in own),
            "costed_sales": sum(line["gross_sales"] - line["discounts"] for line in costed),
        }
        orders.append({**each, **of_lines})
    refunds = told("refunds", ("goods_amount", "costed_amount", "tax_amount", "shipping_amount"))
    return {**tables, "orders": orders, "order_lines": lines, "refunds": refunds}


@BOUNDED
@given(
    shops(),
    st.lists(st.tuples(rates, st.sampled_from(["BRL", "BRL", "EUR"])), min_size=8, max_size=8),
    st.sampled_from(["channel", "product", "weekday"]),
)
def test_figures_are_the_sum_over_currencies_of_each_fact_times_its_rate(
    tables: Tables, drawn: list[tuple[Decimal | None, str]], name: str
) -> None:
    shop = rated(tables, drawn)
    rate_of = {
        row["order_id"]: D(1) if row["currency"] == "BRL" else row["exchange_rate"]
        for row in shop["orders"]
        if row["currency"] == "BRL" or row["base_currency"] == "BRL"
    }
    left_out = sum(1 for row in shop["orders"] if rate_of.get(row["order_id"]) is None)
    period = {"start": date(2017, 9, 1), "end": date(2018, 3, 1)}
    by_line = DIMENSIONS[name].grain == "line"
    metrics = BY_LINE if by_line else ADDITIVE
    with serve(shop, "BRL") as place:
        for basis in BASES:
            facts = [
                row
                for row in movements(converted(shop, rate_of), basis, by_line=by_line)
                if period["start"] <= row["at"].date() < period["end"]
            ]
            expected = metrics_of(facts)
            asked = Asked(metrics=metrics, dimensions=(name,), limit=1000)
            answer = place.ask(build_figures, asked, basis=basis, **period)
            assert answer["unconverted_orders"] == left_out
            for part in answer["data"]:
                opened = place.ask(build_rows, opening(dict(part["rows"])), basis=basis, **period)
                assert opened["figures"] == part["metrics"]
                assert opened["row_count"] == len(opened["data"])
            assert answer["totals"]["metrics"] == {name: expected[name] for name in metrics}
            if by_line:
                continue
            whole = place.ask(build_rows, Asked(metrics=metrics, limit=1000), basis=basis, **period)
            assert whole["figures"] == answer["totals"]["metrics"]
            for metric in metrics:
                added = sum(row["amounts"][metric] for row in whole["data"])
                assert added == expected[metric], (basis, metric)


# a shop made of a seed is not made smaller by a smaller one
@settings(BOUNDED, max_examples=2, phases=[Phase.generate])
@given(st.integers(0, 10**6), st.sampled_from(BASES))
def test_converted_parts_and_rows_add_up_to_the_cent(seed: int, basis: str) -> None:
    shop = awkward_shop(Random(seed))
    april = {"start": date(2026, 3, 1), "end": date(2026, 5, 1), "basis": basis}
    with serve(shop) as place:
        revenue = place.ask(build_revenue, **april)
        points = [revenue["metrics"], *revenue["series"], *revenue["by_category"]]
        for point in points:
            net_sales = point["gross_sales"] - point["discounts"] - point["returns"]
            assert point["net_sales"] == net_sales
        for name in ("gross_sales", "net_sales", "total_sales", "discounts", "returns", "taxes"):
            assert sum(p[name] for p in revenue["series"]) == revenue["metrics"][name] != 0
        for name in (*BY_LINE, "total_sales", "shipping", "taxes"):
            dimensions = ["time", "channel"]
            if name in BY_LINE:
                dimensions += ["product", "category"]
            for dimension in dimensions:
                asked = Asked(metrics=(name,), dimensions=(dimension,), limit=1000)
                answer = place.ask(build_figures, asked, **april, interval="day")
                figures = [part["metrics"][name] for part in answer["data"]]
                whole = revenue["metrics"].get(name, answer["totals"]["metrics"][name])
                assert sum(figures) == answer["totals"]["metrics"][name] == whole, (name, dimension)
            # the last, by category where there is one
            for part in (answer["totals"], answer["data"][0]):
                opening_it = replace(opening(dict(part["rows"])), limit=10_000)
                opened = place.ask(build_rows, opening_it, **april)
                figure = part["metrics"][name]
                assert sum(row["amounts"][name] for row in opened["data"]) == figure
                assert opened["figures"] == {name: figure}


SOLD = ("gross_sales", "discounts", "returns", "net_sales", "taxes", "cost_of_goods")


@settings(BOUNDED, max_examples=4)
@example(drawn=[(AMOUNTS[-1], RATES[-1])], copies=200, digits=4)
@example(drawn=[(a, r) for a in AMOUNTS for r in RATES], copies=0, digits=2)
@given(
    drawn=st.lists(
        st.tuples(
            st.sampled_from(AMOUNTS) | st.decimals(D("0.01"), AMOUNTS[-1], places=4),
            st.sampled_from(RATES) | st.decimals(RATES[0], RATES[-1], places=10),
        ),
        min_size=1,
        max_size=8,
    ),
    copies=st.integers(0, 30),
    digits=st.sampled_from([0, 2, 3, 4]),
)
def test_the_greatest_amounts_at_the_greatest_rates_are_exact(
    drawn: list[tuple[Decimal, Decimal]], copies: int, digits: int
) -> None:
    period = {**MARCH, "currency_digits": digits}
    with localcontext(prec=60):
        whole = worth_of(drawn, copies, digits)
        costs = [(D("99999999999990"), rate) for _, rate in drawn]
        goods = worth_of(costs, copies, digits) + whole
        expected = dict.fromkeys(("gross_sales", "returns", "taxes"), whole)
        expected |= {"net_sales": D(0), "discounts": D(0), "cost_of_goods": goods}
    with serve(great_shop(drawn, copies)) as place:
        revenue = place.ask(build_revenue, **period)
        assert {name: revenue["metrics"][name] for name in SOLD} == expected
        assert revenue["metrics"]["total_sales"] == whole
        assert revenue["by_payment_method"][0]["amount"] == whole
        sold = {part["product_id"]: part["gross_sales"] for part in revenue["top_products"]}
        assert sold == {"tea": whole, "cup": 0}
        assert place.ask(build_dashboard, **period)["revenue"]["total"] == whole
        for dimension in ("channel", "product", "weekday"):
            names = SOLD if dimension != "product" else tuple(n for n in SOLD if n != "taxes")
            asked = Asked(metrics=names, dimensions=(dimension,), limit=1000)
            answer = place.ask(build_figures, asked, **period)
            for name in names:
                assert answer["totals"]["metrics"][name] == expected[name]
                with localcontext(prec=60):
                    assert sum(p["metrics"][name] for p in answer["data"]) == expected[name]
        rows = place.ask(build_rows, Asked(metrics=("gross_sales",), limit=1000), **period)
        assert rows["figures"]["gross_sales"] == whole
        place.ask(build_products, ProductOptions(), **period)
        customers = place.ask(build_customers, **period)
        assert customers["lifetime_value"]["net_sales"] == 0
