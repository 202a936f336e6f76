"""What insights refuse."""

from shop_api.kernel.errors import DomainError, ErrorKind, FieldError

FIRST_EXPORT_SECONDS = 5
RETRY_SECONDS = 1
# by then somebody has seen to it
DAMAGED_SECONDS = 600


def lake_not_ready() -> DomainError:
    """Nothing was ever published: a new installation."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "lake_not_ready",
        "The first export to the lake is not published yet. Try again shortly.",
        retry_after_seconds=FIRST_EXPORT_SECONDS,
    )


def lake_outdated() -> DomainError:
    """The lake was written by an earlier release, without what is asked."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "lake_outdated",
        "The lake is being brought up to this release. Try again shortly.",
        retry_after_seconds=FIRST_EXPORT_SECONDS,
    )


def lake_damaged() -> DomainError:
    """A file of the tenant is not what was written to it; no other snapshot has another."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "lake_damaged",
        "A part of the shop's figures cannot be read and has to be made anew. Its orders are safe:"
        " tell the operator, or try again later.",
        retry_after_seconds=DAMAGED_SECONDS,
    )


def deadline_exceeded() -> DomainError:
    """The figures took longer than a request may run."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "deadline_exceeded",
        "The figures took too long. Ask for a shorter period, or try again.",
        retry_after_seconds=RETRY_SECONDS,
    )


def query_too_large() -> DomainError:
    """The figures need more memory than this process may use."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "query_too_large",
        "The figures need more memory than is allowed now. Ask for a shorter period, or try again.",
        retry_after_seconds=RETRY_SECONDS,
    )


def snapshot_gone() -> DomainError:
    """The snapshot this process still held is so old that its files are deleted."""
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "snapshot_gone",
        "The lake has moved on from the figures that were asked. Try again.",
        retry_after_seconds=RETRY_SECONDS,
    )


def named_snapshot_gone(snapshot_id: int) -> DomainError:
    """A snapshot asked for by its id whose files are deleted."""
    detail = (
        f"Nothing can be read of snapshot {snapshot_id} any more: an hour after newer ones took its"
        " place its files are deleted. Ask for the figures anew, and open those."
    )
    return DomainError(ErrorKind.INVALID, "snapshot_gone", detail, [FieldError("snapshot", detail)])


def no_such_snapshot(snapshot_id: int, newest_id: int) -> DomainError:
    """A snapshot asked for by its id that was never published."""
    detail = (
        f"There is no snapshot {snapshot_id}: the newest is {newest_id}. Take the id of an answer's"
        " `snapshot`, or leave it out."
    )
    return DomainError(
        ErrorKind.INVALID, "snapshot_not_found", detail, [FieldError("snapshot", detail)]
    )


def invalid_parameter(parameter: str, detail: str) -> DomainError:
    """A parameter that is well-formed and still cannot be answered for."""
    sentence = f"{detail[0].upper()}{detail[1:]}."
    return DomainError(
        ErrorKind.MALFORMED, "invalid_parameter", sentence, [FieldError(parameter, sentence)]
    )


def invalid_field(pointer: str, detail: str) -> DomainError:
    """A field of a question's body that is well-formed and still cannot be answered for."""
    sentence = f"{detail[0].upper()}{detail[1:]}."
    return DomainError(
        ErrorKind.INVALID,
        "validation_failed",
        f"The question cannot be answered: {detail}.",
        [FieldError(f"/{pointer}", sentence)],
    )


def unanswerable(pointer: str, detail: str) -> DomainError:
    """A question of known names that no figures answer."""
    sentence = f"{detail[0].upper()}{detail[1:]}."
    return DomainError(
        ErrorKind.INVALID,
        "unanswerable",
        f"No figures answer this: {detail}.",
        [FieldError(pointer, sentence)],
    )
