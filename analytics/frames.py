"""Contracts as Polars sees them, for analysts' frames and for what writes the lake.

Belongs here: the types of columns. Does not: anything that the api loads, which holds no Polars.
"""

import polars as pl

from analytics.contracts import Contract
from analytics.contracts.contract import ColumnType

TEXT = pl.String()
BOOLEAN = pl.Boolean()
INTEGER = pl.Int64()
MONEY = pl.Decimal(18, 4)
MONEY_SUM = pl.Decimal(38, 4)
RATE = pl.Decimal(18, 10)
RATE_SUM = pl.Decimal(38, 10)
RATIO = pl.Decimal(9, 6)
INSTANT = pl.Datetime("us", "UTC")
DATE = pl.Date()
TEXT_LIST = pl.List(pl.String())

POLARS_TYPES: dict[ColumnType, pl.DataType] = {
    "text": TEXT,
    "boolean": BOOLEAN,
    "integer": INTEGER,
    "money": MONEY,
    "money_sum": MONEY_SUM,
    "rate": RATE,
    "ratio": RATIO,
    "instant": INSTANT,
    "date": DATE,
    "text_list": TEXT_LIST,
}


def polars_schema(contract: Contract) -> dict[str, pl.DataType]:
    """The columns inside the table's files."""
    return {column.name: POLARS_TYPES[column.type] for column in contract.columns}
