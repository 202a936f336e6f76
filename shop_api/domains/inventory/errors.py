"""What inventory refuses."""

from shop_api.kernel.errors import DomainError, FieldError, conflict, invalid

NAMED_TWICE = invalid(
    "level_named_twice",
    "A variant and location may be named once; without a location the default one is meant.",
    "/adjustments",
)

DEFAULT_LOCATION = conflict(
    "default_location", "The default location stays: make another one the default first."
)
LOCATION_IN_USE = conflict(
    "location_in_use", "Stock lies or is held there, or sessions are of it: it stays."
)

CONSTRAINTS = {
    "uq_locations_tenant_id_code": conflict(
        "code_taken", "A location with this code exists already."
    ),
    "fk_stock_levels_tenant_id_variant_id": invalid(
        "variant_not_found", "A variant does not exist.", "/adjustments"
    ),
    "fk_stock_levels_tenant_id_location_id": invalid(
        "location_not_found", "A location does not exist.", "/adjustments"
    ),
    "ck_stock_levels_quantity": conflict("stock_below_zero", "Stock would go below zero."),
    "ck_stock_levels_reserved": conflict("stock_below_zero", "Reserved stock would go below zero."),
}


def variants_not_found(indexes: list[int]) -> DomainError:
    """Adjustments of variants that do not exist."""
    error = invalid("variant_not_found", "A variant does not exist.")
    error.errors = [
        FieldError(f"/adjustments/{index}/variant_id", "No such variant.") for index in indexes
    ]
    return error


def locations_not_found(indexes: list[int]) -> DomainError:
    """Adjustments at locations that do not exist."""
    error = invalid("location_not_found", "A location does not exist.")
    error.errors = [
        FieldError(f"/adjustments/{index}/location_id", "No such location.") for index in indexes
    ]
    return error


def unexpected_quantities(found: dict[int, int]) -> DomainError:
    """The stock is not what the caller expected: index → present quantity."""
    error = conflict("unexpected_quantity", "Stock has changed since it was read. Read it again.")
    error.errors = [
        FieldError(f"/adjustments/{index}/expected_quantity", f"The quantity is {quantity}.")
        for index, quantity in found.items()
    ]
    return error


def below_zero(indexes: list[int]) -> DomainError:
    """Adjustments that would leave less than nothing, or less than is reserved."""
    error = conflict("stock_below_zero", "Stock would go below what is reserved, or below zero.")
    error.errors = [
        FieldError(f"/adjustments/{index}", "Not enough stock to take this away.")
        for index in indexes
    ]
    return error
