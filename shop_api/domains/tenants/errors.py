"""What tenants refuse."""

from shop_api.kernel.errors import DomainError, conflict, invalid

CONSTRAINTS = {
    "uq_tenants_slug": conflict("slug_taken", "A tenant with this slug exists already."),
}


def currency_in_use(holders: list[str]) -> DomainError:
    """Something is priced in the tenant's currency already; `holders` says what."""
    return conflict(
        "currency_in_use",
        f"The currency cannot change: the tenant has {', '.join(holders)} in it.",
    )


def unknown_timezone(name: str) -> DomainError:
    """Not a zone of the IANA database."""
    return invalid(
        "unknown_timezone", f"`{name}` is not an IANA timezone, such as Europe/Rome.", "/timezone"
    )
