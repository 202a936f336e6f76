"""The metrics of stock: what lies where, what it is worth, how it sells.

Belongs here: their definitions. Does not: statements (queries/) and paging (reports/inventory.py).
Expressions aggregate rows of `stocked`, which `queries/inventory.sql` makes: one per variant and
location, with what lies there at the end of the period and what was sold of it in the period.
"""

from analytics.metrics.metric import Metric, Unit

GRAIN = "variant × location"
SOURCE = "stocked"


def _stock(name: str, title: str, unit: Unit, formula: str, expression: str) -> Metric:
    return Metric(name, title, unit, formula, GRAIN, SOURCE, expression)


def _of_rows(
    name: str, title: str, unit: Unit, formula: str, sides: tuple[str, str], expression: str = ""
) -> Metric:
    """A quotient of figures of a row of the report."""
    over, under = sides
    text = expression or f"{over} / NULLIF({under}, 0)"
    return Metric(name, title, unit, formula, GRAIN, SOURCE, text, over, under)


# What lies there; where more was handed over than was there, nothing does.
ON_HAND = "sum(CASE WHEN quantity > 0 THEN quantity ELSE 0 END)"
COSTED = "sum(CASE WHEN quantity > 0 AND cost IS NOT NULL THEN quantity ELSE 0 END)"

# In the order of the statement's columns.
INVENTORY: tuple[Metric, ...] = (
    _stock(
        "stock_on_hand",
        "Stock on hand",
        "count",
        "Σ quantity at the end of the period: quantity now − Σ movements since; below zero where"
        " more was handed over than was there",
        "sum(quantity)",
    ),
    _stock(
        "stock_reserved",
        "Reserved stock",
        "count",
        "Σ quantity promised to open orders at the end of the period",
        "sum(reserved)",
    ),
    _stock("units_on_hand", "Units on hand", "count", "stock_on_hand, shortfalls as 0", ON_HAND),
    _stock(
        "costed_units",
        "Units whose cost is known",
        "count",
        "units_on_hand of variants with a cost in the currency asked for",
        COSTED,
    ),
    _stock(
        "stock_value",
        "Stock value",
        "money",
        "Σ units_on_hand × the variant's cost now, where known in the currency asked for",
        "coalesce(sum(CASE WHEN quantity > 0 THEN quantity * cost END), 0)",
    ),
    _stock(
        "units_sold",
        "Units sold of stock",
        "count",
        "Σ quantity of lines of orders not cancelled, placed in the period, in any currency;"
        " returned units included",
        "sum(units_sold)",
    ),
    _stock(
        "stock_gross_sales",
        "Gross sales of stock",
        "money",
        "gross_sales of those lines in the currency asked for",
        "sum(gross_sales)",
    ),
    _stock(
        "stock_net_sales",
        "Net sales of stock",
        "money",
        "gross_sales − discounts − returns of those lines in the currency asked for",
        "sum(net_sales)",
    ),
)

DERIVED: tuple[Metric, ...] = (
    _of_rows(
        "stock_value_coverage",
        "Stock value coverage",
        "ratio",
        "costed_units ÷ units_on_hand",
        (COSTED, ON_HAND),
    ),
    _of_rows(
        "sell_through",
        "Sell-through",
        "ratio",
        "units_sold ÷ (units_sold + units_on_hand)",
        ("sum(units_sold)", f"(sum(units_sold) + {ON_HAND})"),
    ),
    _of_rows(
        "days_of_inventory",
        "Days of inventory",
        "days",
        "units_on_hand ÷ (units_sold ÷ days of the period up to today)",
        (f"{ON_HAND} * $days", "sum(units_sold)"),
    ),
    _stock(
        "abc_class",
        "ABC class",
        "label",
        "by falling sales: A while the ones before come to less than 80 % of all, B to less than"
        " 95 %, else C; equal sales in the order of ids; without sales C",
        "sum(gross_sales)",
    ),
    _stock(
        "dead_stock",
        "Dead stock",
        "count",
        "units on hand of which nothing was sold for `dead_after_days` up to the end of the period,"
        " and which were in the catalogue before",
        ON_HAND,
    ),
)

OF_STOCK = (*INVENTORY, *DERIVED)
