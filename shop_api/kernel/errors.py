"""The bases of the errors that a client, or an operator, can act on; knows nothing of HTTP.

Belongs here: the kinds of error and their base classes. Does not: a particular error (its domain's
`errors.py`) and its HTTP form (`kernel/problem.py` has the status per kind).
"""

from dataclasses import dataclass, field
from enum import Enum


class ErrorKind(Enum):
    """What sort of refusal it is; one HTTP status each."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    NOT_ALLOWED = "not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    TIMED_OUT = "timed_out"
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition_failed"
    TOO_LARGE = "too_large"
    URL_TOO_LONG = "url_too_long"
    UNSUPPORTED_MEDIA = "unsupported_media"
    INVALID = "invalid"
    PRECONDITION_REQUIRED = "precondition_required"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class FieldError:
    """One refused value: `pointer` is a JSON pointer into the body, or the parameter's name."""

    pointer: str
    detail: str


@dataclass
class DomainError(Exception):
    """A refusal with a stable `code` and a sentence the client can act on."""

    kind: ErrorKind
    code: str
    detail: str
    errors: list[FieldError] = field(default_factory=list)
    retry_after_seconds: int | None = None
    # what the path takes, of NOT_ALLOWED
    allowed_methods: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class StartRefused(RuntimeError):
    """A process will not serve like this; the sentence says what an operator is to do."""


def not_found(noun: str) -> DomainError:
    """`noun` does not exist for this tenant; the same whether it is absent or another tenant's."""
    return DomainError(ErrorKind.NOT_FOUND, "not_found", f"No such {noun}.")


def invalid(code: str, detail: str, pointer: str | None = None) -> DomainError:
    """A well-formed request that the rules refuse."""
    errors = [FieldError(pointer, detail)] if pointer else []
    return DomainError(ErrorKind.INVALID, code, detail, errors)


def conflict(code: str, detail: str, pointer: str | None = None) -> DomainError:
    """The request is right, the present state refuses it."""
    errors = [FieldError(pointer, detail)] if pointer else []
    return DomainError(ErrorKind.CONFLICT, code, detail, errors)
