"""Products as they are now."""

from analytics.contracts.contract import Column, Contract

DIM_PRODUCTS = Contract(
    name="dim_products",
    grain="one product",
    source="products, product_categories, categories",
    key=("product_id",),
    file_key="product_id",
    period_source=None,
    columns=(
        Column("product_id", "text", "The product."),
        Column("name", "text", "Its name."),
        Column("sku", "text", "Its stock keeping unit.", is_nullable=True),
        Column("status", "text", "draft, active or archived."),
        Column("price", "money", "Its price, which variants may override.", "currency"),
        Column("cost_price", "money", "Its cost, where known.", "currency", True),
        Column("currency", "text", "ISO 4217 currency of its prices."),
        Column("category_id", "text", "Its first category by path.", is_nullable=True),
        Column("category_name", "text", "The name of that category.", is_nullable=True),
        Column("categories", "text_list", "Names of all its categories, by path."),
        Column("created_at", "instant", "When it came into the catalogue."),
    ),
)
