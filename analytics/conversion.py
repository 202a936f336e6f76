"""Facts in the shop's own currency: every amount at the rate that its order was placed at.

Belongs here: the text that puts converted tables in the place of those that a statement reads. Does
not: the statements (queries/), which do not know of it, and the rates (contracts).

An amount is worth whole units of the currency's last digit, in each row, so figures are sums of
what rows show, at every grain. What an order tells of its lines is the sum of what they are worth.
A refund, a line and a payment carry their order's rate. Rows of orders without one into the
currency are left out. What is told per unit stays as it is: `line_cost` multiplies it.
"""

import re

from analytics.contracts import CONTRACTS, ORDER_LINES, ORDERS, Contract
from analytics.contracts.contract import BASE_CURRENCY, EXCHANGE_RATE, SQL_TYPES, Column

PER_UNIT = ("unit_price", "unit_cost")
# The currency an amount was in, and what it was multiplied by.
ORIGINAL_CURRENCY, APPLIED_RATE = "original_currency", "applied_rate"

# A fact in the currency asked for is what it is, whatever the shop's was when it was placed.
RATE = (
    "CASE WHEN fact.currency = $currency THEN 1"
    f" WHEN fact.{BASE_CURRENCY.name} = $currency THEN fact.{EXCHANGE_RATE.name} END"
)
# The one width whose product with a rate, DECIMAL(18,10), is exact on both: DuckDB keeps that of
# two of 18 digits within 18, which 10 000 overflows, and Spark cuts what needs more than 38.
FACTOR_TYPE = "DECIMAL(19,4)"
# The greatest amount at the greatest rate is of 10^22, which the amount's own type does not hold.
WORTH_TYPE = SQL_TYPES["money_sum"]
# What an order tells of its lines; the rest of it is its own.
OF_LINES = ("gross_sales", "discounts", "cost_of_goods", "costed_sales")
_NAMES_THEM = re.compile(rf"\b({'|'.join(OF_LINES)})\b")


def is_convertible(contract: Contract) -> bool:
    """Whether its rows carry a rate."""
    return EXCHANGE_RATE.name in contract.column_names


def tables_read(statement: str, tables: tuple[str, ...]) -> tuple[str, ...]:
    """The tables that the statement over `tables` reads when it is converted."""
    is_added = ORDERS.name in tables and ORDER_LINES.name not in tables
    return (*tables, ORDER_LINES.name) if is_added and _NAMES_THEM.search(statement) else tables


def converting(statement: str, tables: tuple[str, ...], digits: int) -> str:
    """The statement over `tables` as if all amounts were in `$currency`, which has `digits`."""
    # orders first: the lines they are made of are those of the lake, not those that follow
    names = sorted(tables, key=lambda name: name != ORDERS.name)
    chosen = [CONTRACTS[name] for name in names if is_convertible(CONTRACTS[name])]
    if not chosen:
        return statement
    is_of_lines = ORDERS.name in tables and _NAMES_THEM.search(statement) is not None
    relations = ",\n".join(
        f"{c.name} AS NOT MATERIALIZED (\n{_converted(c, digits, is_of_lines)}\n)" for c in chosen
    )
    return f"WITH {relations}\nSELECT * FROM (\n{statement}\n) AS converted"


def line_cost(digits: int | None) -> str:
    """What a line's goods cost; `digits` are those of the currency it is converted into."""
    cost = "unit_cost * quantity"
    if digits is None:
        return cost
    converted = _worth(cost, APPLIED_RATE, digits)
    return f"CASE WHEN {ORIGINAL_CURRENCY} = $currency THEN {cost} ELSE {converted} END"


def _worth(amount: str, rate: str, digits: int) -> str:
    """An amount at a rate: the product is exact, and rounded half up."""
    return f"round(CAST({amount} AS {FACTOR_TYPE}) * {rate}, {digits})"


def _converted(contract: Contract, digits: int, is_of_lines: bool) -> str:
    is_joined = contract is ORDERS and is_of_lines
    columns = ",\n    ".join(_column(column, digits, is_joined) for column in contract.columns)
    return (
        f"SELECT\n    {columns},\n    fact.currency AS {ORIGINAL_CURRENCY},\n"
        f"    CAST({RATE} AS {EXCHANGE_RATE.sql_type}) AS {APPLIED_RATE}\n"
        f"FROM {contract.name} AS fact\n{_lines(digits) if is_joined else ''}"
        f"WHERE {RATE} IS NOT NULL"
    )


def _column(column: Column, digits: int, is_joined: bool) -> str:
    name = f"fact.{column.name}"
    if column.name == "currency":
        return "$currency AS currency"
    if column.unit != "currency" or column.name in PER_UNIT:
        return name
    worth = _worth(name, f"fact.{EXCHANGE_RATE.name}", digits)
    if is_joined and column.name in OF_LINES:
        # an imported order may have no lines
        worth = f"COALESCE(of_lines.{column.name}, {worth})"
    # few orders of a shop are in another currency: the others are not multiplied
    chosen = f"CASE WHEN fact.currency = $currency THEN {name} ELSE {worth} END"
    return f"CAST({chosen} AS {WORTH_TYPE}) AS {column.name}"


def _lines(digits: int) -> str:
    """What the lines of each order in another currency are worth together."""
    rate = EXCHANGE_RATE.name
    gross, discounts = (_worth(name, rate, digits) for name in ("gross_sales", "discounts"))
    return f"""LEFT JOIN (
    SELECT
        order_id,
        sum({gross}) AS gross_sales,
        sum({discounts}) AS discounts,
        coalesce(sum({_worth("unit_cost * quantity", rate, digits)}), 0) AS cost_of_goods,
        sum(CASE WHEN unit_cost IS NOT NULL THEN {gross} - {discounts} ELSE 0 END) AS costed_sales
    FROM {ORDER_LINES.name}
    WHERE currency <> $currency AND {BASE_CURRENCY.name} = $currency AND {rate} IS NOT NULL
    GROUP BY order_id
) AS of_lines ON of_lines.order_id = fact.order_id
"""
