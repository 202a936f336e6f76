"""The second wall between tenants: no connection to tenant tables without naming the tenant.

Belongs here: transactions bound to one tenant by row-level security. Does not: queries
(repositories) and events (spine).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Executable, Result
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

logger = logging.getLogger(__name__)

SET_TENANT = "SELECT set_config('app.tenant_id', %s, true)"
# The lock is asked for in the same round trip; refused when another transaction holds it.
SET_TENANT_AND_LOCK = "SELECT set_config('app.tenant_id', %s, true), pg_try_advisory_xact_lock(%s)"

# Work of the platform itself (making tenants) is kept under this tenant, which has no row.
PLATFORM_TENANT = UUID(int=0)


class LockTaken(Exception):
    """Another transaction holds the lock this one asked for."""


@dataclass(frozen=True, slots=True)
class TenantSession:
    """A transaction of one tenant: what a repository is built from."""

    connection: Connection
    tenant_id: UUID

    def execute(self, statement: Executable, parameters: Any = None) -> Result[*tuple[Any, ...]]:
        """Run one statement in the tenant's transaction."""
        return self.connection.execute(statement, parameters)

    @contextmanager
    def as_tenant(self, tenant_id: UUID) -> "Iterator[TenantSession]":
        """The same transaction acting for another tenant: only for making one."""
        self.connection.exec_driver_sql(SET_TENANT, (str(tenant_id),))
        yield TenantSession(self.connection, tenant_id)
        self.connection.exec_driver_sql(SET_TENANT, (str(self.tenant_id),))


@contextmanager
def tenant_session(
    engine: Engine, tenant_id: UUID, lock_key: int | None = None
) -> Iterator[TenantSession]:
    """A transaction in which row-level security shows `tenant_id`'s rows only.

    Commits when the block ends, rolls back when it raises. With `lock_key` (64-bit signed) the
    transaction holds that advisory lock, or `LockTaken` is raised at once.
    """
    with engine.begin() as connection:
        if lock_key is None:
            connection.exec_driver_sql(SET_TENANT, (str(tenant_id),))
        else:
            result = connection.exec_driver_sql(SET_TENANT_AND_LOCK, (str(tenant_id), lock_key))
            if not result.one()[1]:
                raise LockTaken
        yield TenantSession(connection, tenant_id)


@contextmanager
def read_session(primary: Engine, replica: Engine, tenant_id: UUID) -> Iterator[TenantSession]:
    """As `tenant_session`, on the replica; on the primary when the replica cannot be reached."""
    connection = None
    if replica is not primary:
        try:
            connection = replica.connect()
        except (OperationalError, PoolTimeoutError) as error:
            logger.warning("the replica is away: %s", type(error).__name__)
    if connection is None:
        with tenant_session(primary, tenant_id) as session:
            yield session
        return
    with connection, connection.begin():
        connection.exec_driver_sql(SET_TENANT, (str(tenant_id),))
        yield TenantSession(connection, tenant_id)


class Repository:
    """The base of every repository: it cannot be built without a tenant's session."""

    def __init__(self, session: TenantSession) -> None:
        self.session = session
        self.tenant_id = session.tenant_id
