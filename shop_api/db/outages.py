"""From a database that is away, slow or refusing to the error a client can act on.

Belongs here: outages and refusals of Postgres as a whole, and how logs and terminals tell of them
and of those of Redis. Does not: named constraints (constraints.py).
"""

import os
import socket

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.constraints import constraint_error
from shop_api.db.deadlines import deadline_exceeded
from shop_api.kernel.errors import DomainError, ErrorKind

RETRY_SECONDS = 1

UNKNOWN_HOST = "the host's name is not known"
# What libpq and psycopg say of a connection that was not made, and what is told of it. Postgres's
# own part comes in the language of its lc_messages: the class alone is told of others.
CONNECTION_FAILURES = (
    ("failed to resolve host", UNKNOWN_HOST),
    ("Connection refused", "nothing listens there"),
    ("No such file or directory", "there is no such socket or file"),
    ("password authentication failed", "the password is not accepted"),
    ("no password supplied", "it asks for a password"),
    ("no pg_hba.conf entry", "it does not let in this user from here"),
    ("does not exist", "it has no such database or role"),
    ("too many", "it has no connection left"),
    ("remaining connection slots", "it has no connection left"),
    ("the database system is", "it starts, stops or recovers"),
    ("certificate", "one of both does not accept the other's certificate"),
    ("closed the connection", "it closed the connection"),
    ("invalid connection option", "the URL has an option that there is not"),
    ("invalid URI query parameter", "the URL has an option that there is not"),
)


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


def describe(error: BaseException) -> str:
    """A failure of Postgres or Redis for logs and terminals: what it is, never its own sentence.

    That may quote values and, of a URL that is misspelt, a part of the password.
    """
    if isinstance(error, PoolTimeoutError):
        return "no connection came free in time"
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    name = type(origin).__name__
    if not isinstance(origin, psycopg.Error):
        reason = _reason_of_system(origin)
    elif origin.sqlstate:
        return " ".join(filter(None, (name, origin.sqlstate, origin.diag.constraint_name)))
    else:
        sentence = str(origin)
        reason = next((told for part, told in CONNECTION_FAILURES if part in sentence), None)
    return f"{name} ({reason})" if reason else name


def _reason_of_system(error: BaseException | None) -> str | None:
    """What the operating system said to who raised an error."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    if isinstance(error, socket.gaierror):
        return UNKNOWN_HOST
    return os.strerror(error.errno) if error is not None and error.errno else None


def _unavailable(code: str, detail: str) -> DomainError:
    return DomainError(ErrorKind.UNAVAILABLE, code, detail, retry_after_seconds=RETRY_SECONDS)
