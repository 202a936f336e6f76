"""Variants as they are now: what is stocked and sold."""

from analytics.contracts.contract import Column, Contract

DIM_VARIANTS = Contract(
    name="dim_variants",
    grain="one variant",
    source="variants, products",
    key=("variant_id",),
    # a changed product's variants are replaced together
    file_key="product_id",
    period_source=None,
    columns=(
        Column("variant_id", "text", "The variant."),
        Column("product_id", "text", "Its product."),
        Column("title", "text", "Its title within the product."),
        Column(
            "sku", "text", "Its stock keeping unit, or its product's, if any.", is_nullable=True
        ),
        Column("cost", "money", "Its cost, or its product's, where known.", "currency", True),
        Column("currency", "text", "ISO 4217 currency of its cost."),
        Column("created_at", "instant", "When it came into the catalogue."),
    ),
)
