"""What edits of many products refuse."""

from collections.abc import Mapping

from shop_api.kernel.errors import DomainError, ErrorKind, FieldError, invalid
from shop_api.kernel.etag import why_no_match


def version_changed(if_match: str) -> DomainError:
    """The tag of an item is not of the product's version."""
    return DomainError(
        ErrorKind.PRECONDITION_FAILED,
        "precondition_failed",
        why_no_match(if_match, "if_match", "product"),
    )


def category_not_found(position: int) -> DomainError:
    """A category of an item does not exist."""
    return invalid("category_not_found", "A category does not exist.", f"/category_ids/{position}")


def items_refused(collection: str, refusals: Mapping[int, DomainError]) -> DomainError:
    """All or nothing was asked for, and these items, by their position, cannot be done."""
    error = invalid(
        "items_refused",
        f"{len(refusals)} of the products cannot be done, so none was. Mend them, or send"
        " atomic=false to do the others.",
    )
    for index, refusal in sorted(refusals.items()):
        pointer = f"/{collection}/{index}"
        error.errors += [
            FieldError(pointer + field.pointer, field.detail) for field in refusal.errors
        ] or [FieldError(pointer, refusal.detail)]
    return error
