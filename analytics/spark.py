"""The same statements on Spark: who has a cluster gets the API's figures from it.

Belongs here: carrying a statement to Spark by sqlglot, values and files with it, and rows back as
the engine gives them. Does not: the statements (queries/), which files (lake.py). Needs the extra
`spark` and Java; nothing else imports it.
"""

from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import TimestampType
from sqlglot import exp, parse_one
from sqlglot.optimizer.scope import traverse_scope

from analytics.beside import Beside
from analytics.contracts import CONTRACTS
from analytics.engine import Engine, Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The types of contracts as Spark reads them from Parquet.
SPARK_TYPES = {
    "text": "STRING",
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "rate": "DECIMAL(18,10)",
    "ratio": "DECIMAL(9,6)",
    "money": "DECIMAL(18,4)",
    "money_sum": "DECIMAL(38,4)",
    "instant": "TIMESTAMP",
    "date": "DATE",
    "text_list": "ARRAY<STRING>",
}


class SparkEngine(Engine):
    """Runs statements over lists of Parquet files on a Spark session whose time zone is UTC.

    It answers what an Engine answers, so all that is built on one is built on it. How long a
    statement may take and how much memory is the cluster's to say.
    """

    def __init__(self, session: SparkSession) -> None:
        zone = session.conf.get("spark.sql.session.timeZone")
        if zone != "UTC":
            raise ValueError(
                f"the session's time zone is {zone}: dates would be cut by it;"
                ' set spark.sql.session.timeZone to "UTC"'
            )
        self._session = session

    def run(
        self,
        statement: str,
        tables: Mapping[str, Sequence[str]],
        parameters: Mapping[str, Any],
        *,
        deadline_seconds: float = 30.0,
    ) -> list[Row]:
        """The rows of a SELECT over `tables`, each given as its files; `$name`s are parameters."""
        views = {name: f"{name}_{uuid4().hex}" for name in tables}
        try:
            for name, files in tables.items():
                self._frame(name, files).createOrReplaceTempView(views[name])
            answer = self._session.sql(carry(statement, views, parameters))
            instants = [
                field.name for field in answer.schema if isinstance(field.dataType, TimestampType)
            ]
            # an instant as microseconds: a datetime would pass through the machine's local time
            exact = answer.withColumns({name: f.unix_micros(name) for name in instants})
            return [_row(found.asDict(recursive=True), instants) for found in exact.collect()]
        finally:
            for view in views.values():
                self._session.catalog.dropTempView(view)

    def batches(
        self,
        statement: str,
        tables: Mapping[str, Sequence[str]],
        parameters: Mapping[str, Any],
        *,
        deadline_seconds: float = 30.0,
        batch_rows: int = 2_000,
    ) -> Generator[list[Row], None, None]:
        """The same rows in parts."""
        rows = self.run(statement, tables, parameters)
        for first in range(0, len(rows), batch_rows):
            yield rows[first : first + batch_rows]

    def beside(self) -> Beside:
        """The cluster's own executors share out each query."""
        return Beside(None)

    def close(self) -> None:
        """The session belongs to who made it."""

    def _frame(self, table: str, files: Sequence[str]) -> DataFrame:
        schema = spark_schema(table)
        if not files:
            return self._session.createDataFrame([], schema)
        return self._session.read.schema(schema).parquet(*files)


def spark_schema(table: str) -> str:
    """The columns of a table of the lake as Spark declares them."""
    return ", ".join(
        f"{column.name} {SPARK_TYPES[column.type]}" for column in CONTRACTS[table].columns
    )


def carry(statement: str, views: Mapping[str, str], parameters: Mapping[str, Any]) -> str:
    """The statement in Spark's SQL: tables by the names of their views, values as literals."""
    tree = parse_one(statement, read="duckdb")
    # of a converted statement, `orders` is a part that is defined by the table `orders`
    for table in [t for scope in traverse_scope(tree) for t in scope.sources.values()]:
        if isinstance(table, exp.Table) and table.name in views:
            named = exp.to_table(views[table.name])
            named.set("alias", table.args.get("alias") or exp.TableAlias(this=table.this.copy()))
            table.replace(named)
    for part in tree.find_all(exp.CTE):
        # Spark decides it by itself
        part.set("materialized", None)
    for parameter in list(tree.find_all(exp.Placeholder)):
        parameter.replace(_literal(parameters[parameter.name]))
    return tree.sql(dialect="spark", comments=False)


def _literal(value: Any) -> exp.Expr:
    if isinstance(value, (list, tuple)):
        return exp.Array(expressions=[_literal(part) for part in value])
    if isinstance(value, datetime):
        return exp.cast(exp.Literal.string(value.astimezone(UTC).isoformat()), "TIMESTAMPTZ")
    return exp.convert(value)


def _row(row: Row, instants: Sequence[str]) -> Row:
    for name in instants:
        if row[name] is not None:
            row[name] = EPOCH + timedelta(microseconds=row[name])
    return row
