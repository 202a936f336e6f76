"""What tenants refuse."""

from shop_api.kernel.errors import DomainError, conflict

CONSTRAINTS = {
    "uq_tenants_slug": conflict("slug_taken", "A tenant with this slug exists already.", "/slug"),
}


def currency_in_use(holders: list[str]) -> DomainError:
    """Something is priced in the tenant's currency already; `holders` says what."""
    return conflict(
        "currency_in_use",
        f"The currency cannot change: the tenant has {', '.join(holders)} in it.",
    )
