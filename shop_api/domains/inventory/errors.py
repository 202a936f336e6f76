"""What inventory refuses."""

from uuid import UUID

from shop_api.kernel.errors import DomainError, FieldError, conflict, invalid

NO_LOCATION = "A location does not exist: GET /api/v1/locations lists them."

NAMED_TWICE = invalid(
    "level_named_twice",
    "A variant and location may be named once; without a location the default one is meant.",
    "/adjustments",
)

DEFAULT_LOCATION = conflict(
    "default_location", "The default location stays: make another one the default first."
)
LOCATION_IN_USE = conflict(
    "location_in_use",
    "Stock lies or is held there, or sessions are of it. Adjust its stock to 0 first; one that had"
    " sessions stays.",
)

CONSTRAINTS = {
    "uq_locations_tenant_id_code": conflict(
        "code_taken", "A location with this code exists already.", "/code"
    ),
    "fk_stock_levels_tenant_id_variant_id": invalid(
        "variant_not_found", "A variant does not exist.", "/adjustments"
    ),
    "fk_stock_levels_tenant_id_location_id": invalid(
        "location_not_found", NO_LOCATION, "/adjustments"
    ),
    "ck_stock_levels_quantity": conflict(
        "stock_below_zero", "Stock would go below zero: read it again."
    ),
    "ck_stock_levels_reserved": conflict(
        "stock_below_zero", "Reserved stock would go below zero: read it again."
    ),
}


def variants_not_found(unknown: dict[int, UUID]) -> DomainError:
    """Adjustments of variants that do not exist: index → what was sent."""
    error = invalid(
        "variant_not_found",
        "A variant does not exist: send the id of one of a product's `variants`, not a product's.",
    )
    error.errors = [
        FieldError(f"/adjustments/{index}/variant_id", f"No variant {variant_id}.")
        for index, variant_id in unknown.items()
    ]
    return error


def locations_not_found(unknown: dict[int, UUID]) -> DomainError:
    """Adjustments at locations that do not exist: index → what was sent."""
    error = invalid("location_not_found", NO_LOCATION)
    error.errors = [
        FieldError(f"/adjustments/{index}/location_id", f"No location {location_id}.")
        for index, location_id in unknown.items()
    ]
    return error


def unexpected_quantities(found: dict[int, int]) -> DomainError:
    """The stock is not what the caller expected: index → present quantity."""
    error = conflict(
        "unexpected_quantity",
        "Stock has changed since it was read: `errors` says to what. Count again, or expect that.",
    )
    error.errors = [
        FieldError(f"/adjustments/{index}/expected_quantity", f"The quantity is {quantity}.")
        for index, quantity in found.items()
    ]
    return error


def below_zero(short: dict[int, tuple[int, int]]) -> DomainError:
    """Adjustments that would leave less than nothing, or less than is reserved.

    `short`: index → the quantity there is, and how many of it are reserved.
    """
    error = conflict(
        "stock_below_zero",
        "Stock would go below what is reserved, or below zero: `errors` says what there is.",
    )
    error.errors = [
        FieldError(
            f"/adjustments/{index}",
            f"The quantity is {quantity}; {reserved} held for orders.",
        )
        for index, (quantity, reserved) in short.items()
    ]
    return error
