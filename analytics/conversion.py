"""Facts in the shop's own currency: every amount at the rate that its order was placed at.

Belongs here: the text that puts converted tables in the place of those that a statement reads. Does
not: the statements (queries/), which do not know of it, and the rates (contracts).

An amount is rounded to four digits in each row, as amounts of the lake are, so figures are sums of
what rows show. What is told per unit is not: it is rounded when it is multiplied. A refund, a line
and a payment carry their order's rate. Rows of orders without one into the currency are left out.
"""

from functools import cache

from analytics.contracts import CONTRACTS, Contract
from analytics.contracts.contract import BASE_CURRENCY, EXCHANGE_RATE, Column

PER_UNIT = ("unit_price", "unit_cost")
# The currency an amount was in, and what it was multiplied by.
ORIGINAL_CURRENCY, APPLIED_RATE = "original_currency", "applied_rate"

# A fact in the currency asked for is what it is, whatever the shop's was when it was placed.
RATE = (
    "CASE WHEN fact.currency = $currency THEN 1"
    f" WHEN fact.{BASE_CURRENCY.name} = $currency THEN fact.{EXCHANGE_RATE.name} END"
)


def is_convertible(contract: Contract) -> bool:
    """Whether its rows carry a rate."""
    return EXCHANGE_RATE.name in contract.column_names


def converting(statement: str, tables: tuple[str, ...]) -> str:
    """The statement over `tables` as if all amounts were in `$currency`."""
    chosen = [CONTRACTS[table] for table in tables if is_convertible(CONTRACTS[table])]
    if not chosen:
        return statement
    relations = ",\n".join(f"{c.name} AS NOT MATERIALIZED (\n{_converted(c)}\n)" for c in chosen)
    return f"WITH {relations}\nSELECT * FROM (\n{statement}\n) AS converted"


@cache
def _converted(contract: Contract) -> str:
    columns = ",\n    ".join(_column(column) for column in contract.columns)
    return (
        f"SELECT\n    {columns},\n    fact.currency AS {ORIGINAL_CURRENCY},\n"
        f"    CAST({RATE} AS {EXCHANGE_RATE.sql_type}) AS {APPLIED_RATE}\n"
        f"FROM {contract.name} AS fact\nWHERE {RATE} IS NOT NULL"
    )


def _column(column: Column) -> str:
    name = f"fact.{column.name}"
    if column.name == "currency":
        return "$currency AS currency"
    if column.unit != "currency":
        return name
    times = f"{name} * fact.{EXCHANGE_RATE.name}"
    if column.name not in PER_UNIT:
        times = f"round({times}, 4)"
    # few orders of a shop are in another currency: the others are not multiplied
    return f"CASE WHEN fact.currency = $currency THEN {name} ELSE {times} END AS {column.name}"
