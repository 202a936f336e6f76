"""The second wall between tenants: no connection to tenant tables without naming the tenant.

Belongs here: transactions bound to one tenant by row-level security. Does not: queries
(repositories) and events (spine).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from uuid import UUID

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, Engine, Executable, Result
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.outages import describe
from shop_api.db.replica import Replica
from shop_api.db.round_trips import Statement, read_alone, run_together

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

SET_TENANT = "SELECT set_config('app.tenant_id', %(tenant_id)s, true)"
# The lock is asked for in the same round trip; refused when another transaction holds it.
SET_TENANT_AND_LOCK = (
    "SELECT set_config('app.tenant_id', %(tenant_id)s, true),"
    " pg_try_advisory_xact_lock(%(lock_key)s) AS is_locked"
)

# Work of the platform itself (on tenants) is kept under this tenant, which has no row.
PLATFORM_TENANT = UUID(int=0)


class LockTaken(Exception):
    """Another transaction holds the lock this one asked for."""


class TenantSession:
    """A transaction of one tenant: what a repository is built from."""

    __slots__ = ("_connection", "first_rows", "tenant_id")

    def __init__(
        self,
        connection: Connection | None,
        tenant_id: UUID,
        first_rows: list[list[Any]] | None = None,
    ) -> None:
        self._connection = connection
        self.tenant_id = tenant_id
        # the rows of each statement that travelled with the transaction's beginning
        self.first_rows = first_rows or []

    @property
    def connection(self) -> Connection:
        """The connection, in the tenant's transaction."""
        if self._connection is None:
            raise RuntimeError("the session is closed")
        return self._connection

    def execute(self, statement: Executable, parameters: Any = None) -> Result[*tuple[Any, ...]]:
        """Run one statement in the tenant's transaction."""
        return self.connection.execute(statement, parameters)

    def fetch(self, text: str, parameters: dict[str, Any]) -> list[Any]:
        """The rows of raw SQL, without the work SQLAlchemy does on them."""
        (rows,) = self.fetch_together(Statement(text, parameters))
        return rows

    def fetch_together(self, *statements: Statement) -> list[list[Any]]:
        """The rows of each statement of raw SQL, all in one round trip."""
        return run_together(self.connection, *statements)

    @contextmanager
    def as_tenant(self, tenant_id: UUID) -> "Iterator[TenantSession]":
        """The same transaction acting for another tenant: for what the platform does to it."""
        run_together(self.connection, _set_tenant(tenant_id))
        yield TenantSession(self.connection, tenant_id)
        run_together(self.connection, _set_tenant(self.tenant_id))


class ReadSession(TenantSession):
    """Reads of one tenant, on the replica if there is one to read from; else on the primary.

    The transaction begins when something is executed. What is fetched before that has one of its
    own, in one round trip.
    """

    __slots__ = ("_primary", "_replica", "opened")

    def __init__(self, primary: Engine, replica: Replica | None, tenant_id: UUID) -> None:
        super().__init__(None, tenant_id)
        self._primary = primary
        self._replica = replica
        # ends the transaction that has begun
        self.opened = ExitStack()

    @property
    def connection(self) -> Connection:
        """The connection, in the tenant's transaction, which begins here if it has not."""
        if self._connection is None:
            self._connection = self.opened.enter_context(
                _read_transaction(self._primary, self._replica, self.tenant_id)
            )
        return self._connection

    def fetch(self, text: str, parameters: dict[str, Any]) -> list[Any]:
        """The rows of raw SQL, without the work SQLAlchemy does on them."""
        if self._connection is not None:
            return super().fetch(text, parameters)
        statements = (_set_tenant(self.tenant_id), Statement(text, parameters))
        replica = self._replica
        if replica is not None:
            rows = _ask_replica(replica, lambda engine: _fetch_alone(engine, statements))
            if rows is not None:
                return rows
        return _fetch_alone(self._primary, statements)


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


def run_for_tenants(
    engine: Engine, statements: Sequence[tuple[UUID, Statement]]
) -> list[list[Any]]:
    """Run each statement as its tenant, all in one transaction and one round trip; their rows.

    Row-level security holds for each of them as in `tenant_session`. For what one process writes of
    many tenants, and none of them waits for.
    """
    with engine.connect() as connection:
        both = (
            part
            for tenant_id, statement in statements
            for part in (_set_tenant(tenant_id), statement)
        )
        return run_together(connection, *both, commits=True)[1::2]


@contextmanager
def read_session(
    primary: Engine, replica: Replica | None, tenant_id: UUID
) -> Iterator[TenantSession]:
    """As `tenant_session`, for reads: see `ReadSession`."""
    session = ReadSession(primary, replica, tenant_id)
    with session.opened:
        yield session


@contextmanager
def _read_transaction(
    primary: Engine, replica: Replica | None, tenant_id: UUID
) -> Iterator[Connection]:
    connection = None
    if replica is not None:
        connection = _ask_replica(replica, lambda engine: _begin_on(engine, tenant_id))
    if connection is None:
        with tenant_session(primary, tenant_id) as session:
            yield session.connection
        return
    with connection:
        yield connection
        # not rolled back, for psycopg then forgets all it prepared
        connection.commit()


def _begin_on(engine: Engine, tenant_id: UUID) -> Connection:
    connection = engine.connect()
    try:
        connection.begin()
        run_together(connection, _set_tenant(tenant_id))
    except BaseException:
        connection.close()
        raise
    return connection


def _fetch_alone(engine: Engine, statements: tuple[Statement, ...]) -> list[Any]:
    with engine.connect() as connection:
        return read_alone(connection, *statements)


def _ask_replica(replica: Replica, ask: Callable[[Engine], Answer]) -> Answer | None:
    """What the replica answers; None when it is away.

    A pooled connection shows only at its first statement that the other end is gone.
    """
    try:
        return ask(replica.engine)
    except PoolTimeoutError:
        logger.warning("all connections to the replica are in use")
        return None
    except DBAPIError as error:
        is_outage = isinstance(error, OperationalError) or error.connection_invalidated
        if not is_outage or isinstance(error.orig, QueryCanceled):
            raise
        logger.warning("the replica is away: %s", describe(error))
        replica.lost()
        return None


class Repository:
    """The base of every repository: it cannot be built without a tenant's session."""

    def __init__(self, session: TenantSession) -> None:
        self.session = session
        self.tenant_id = session.tenant_id
