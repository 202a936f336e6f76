"""The advisory locks an import holds on its one connection.

Belongs here: taking them and giving them back. Does not: what is done meanwhile (importer.py).
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from shop_api.bulk.staging import staging_engine
from shop_api.kernel.errors import conflict
from shop_api.models import category_tree_lock

# A holder that was killed keeps its lock until the server has ended its last statement.
LOCK_WAIT_SECONDS = 10


@contextmanager
def import_session(engine: Engine, tenant_id: UUID) -> Iterator[Engine]:
    """A staging engine that holds the tenant's import lock: one import of a tenant at a time."""
    key = f"import {tenant_id}"
    with staging_engine(engine, tenant_id) as single:
        with single.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS}s'")
            try:
                connection.exec_driver_sql(
                    "SELECT pg_advisory_lock(hashtextextended(%s, 0))", (key,)
                )
            except OperationalError as error:
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                    raise
                raise conflict(
                    "import_in_progress",
                    "Another import of this tenant is running. Wait for it, or cancel its job.",
                ) from error
        try:
            yield single
        finally:
            _give_back(single, key)


@contextmanager
def tree_lock(single: Engine, tenant_id: UUID) -> Iterator[None]:
    """The lock that the API takes to move categories: what is checked holds when it is written."""
    key = category_tree_lock(tenant_id)
    with single.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (key,))
    try:
        yield
    finally:
        _give_back(single, key)


def _give_back(single: Engine, key: str) -> None:
    # a connection that broke has given the lock back already
    with contextlib.suppress(DBAPIError), single.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (key,))
