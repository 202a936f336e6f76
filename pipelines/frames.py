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
from analytics.frames import (
    BOOLEAN,
    DATE,
    INSTANT,
    INTEGER,
    MONEY,
    MONEY_SUM,
    POLARS_TYPES,
    RATE,
    RATE_SUM,
    RATIO,
    TEXT,
    TEXT_LIST,
    polars_schema,
)

__all__ = [
    "BOOLEAN",
    "DATE",
    "DELTA_TYPES",
    "INSTANT",
    "INTEGER",
    "MONEY",
    "MONEY_SUM",
    "PARTITION_COLUMNS",
    "POLARS_TYPES",
    "RATE",
    "RATE_SUM",
    "RATIO",
    "TEXT",
    "TEXT_LIST",
    "Grain",
    "delta_schema",
    "period_of",
    "polars_schema",
]

# How a tenant's facts are cut into periods.
Grain = Literal["year", "month"]

DELTA_TYPES: dict[ColumnType, PrimitiveType | ArrayType] = {
    "text": PrimitiveType("string"),
    "boolean": PrimitiveType("boolean"),
    "integer": PrimitiveType("long"),
    "money": PrimitiveType("decimal(18,4)"),
    "money_sum": PrimitiveType("decimal(38,4)"),
    "rate": PrimitiveType("decimal(18,10)"),
    "ratio": PrimitiveType("decimal(9,6)"),
    "instant": PrimitiveType("timestamp"),
    "date": PrimitiveType("date"),
    "text_list": ArrayType(PrimitiveType("string"), contains_null=False),
}
PERIOD_FORMATS: dict[Grain, str] = {"year": "%Y", "month": "%Y-%m"}
PARTITION_COLUMNS = [TENANT_ID.name, PERIOD.name]


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
