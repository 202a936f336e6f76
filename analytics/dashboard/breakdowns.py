"""What the sales of a period are made of: products, categories, payments, customers, deliveries.

Belongs here: one function per breakdown, from rows to the values of an answer. Does not: totals
over time (sales.py) and the statements (queries/).
"""

from dataclasses import dataclass
from typing import Any

from analytics.dashboard.question import Question
from analytics.engine import Row
from analytics.metrics.definitions import CUSTOMERS, EXACT, money, ratio, select_list
from analytics.metrics.dimensions import FULFILLMENT_STATUSES

PRODUCT_STATUSES = ("active", "draft", "archived")

_CUSTOMER_SELECT = select_list(CUSTOMERS)


@dataclass(frozen=True, slots=True)
class SoldProducts:
    """What was sold: by every category, adding up to the sales; and the top 10 products."""

    # distinct products of which units were sold
    products: int
    by_category: list[dict[str, Any]]
    top_products: list[dict[str, Any]]


def read_products(question: Question) -> SoldProducts:
    """Sales by category and the products that sold most, by gross sales."""
    rows = question.ask_facts(
        "products", ("order_lines", "refunds", "dim_products"), basis=question.basis
    )
    rows.sort(key=lambda row: (-(row["gross_sales"] or 0), row["id"] or ""))
    by_kind: dict[str, list[Row]] = {"total": [], "category": [], "product": []}
    for row in rows:
        by_kind[row["kind"]].append(row)
    return SoldProducts(
        int(by_kind["total"][0]["products"]),
        [
            {
                "category_id": row["id"],
                "name": row["name"],
                "product_count": int(row["products"]),
                **_amounts(row, question.digits),
            }
            for row in by_kind["category"]
        ],
        [
            {
                "product_id": row["id"],
                "name": row["name"],
                "sku": row["sku"],
                **_amounts(row, question.digits),
            }
            for row in by_kind["product"]
        ],
    )


def _amounts(row: Row, digits: int) -> dict[str, Any]:
    taken_off = EXACT.add(row["discounts"], row["returns"])
    return {
        "units": int(row["units"]),
        "gross_sales": money(row["gross_sales"], digits),
        "discounts": money(row["discounts"], digits),
        "returns": money(row["returns"], digits),
        "net_sales": money(EXACT.subtract(row["gross_sales"], taken_off), digits),
    }


def read_payments(question: Question) -> list[dict[str, Any]]:
    """Captured payments by method, largest first."""
    rows = question.ask_facts("payments_by_method", ("payments",), basis=question.basis)
    rows.sort(key=lambda row: (-row["amount"], row["method"]))
    return [
        {
            "method": row["method"],
            "amount": money(row["amount"], question.digits),
            "payments": int(row["payments"]),
        }
        for row in rows
    ]


def read_customers(question: Question) -> dict[str, Any]:
    """Customers of the period: all, new, returning."""
    row = customers_until_now(question)
    if row is None:
        tables = ("orders", "dim_customers")
        row = question.ask_facts("customers", tables, metrics=_CUSTOMER_SELECT)[0]
    return {
        "total": row["customers"],
        "new": row["new_customers"],
        "returning": row["returning_customers"],
        "returning_customer_rate": ratio(row["returning_customers"], row["customers"]),
    }


def reaches_now(question: Question) -> bool:
    """Whether what customers' own rows say, as they are now, may be what is asked."""
    is_past = question.period.end_instant < question.request.snapshot.as_of
    return not is_past and not question.request.converted


def customers_until_now(question: Question) -> Row | None:
    """Their counts by the customers' own rows; None where these do not tell.

    Of five million orders that is 15 ms, by the orders 0.2 s for a month and 5 s for three years.
    """
    if not reaches_now(question):
        return None
    tables = ("dim_customers", "daily_sales")
    row = question.ask_facts("customers_until_now", tables, metrics=_CUSTOMER_SELECT)[0]
    return row if row["is_known"] else None


def read_fulfillment(question: Question) -> dict[str, int]:
    """Orders not cancelled by fulfillment status, every status present."""
    rows = question.ask_facts("fulfillment", ("orders",))
    found = {row["fulfillment_status"]: row["orders"] for row in rows}
    return {status: found.get(status, 0) for status in FULFILLMENT_STATUSES}


def read_catalogue(question: Question) -> dict[str, int]:
    """Products of the catalogue by status, and all."""
    rows = question.ask_dimension("catalogue", "dim_products")
    found = {row["status"]: row["products"] for row in rows}
    counts = {status: found.get(status, 0) for status in PRODUCT_STATUSES}
    return {"total": sum(counts.values()), **counts}
