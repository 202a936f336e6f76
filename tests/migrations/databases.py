"""Empty databases with the roles in them, for tests that migrate."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg

from shop_api.db.engines import sqlalchemy_url
from tests.fixtures.stores import ROLES_SQL, Server


@contextmanager
def empty_database(server: Server) -> Iterator[tuple[str, str]]:
    """A database without tables: its name, and the migrator's URL for SQLAlchemy."""
    name = f"shop_migrations_{uuid4().hex[:10]}"
    server.execute(f"CREATE DATABASE {name}")
    server.execute(ROLES_SQL.read_text(), name)
    yield name, sqlalchemy_url(server.url(name, "shop_migrator"))
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def tables(server: Server, name: str) -> set[str]:
    """The tables in schema public."""
    with psycopg.connect(server.url(name)) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {table for (table,) in found}
