"""What variants refuse."""

from shop_api.kernel.errors import conflict

MAX_VARIANTS = 100

LAST_VARIANT = conflict(
    "last_variant", "A product keeps one variant: delete the product, or add another one first."
)
VARIANT_IN_USE = conflict(
    "variant_in_use", "The variant is on orders, and stays with them. Its product can be archived."
)
OPTIONS_TAKEN = conflict(
    "options_taken", "Another variant of the product has these options: change one of them."
)
TOO_MANY_VARIANTS = conflict(
    "too_many_variants",
    f"A product has at most {MAX_VARIANTS} variants: make another product of the rest.",
)

CONSTRAINTS = {
    "uq_variants_tenant_id_external_id": conflict(
        "external_id_taken", "A variant with this external_id exists already.", "/external_id"
    ),
}
