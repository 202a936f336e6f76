"""What every table shares: metadata, column makers and the list of tables that have no tenant.

Belongs here: shapes repeated by every table. Does not: any one table (its own file).
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Tables of the platform, not of a tenant: nobody's rows, so no row-level security.
PLATFORM_TABLES = frozenset(
    {"alembic_version", "spine_cursors", "lake_snapshots", "lake_partitions"}
    | {"lake_outages", "pipeline_runs"}
)


def tenant_id() -> Column[Any]:
    """The owner of the row; first in the primary key and in every index."""
    return Column("tenant_id", Uuid, nullable=False)


def row_id() -> Column[Any]:
    """The row's UUIDv7."""
    return Column("id", Uuid, nullable=False)


def tenant_primary_key(*columns: str) -> PrimaryKeyConstraint:
    """Primary key (tenant_id, columns…); (tenant_id, id) unless told."""
    return PrimaryKeyConstraint("tenant_id", *(columns or ("id",)))


def tenant_foreign_key(
    column: str, table: str, ondelete: str | None = None
) -> ForeignKeyConstraint:
    """Foreign key (tenant_id, column) → table (tenant_id, id), so that it cannot cross tenants."""
    return ForeignKeyConstraint(
        ["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete=ondelete
    )


def money(name: str, nullable: bool = False, default: str | None = None) -> Column[Any]:
    """An exact amount: numeric(18,4) in the row's currency."""
    return Column(
        name,
        Numeric(18, 4),
        nullable=nullable,
        server_default=text(default) if default is not None else None,
    )


def amount_rank(amount: str) -> Column[Any]:
    """Where an amount stands among others: ten-thousandths, made by Postgres from the column.

    Lists sort and filter by it. Row-level security keeps operators that are not leakproof out of
    index conditions, and those of numeric are not; those of bigint are.
    """
    return Column(
        f"{amount}_rank", BigInteger, Computed(f"(({amount} * 10000))::bigint", persisted=True)
    )


def search_document(expression: str) -> Column[Any]:
    """The words of a row that search finds it by, made by Postgres (migrations/search.py)."""
    return Column("search", TSVECTOR, Computed(f"search_document({expression})", persisted=True))


def search_index(table: str) -> Index:
    """The index search looks words up in; a word begins with its tenant."""
    return Index(
        f"ix_{table}_search",
        "search",
        postgresql_using="gin",
        # what is not in it yet is read by every search
        postgresql_with={"gin_pending_list_limit": 512},
    )


def exchange_rate(name: str, nullable: bool = False) -> Column[Any]:
    """Units of one currency for one of another. Ten digits, for a rial is 0.0000073 Kuwaiti dinars,
    and eight before the point, for a dinar is 140 000 rials."""
    return Column(name, Numeric(18, 10), nullable=nullable)


def instant(name: str, nullable: bool = False, default_now: bool = False) -> Column[Any]:
    """An aware instant."""
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable,
        server_default=text("now()") if default_now else None,
    )


def version() -> Column[Any]:
    """Counts the row's changes; the ETag is made from it."""
    return Column("version", Integer, nullable=False, server_default=text("1"))


def created_and_updated() -> tuple[Column[Any], Column[Any]]:
    """When the row came and when it last changed."""
    return instant("created_at"), instant("updated_at")


def external_id() -> Column[Any]:
    """The id in the system the row was imported from."""
    return Column("external_id", Text, nullable=True)
