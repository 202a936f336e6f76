"""From a database that is away, slow or refusing to the error a client can act on.

Belongs here: outages and refusals of Postgres as a whole. Does not: named constraints
(constraints.py).
"""

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.constraints import constraint_error
from shop_api.db.deadlines import deadline_exceeded
from shop_api.kernel.errors import DomainError, ErrorKind

RETRY_SECONDS = 1


def outage_error(error: DBAPIError | PoolTimeoutError) -> DomainError | None:
    """The error for a database failure; None when it is a defect of ours."""
    if isinstance(error, PoolTimeoutError):
        return _unavailable(
            "database_busy", "All database connections are in use. Try again shortly."
        )
    origin = error.orig
    if isinstance(origin, psycopg.errors.QueryCanceled):
        return deadline_exceeded()
    if isinstance(origin, psycopg.errors.DataError):
        return DomainError(
            ErrorKind.INVALID, "value_not_allowed", "A value is outside what can be stored."
        )
    if isinstance(origin, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
        return DomainError(
            ErrorKind.CONFLICT,
            "concurrent_change",
            "Another request changed the same things. Try again.",
            retry_after_seconds=RETRY_SECONDS,
        )
    if isinstance(origin, psycopg.errors.IntegrityError):
        return constraint_error(error)
    if error.connection_invalidated or isinstance(
        origin, psycopg.OperationalError | psycopg.errors.InterfaceError
    ):
        return _unavailable("database_unavailable", "The database is away. Try again shortly.")
    return None


def describe(error: DBAPIError | PoolTimeoutError) -> str:
    """A database error for the log: what it is, never the values it is about."""
    if isinstance(error, PoolTimeoutError):
        return "no connection came free in time"
    origin = error.orig
    if not isinstance(origin, psycopg.Error):
        return type(error).__name__
    parts = (type(origin).__name__, origin.sqlstate, origin.diag.constraint_name)
    return " ".join(part for part in parts if part)


def _unavailable(code: str, detail: str) -> DomainError:
    return DomainError(ErrorKind.UNAVAILABLE, code, detail, retry_after_seconds=RETRY_SECONDS)
