"""From a constraint Postgres refused to the error a client can act on.

Belongs here: the lookup by constraint name. Does not: the sentences (each domain's `errors.py`
registers its own).
"""

import psycopg
from sqlalchemy.exc import DBAPIError

from shop_api.kernel.errors import DomainError, ErrorKind

# constraint name → the error it stands for; filled by the domains, read-only afterwards
_registered: dict[str, DomainError] = {}


def register_constraints(errors: dict[str, DomainError]) -> None:
    """Say what a violation of each named constraint means."""
    _registered.update(errors)


def registered_constraints() -> frozenset[str]:
    """The constraints that have a sentence."""
    return frozenset(_registered)


def violated_constraint(error: DBAPIError) -> str | None:
    """The name of the constraint an integrity violation is about."""
    origin = error.orig
    return origin.diag.constraint_name if isinstance(origin, psycopg.Error) else None


def constraint_error(error: DBAPIError) -> DomainError | None:
    """The domain error of an integrity violation; None when it is no such violation."""
    origin = error.orig
    if not isinstance(origin, psycopg.errors.IntegrityError):
        return None
    known = _registered.get(violated_constraint(error) or "")
    if known is not None:
        return DomainError(known.kind, known.code, known.detail, list(known.errors))
    if isinstance(origin, psycopg.errors.UniqueViolation):
        return DomainError(
            ErrorKind.CONFLICT,
            "already_exists",
            "Something with the same unique value exists already.",
        )
    if isinstance(origin, psycopg.errors.ForeignKeyViolation):
        return DomainError(
            ErrorKind.INVALID, "reference_not_found", "A referenced resource does not exist."
        )
    return DomainError(ErrorKind.INVALID, "value_not_allowed", "A value breaks a rule of the data.")
