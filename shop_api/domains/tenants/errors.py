"""What tenants refuse."""

from shop_api.kernel.errors import DomainError, conflict, invalid

CONSTRAINTS = {
    "uq_tenants_slug": conflict("slug_taken", "A tenant with this slug exists already."),
}


def unknown_timezone(name: str) -> DomainError:
    """Not a zone of the IANA database."""
    return invalid(
        "unknown_timezone", f"`{name}` is not an IANA timezone, such as Europe/Rome.", "/timezone"
    )
