"""The second wall between tenants: no connection to tenant tables without naming the tenant.

Belongs here: transactions bound to one tenant by row-level security. Does not: queries
(repositories) and events (spine).
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Executable, Result
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.round_trips import Statement, run_together

logger = logging.getLogger(__name__)

SET_TENANT = "SELECT set_config('app.tenant_id', %(tenant_id)s, true)"
# The lock is asked for in the same round trip; refused when another transaction holds it.
SET_TENANT_AND_LOCK = (
    "SELECT set_config('app.tenant_id', %(tenant_id)s, true),"
    " pg_try_advisory_xact_lock(%(lock_key)s) AS is_locked"
)

# Work of the platform itself (making tenants) is kept under this tenant, which has no row.
PLATFORM_TENANT = UUID(int=0)

# A replica that was away is tried again after this long, by one request: a connection that nobody
# answers costs its whole timeout.
REPLICA_AWAY_SECONDS = 10.0
_next_try: WeakKeyDictionary[Engine, float] = WeakKeyDictionary()


class LockTaken(Exception):
    """Another transaction holds the lock this one asked for."""


@dataclass(frozen=True, slots=True)
class TenantSession:
    """A transaction of one tenant: what a repository is built from."""

    connection: Connection
    tenant_id: UUID
    # the rows of each statement that travelled with the transaction's beginning
    first_rows: list[list[Any]] = field(default_factory=list)

    def execute(self, statement: Executable, parameters: Any = None) -> Result[*tuple[Any, ...]]:
        """Run one statement in the tenant's transaction."""
        return self.connection.execute(statement, parameters)

    def fetch(self, text: str, parameters: dict[str, Any]) -> list[Any]:
        """The rows of raw SQL, without the work SQLAlchemy does on them."""
        (rows,) = run_together(self.connection, Statement(text, parameters))
        return rows

    @contextmanager
    def as_tenant(self, tenant_id: UUID) -> "Iterator[TenantSession]":
        """The same transaction acting for another tenant: only for making one."""
        run_together(self.connection, _set_tenant(tenant_id))
        yield TenantSession(self.connection, tenant_id)
        run_together(self.connection, _set_tenant(self.tenant_id))


def _set_tenant(tenant_id: UUID, lock_key: int | None = None) -> Statement:
    if lock_key is None:
        return Statement(SET_TENANT, {"tenant_id": str(tenant_id)})
    return Statement(SET_TENANT_AND_LOCK, {"tenant_id": str(tenant_id), "lock_key": lock_key})


@contextmanager
def tenant_session(
    engine: Engine,
    tenant_id: UUID,
    lock_key: int | None = None,
    first: Sequence[Statement] = (),
) -> Iterator[TenantSession]:
    """A transaction in which row-level security shows `tenant_id`'s rows only.

    Commits when the block ends, rolls back when it raises. With `lock_key` (64-bit signed) the
    transaction holds that advisory lock, or `LockTaken` is raised at once. BEGIN, the tenant and
    the statements of `first` are one round trip.
    """
    with engine.begin() as connection:
        opening = _set_tenant(tenant_id, lock_key)
        (opened,), *first_rows = run_together(connection, opening, *first)
        if lock_key is not None and not opened.is_locked:
            raise LockTaken
        yield TenantSession(connection, tenant_id, first_rows)


@contextmanager
def read_session(primary: Engine, replica: Engine, tenant_id: UUID) -> Iterator[TenantSession]:
    """As `tenant_session`, on the replica; on the primary when the replica cannot be reached."""
    connection = None if replica is primary else _replica_connection(replica, tenant_id)
    if connection is None:
        with tenant_session(primary, tenant_id) as session:
            yield session
        return
    with connection:
        yield TenantSession(connection, tenant_id)


def _replica_connection(replica: Engine, tenant_id: UUID) -> Connection | None:
    """A connection in a transaction of the tenant; None while the replica is away.

    A pooled connection shows only at its first statement that the other end is gone.
    """
    now = time.monotonic()
    next_try = _next_try.get(replica)
    if next_try is not None:
        if next_try > now:
            return None
        _next_try[replica] = now + REPLICA_AWAY_SECONDS
    try:
        connection = replica.connect()
        try:
            run_together(connection, _set_tenant(tenant_id))
        except BaseException:
            connection.close()
            raise
    except PoolTimeoutError:
        logger.warning("all connections to the replica are in use")
        return None
    except DBAPIError as error:
        if not (isinstance(error, OperationalError) or error.connection_invalidated):
            raise
        logger.warning("the replica is away: %s", type(error.orig).__name__)
        _next_try[replica] = time.monotonic() + REPLICA_AWAY_SECONDS
        return None
    _next_try.pop(replica, None)
    return connection


class Repository:
    """The base of every repository: it cannot be built without a tenant's session."""

    def __init__(self, session: TenantSession) -> None:
        self.session = session
        self.tenant_id = session.tenant_id
