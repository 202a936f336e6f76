"""What pricing refuses."""

from shop_api.kernel.errors import DomainError, ErrorKind, FieldError, conflict, invalid

CONSTRAINTS = {
    "uq_discounts_tenant_id_code": conflict(
        "code_taken", "A discount with this code exists already.", "/code"
    ),
    "ck_discounts_window": invalid(
        "empty_window",
        "A discount ends after it starts: ends_at is not after starts_at.",
        "/ends_at",
    ),
    "ck_discounts_used_count": conflict(
        "usage_limit_too_low", "The discount has been used more often than this limit."
    ),
    "uq_tax_rates_tenant_id_country_region_tax_class_name": conflict(
        "tax_rate_exists", "A tax rate of this name exists for the place and tax class already."
    ),
    "uq_shipping_rates_tenant_id_name": conflict(
        "name_taken", "A shipping rate with this name exists already.", "/name"
    ),
    "uq_exchange_rates_tenant_id_currency_effective_at": conflict(
        "exchange_rate_exists",
        "The currency has a rate from this instant on already: delete that one first.",
        "/effective_at",
    ),
}


def missing_value(kind: str, name: str) -> DomainError:
    """A kind that says nothing without this value."""
    return invalid("value_missing", f"The kind {kind} needs `{name}`.", f"/{name}")


def foreign_value(kind: str, name: str) -> DomainError:
    """A value that says nothing of this kind."""
    return invalid(
        "value_of_another_kind", f"The kind {kind} takes no `{name}`: leave it out.", f"/{name}"
    )


def discount_not_found(index: int, code: str) -> DomainError:
    """No discount has the code sent."""
    return invalid(
        "discount_not_found", f"No discount has the code {code}.", f"/discount_codes/{index}"
    )


def discount_not_applicable(index: int, reason: str) -> DomainError:
    """A code that cannot be used on this order now, and why."""
    error = conflict("discount_not_applicable", reason)
    error.errors = [FieldError(f"/discount_codes/{index}", reason)]
    return error


def own_currency(currency: str) -> DomainError:
    """A rate of the shop's own currency says nothing."""
    return invalid(
        "own_currency", f"The shop sells in {currency}, whose rate is always 1.", "/currency"
    )


SHIPPING_RATE_NOT_FOUND = invalid(
    "shipping_rate_not_found", "No such shipping rate.", "/shipping_rate_id"
)


def shipping_not_applicable(reason: str) -> DomainError:
    """A shipping rate that cannot carry this order, and why."""
    return DomainError(
        ErrorKind.CONFLICT,
        "shipping_rate_not_applicable",
        reason,
        [FieldError("/shipping_rate_id", reason)],
    )
