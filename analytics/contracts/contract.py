"""The shape of a contract.

Belongs here: the types a column may have and the partition columns all tables share. Does not: any
one table (its own file).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

# text · boolean · integer (64 bit) · money: DECIMAL(18,4) · money_sum: DECIMAL(38,4), sums of as
# many amounts as there are · rate: DECIMAL(18,10), units of one currency for one of another ·
# ratio: DECIMAL(9,6), 0.22 for 22 % · instant: timestamp in microseconds, UTC · date ·
# text_list: a list of text
ColumnType = Literal[
    "text",
    "boolean",
    "integer",
    "money",
    "money_sum",
    "rate",
    "ratio",
    "instant",
    "date",
    "text_list",
]

# The same types as DuckDB and Spark name them.
SQL_TYPES: dict[ColumnType, str] = {
    "text": "VARCHAR",
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "money": "DECIMAL(18,4)",
    "money_sum": "DECIMAL(38,4)",
    "rate": "DECIMAL(18,10)",
    "ratio": "DECIMAL(9,6)",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "text_list": "VARCHAR[]",
}


@dataclass(frozen=True)
class Column:
    """One column; `unit` is what a number counts ("items") or the column that names its unit."""

    name: str
    type: ColumnType
    description: str
    unit: str | None = None
    is_nullable: bool = False

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.type]


@dataclass(frozen=True)
class Contract:
    """One table of the lake.

    `key` identifies a row within a tenant. `file_key` is the column by whose ranges a partition's
    files are cut, so that a changed row is found by the files' statistics. `period_source` is the
    column whose UTC month or year (for a date: its year) is the partition `period`; None when the
    table has the one period 'all'. One that `is_always_by_month` does not follow its tenant's
    grain. What `is_from_postgres` is made anew by a rebuild; the rest is kept by it.
    """

    name: str
    grain: str
    source: str
    key: tuple[str, ...]
    file_key: str
    period_source: str | None
    columns: tuple[Column, ...]
    is_always_by_month: bool = False
    is_from_postgres: bool = True

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called `name`."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")


# The property of a Delta table that got columns: the last millisecond since 1970 in which files
# were written that may be without them.
OLDER_FILES_UNTIL = "shop_api.older_files_until"


class OlderFile(str):
    """The path of a file that may lack columns of the contract, which are null in it."""

    __slots__ = ()


# Of every fact in a currency: what it is worth in the shop's own.
BASE_CURRENCY = Column(
    "base_currency", "text", "The shop's own currency when the order was placed."
)
EXCHANGE_RATE = Column(
    "exchange_rate",
    "rate",
    "Units of base_currency for one of currency when the order was placed: 1 where they are the"
    " same, null where none was known.",
    is_nullable=True,
)

# Partition columns of every table: in the path and the Delta log, not inside the Parquet files.
TENANT_ID = Column("tenant_id", "text", "The tenant the row belongs to; the first partition.")
PERIOD = Column(
    "period",
    "text",
    "The second partition: 'YYYY' or 'YYYY-MM' in UTC, 'all' for dimensions.",
)
