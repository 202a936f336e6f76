"""From an empty database to the schema the models describe."""

import re
from typing import Any, LiteralString

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine

from migrations.search import DOCUMENTS
from migrations.tenancy import CURRENCY_DIGITS
from shop_api.db.engines import sqlalchemy_url
from shop_api.db.migrate import alembic_config, current_revision, migrate, newest_revision
from shop_api.models import metadata
from tests.fixtures.stores import Server
from tests.migrations.databases import empty_database, tables

COLUMNS = (
    "SELECT c.table_name, c.column_name, c.data_type, c.udt_name, c.numeric_precision,"
    " c.numeric_scale, c.is_nullable, c.column_default, c.collation_name, c.is_identity"
    " FROM information_schema.columns c WHERE c.table_schema = 'public'"
    " AND c.table_name <> 'alembic_version' ORDER BY 1, 2"
)
CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
    " AND conrelid <> coalesce(to_regclass('alembic_version'), 0) ORDER BY 1, 2"
)
INDEXES = (
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    " AND tablename <> 'alembic_version' ORDER BY 1, 2"
)


def rows(server: Server, name: str, query: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.url(name)) as connection:
        return connection.execute(query).fetchall()


def test_an_empty_database_is_brought_to_the_newest_schema(server: Server) -> None:
    with empty_database(server) as (name, url):
        engine = create_engine(url)
        with engine.connect() as connection:
            assert current_revision(connection) is None
        migrate(url)
        with engine.connect() as connection:
            assert current_revision(connection) == newest_revision()
        engine.dispose()
        assert tables(server, name) == metadata.tables.keys() | {"alembic_version"}
        migrate(url)  # and again: nothing to do


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
def test_alembic_finds_no_drift(server: Server) -> None:
    with empty_database(server) as (_, url):
        migrate(url)
        command.check(alembic_config(url))


def test_migrations_and_models_make_the_same_schema(server: Server) -> None:
    """Alembic's check compares neither checks nor defaults nor partial indexes; Postgres does."""
    with empty_database(server) as (migrated, url), empty_database(server) as (modelled, _):
        migrate(url)
        engine = create_engine(sqlalchemy_url(server.url(modelled)))
        with engine.begin() as connection:
            connection.exec_driver_sql(CURRENCY_DIGITS)
            connection.exec_driver_sql(DOCUMENTS)
            metadata.create_all(connection)
        engine.dispose()
        for query in (COLUMNS, CONSTRAINTS, INDEXES):
            assert rows(server, migrated, query) == rows(server, modelled, query)


def test_constraint_names_follow_one_pattern(server: Server) -> None:
    """Refused writes are mapped to sentences by these names."""
    with empty_database(server) as (name, url):
        migrate(url)
        prefixes = {"p": "pk", "u": "uq", "f": "fk", "c": "ck"}
        for table, constraint, kind, _ in rows(server, name, CONSTRAINTS):
            assert re.match(rf"{prefixes[kind]}_{table}", constraint), constraint
