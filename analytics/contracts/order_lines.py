"""Order lines: what was sold, with what a scan needs to know of the order beside it."""

from analytics.contracts.contract import BASE_CURRENCY, EXCHANGE_RATE, Column, Contract

ORDER_LINES = Contract(
    name="order_lines",
    grain="one line of an order",
    source="order_lines, orders, product_categories, categories",
    key=("line_id",),
    file_key="order_id",
    period_source="placed_at",
    columns=(
        Column("order_id", "text", "The order."),
        Column("line_id", "text", "The line."),
        Column(
            "product_id",
            "text",
            "The product; null for an imported line whose product is not in the catalogue.",
            is_nullable=True,
        ),
        Column("variant_id", "text", "The variant; null as product_id.", is_nullable=True),
        Column(
            "category_id",
            "text",
            "The product's first category by path, as in dim_products.",
            is_nullable=True,
        ),
        Column(
            "location_id",
            "text",
            "Where its stock was reserved; null where none was.",
            is_nullable=True,
        ),
        Column("quantity", "integer", "Units sold.", "items"),
        Column(
            "unit_price",
            "money",
            "Price of one unit, as charged: with its tax where the order's prices hold it.",
            "currency",
        ),
        Column("unit_cost", "money", "Cost of one unit, where known.", "currency", True),
        Column("gross_sales", "money", "unit_price × quantity, without the tax in it.", "currency"),
        Column(
            "discounts",
            "money",
            "The line's own and its share of the order's, without tax.",
            "currency",
        ),
        Column("taxes", "money", "Taxes of the line.", "currency"),
        Column("total", "money", "gross_sales − discounts + taxes.", "currency"),
        Column("currency", "text", "ISO 4217 currency of its amounts."),
        BASE_CURRENCY,
        EXCHANGE_RATE,
        Column("channel", "text", "The order's channel."),
        Column("placed_at", "instant", "When the order was placed."),
        Column("order_status", "text", "The order's status."),
        Column("cancelled_at", "instant", "When the order was cancelled.", is_nullable=True),
        Column("customer_id", "text", "Who ordered; null for a guest.", is_nullable=True),
    ),
)
