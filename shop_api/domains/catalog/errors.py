"""What the catalogue refuses."""

from shop_api.kernel.errors import DomainError, ErrorKind, FieldError, conflict, invalid
from shop_api.kernel.money import told_digits

SKU_TAKEN = conflict("sku_taken", "A product with this SKU exists already.", "/sku")
EXTERNAL_ID_TAKEN = conflict(
    "external_id_taken", "A product with this external_id exists already.", "/external_id"
)
PRODUCT_IN_USE = conflict(
    "product_in_use",
    "The product is on orders, and stays with them. Archive it instead: PATCH it with"
    ' {"status": "archived"}.',
)

CONSTRAINTS = {
    "uq_products_tenant_id_sku": SKU_TAKEN,
    "uq_products_tenant_id_external_id": EXTERNAL_ID_TAKEN,
    "uq_variants_tenant_id_sku": conflict(
        "sku_taken", "A variant with this SKU exists already.", "/sku"
    ),
    "fk_product_categories_tenant_id_category_id": invalid(
        "category_not_found",
        "A category of these does not exist: GET /api/v1/categories lists them.",
        "/category_ids",
    ),
    "fk_order_lines_tenant_id_product_id": PRODUCT_IN_USE,
    "fk_order_lines_tenant_id_variant_id": PRODUCT_IN_USE,
}

INVENTORY_OF_VARIANTS = invalid(
    "inventory_of_variants",
    "A product with variants has its stock in them: send `inventory` in each.",
    "/inventory",
)
SORT_NOT_ALLOWED = DomainError(
    ErrorKind.FORBIDDEN,
    "sort_not_allowed",
    "What the shop sells is not for publishable keys: they cannot sort by total_sales.",
)


def option_named_twice(pointer: str) -> DomainError:
    """A variant is told from its siblings by one value of each option."""
    return invalid(
        "option_named_twice", "An option is named twice: a variant has one value of each.", pointer
    )


def options_repeated(pointer: str) -> DomainError:
    """Variants to create that nobody could choose between."""
    return invalid(
        "options_repeated",
        "Two of the variants have the same options: each needs its own.",
        pointer,
    )


def inexact_amounts(pointers: list[str], currency: str) -> DomainError:
    """Amounts with more digits than their currency has."""
    told = f"Too many decimals: {told_digits(currency)}."
    error = invalid("inexact_amount", told)
    error.errors = [FieldError(pointer, told) for pointer in pointers]
    return error
