"""Contracts as Polars and Delta see them.

Belongs here: the types of columns and the partition `period` of a row. Does not: what tables hold
(analytics/contracts).
"""

from typing import Literal

import polars as pl
from deltalake import Field, Schema
from deltalake.schema import ArrayType, PrimitiveType

from analytics.contracts import PERIOD, TENANT_ID, Contract
from analytics.contracts.contract import ColumnType

# How a tenant's facts are cut into periods.
Grain = Literal["year", "month"]

TEXT = pl.String()
BOOLEAN = pl.Boolean()
INTEGER = pl.Int64()
MONEY = pl.Decimal(18, 4)
MONEY_SUM = pl.Decimal(38, 4)
RATE = pl.Decimal(18, 10)
RATE_SUM = pl.Decimal(38, 10)
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
    "instant": INSTANT,
    "date": DATE,
    "text_list": TEXT_LIST,
}
DELTA_TYPES: dict[ColumnType, PrimitiveType | ArrayType] = {
    "text": PrimitiveType("string"),
    "boolean": PrimitiveType("boolean"),
    "integer": PrimitiveType("long"),
    "money": PrimitiveType("decimal(18,4)"),
    "money_sum": PrimitiveType("decimal(38,4)"),
    "rate": PrimitiveType("decimal(18,10)"),
    "instant": PrimitiveType("timestamp"),
    "date": PrimitiveType("date"),
    "text_list": ArrayType(PrimitiveType("string"), contains_null=False),
}
PERIOD_FORMATS: dict[Grain, str] = {"year": "%Y", "month": "%Y-%m"}
PARTITION_COLUMNS = [TENANT_ID.name, PERIOD.name]


def polars_schema(contract: Contract) -> dict[str, pl.DataType]:
    """The columns inside the table's files."""
    return {column.name: POLARS_TYPES[column.type] for column in contract.columns}


def delta_schema(contract: Contract) -> Schema:
    """The table's columns, partition columns first."""
    return Schema(
        [
            Field(column.name, DELTA_TYPES[column.type], nullable=True)
            for column in (TENANT_ID, PERIOD, *contract.columns)
        ]
    )


def period_of(contract: Contract, grain: Grain) -> pl.Expr:
    """The partition `period` of a row of `contract`, for a tenant of `grain`."""
    if contract.period_source is None:
        return pl.lit("all").alias(PERIOD.name)
    # a rollup by local day is small: always a year
    is_date = contract.column(contract.period_source).type == "date"
    own = "month" if contract.is_always_by_month else grain
    form = PERIOD_FORMATS["year" if is_date else own]
    return pl.col(contract.period_source).dt.to_string(form).alias(PERIOD.name)
