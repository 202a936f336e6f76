"""Staging: temporary tables that hold an import's typed rows until they are checked and written.

Belongs here: the tables, filling them by COPY and the one connection they live on. Does not: checks
(checks.py) and what is made of the rows (assembly.py). Rows are staged on the database server's
disk, so that an import may be larger than memory; Python holds one chunk at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import StaticPool

from shop_api.bulk.expressions import TypedChunk
from shop_api.bulk.fields import ENTITIES, WHOLES, Field
from shop_api.bulk.id_sequence import IdSequence
from shop_api.bulk.readers import ROW
from shop_api.kernel.money import currency_digits

STATEMENT_TIMEOUT_SECONDS = 3600
# Sorts and hash tables of the checks stay in memory for imports of ordinary size.
SESSION = "SET work_mem = '64MB'; SET temp_buffers = '64MB'"

_POSTGRES_TYPES = {
    "text": 'text COLLATE "C"',
    "list": "text",
    "money": "numeric",
    "integer": "integer",
    "boolean": "boolean",
    "timestamp": "timestamptz",
    "choice": "text",
    "currency": "text",
    "rate": "numeric",
    "country": "text",
    "email": "text",
    "measure": "integer",
    "url": "text",
    "urls": "text",
}
DEFAULT_VARIANT_TITLE = "Default"


@contextmanager
def staging_engine(engine: Engine, tenant_id: UUID) -> Iterator[Engine]:
    """An engine of one connection to the same database: temporary tables outlive transactions.

    The connection sees `tenant_id`'s rows only, in every transaction.
    """
    single = create_engine(
        engine.url,
        poolclass=StaticPool,
        connect_args={
            "options": "-c timezone=UTC"
            f" -c statement_timeout={STATEMENT_TIMEOUT_SECONDS * 1000}"
            " -c idle_in_transaction_session_timeout=600000",
            "application_name": "shop-api-import",
        },
    )
    try:
        with single.begin() as connection:
            connection.exec_driver_sql(SESSION)
            connection.exec_driver_sql(
                "SELECT set_config('app.tenant_id', %s, false)", (str(tenant_id),)
            )
        yield single
    finally:
        single.dispose()


@dataclass
class Staging:
    """The staged rows of one import. `files` are the names that the tables' `file` counts into."""

    engine: Engine
    ids: IdSequence
    has_variants: bool
    files: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def create(self) -> None:
        """Make the tables, empty; those of an import before on this connection go."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("DISCARD TEMP")
            for name, entity in ENTITIES.items():
                columns = "".join(
                    f', "{field_name}" {_POSTGRES_TYPES[rule.type]}'
                    for field_name, rule in entity.fields.items()
                )
                connection.exec_driver_sql(
                    f"CREATE TEMP TABLE stage_{name} (file smallint NOT NULL, row bigint NOT NULL,"
                    f" id uuid NOT NULL, part_id uuid, digits smallint{columns})"
                )
            for name in {whole for whole, _ in WHOLES.values()}:
                connection.exec_driver_sql(
                    f'CREATE TEMP TABLE bad_{name} (external_id text COLLATE "C" PRIMARY KEY,'
                    " entity text NOT NULL, file smallint NOT NULL, row bigint NOT NULL)"
                )

    @contextmanager
    def sets(self) -> Iterator[Connection]:
        """A transaction of statements over whole sets.

        The statistics of tables this import has just filled are old, and a nested loop chosen by
        them takes minutes; hash joins are right whatever the statistics say.
        """
        with self.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL enable_nestloop = off")
            yield connection

    def file_number(self, name: str) -> int:
        """The number of a file, which the tables hold instead of its name."""
        if name not in self.files:
            self.files.append(name)
        return self.files.index(name)

    def add(self, entity: str, chunk: TypedChunk, file: str) -> None:
        """Stage a chunk's good rows, and remember the wholes its refused rows belong to."""
        number = self.file_number(file)
        self._copy(entity, chunk.rows, number)
        if entity == "products" and not self.has_variants:
            self._copy("variants", _default_variants(chunk.rows), number)
        if entity in WHOLES and chunk.rejected_count:
            whole, key = WHOLES[entity]
            refused = chunk.rejected.select(key, ROW).drop_nulls()
            self._refuse_wholes(whole, entity, refused, number)

    def drop_default_variants(self) -> None:
        """Drop the default variants of products that were refused."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "DELETE FROM stage_variants v WHERE NOT EXISTS"
                " (SELECT FROM stage_products p WHERE p.external_id = v.product)"
            )

    def analyze(self) -> None:
        """Tell the planner what is staged, and make the orders' keys quick to find."""
        with self.engine.begin() as connection:
            for name, entity in ENTITIES.items():
                key = entity.key or next(iter(entity.fields))
                connection.exec_driver_sql(f'ANALYZE stage_{name} ("{key}")')

    def _copy(self, entity: str, rows: pl.DataFrame, file: int) -> None:
        if rows.is_empty():
            return
        fields = list(ENTITIES[entity].fields)
        frame = rows.select(
            pl.lit(file).alias("file"),
            pl.col(ROW).alias("row"),
            pl.Series("id", self.ids.take(len(rows))),
            _part_ids(entity, rows, self.ids),
            _digits(rows),
            *[_cell(name, ENTITIES[entity].fields[name]) for name in fields],
        )
        quoted = ", ".join(
            f'"{name}"' for name in ("file", "row", "id", "part_id", "digits", *fields)
        )
        text = frame.write_csv(include_header=False)
        with self.engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            statement = f"COPY stage_{entity} ({quoted}) FROM STDIN (FORMAT csv)"
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(text)
        self.counts[entity] = self.counts.get(entity, 0) + len(rows)

    def _refuse_wholes(self, whole: str, entity: str, refused: pl.DataFrame, file: int) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                f"INSERT INTO bad_{whole} SELECT * FROM unnest(%s::text[], %s::text[],"
                " %s::smallint[], %s::bigint[]) ON CONFLICT DO NOTHING",
                (
                    [key[:255].replace("\0", "") for key in refused.to_series(0)],
                    [entity] * len(refused),
                    [file] * len(refused),
                    refused.to_series(1).to_list(),
                ),
            )


def new_staging(engine: Engine, now: datetime, *, has_variants: bool) -> Staging:
    """Empty staging tables on a single-connection engine."""
    staging = Staging(engine, IdSequence(now), has_variants)
    staging.create()
    return staging


def _cell(name: str, rule: Field) -> pl.Expr:
    return pl.col(name).cast(pl.Int64) if rule.type in ("integer", "measure") else pl.col(name)


def _part_ids(entity: str, rows: pl.DataFrame, ids: IdSequence) -> pl.Series:
    """Ids of the second row that a stock row (its movement) or refund (its line) becomes."""
    if entity in ("stock", "refunds"):
        return pl.Series("part_id", ids.take(len(rows)))
    return pl.Series("part_id", [None], pl.String).extend_constant(None, len(rows) - 1)


def _digits(rows: pl.DataFrame) -> pl.Expr:
    """The digits of each row's currency, where the row has one."""
    if "currency" not in rows.columns:
        return pl.lit(None, pl.Int64).alias("digits")
    found = rows["currency"].unique().to_list()
    return (
        pl.col("currency")
        .replace_strict(found, [currency_digits(c) for c in found], return_dtype=pl.Int64)
        .alias("digits")
    )


def _default_variants(products: pl.DataFrame) -> pl.DataFrame:
    """The one variant of each product of a shop that knows no variants."""
    columns = {
        "external_id": pl.col("external_id"),
        "product": pl.col("external_id"),
        "title": pl.lit(DEFAULT_VARIANT_TITLE),
        "position": pl.lit("0"),
        "track_quantity": pl.col("track_quantity"),
        "allow_backorder": pl.lit("false"),
    }
    return products.select(
        ROW,
        *[
            columns.get(name, pl.lit(None, pl.String)).alias(name)
            for name in ENTITIES["variants"].fields
        ],
    )
