"""What imports and jobs refuse."""

from shop_api.kernel.errors import DomainError, ErrorKind, FieldError, conflict, invalid


def job_finished(state: str) -> DomainError:
    """A finished job cannot be cancelled."""
    return conflict("job_finished", f"The job is {state}; only a queued or running one stops.")


def only_of_json(parameter: str) -> DomainError:
    """A page asked of a form that has none."""
    detail = "Only JSON comes in pages: NDJSON and CSV hold all errors."
    return DomainError(
        ErrorKind.MALFORMED, "invalid_parameter", detail, [FieldError(parameter, detail)]
    )


def bad_file(detail: str) -> DomainError:
    """A file that was sent and cannot be used, or one that is missing."""
    return invalid("invalid_import_file", detail, "/files")


def preset_or_mapping(*, is_missing: bool) -> DomainError:
    """Neither or both were given."""
    wanted = "Send the query parameter `preset` or the part `mapping`"
    return invalid(
        "preset_or_mapping", f"{wanted}: neither was." if is_missing else f"{wanted}, not both."
    )
