"""Discounts: what each took off which order line, and what off the shipping."""

from analytics.contracts.contract import BASE_CURRENCY, EXCHANGE_RATE, Column, Contract

DISCOUNTS = Contract(
    name="discounts",
    grain="one discount on one order line; one row without line for a discount of an order that"
    " took nothing off its goods",
    source="order_discounts, order_lines, orders",
    key=("order_discount_id", "line_id"),
    file_key="order_id",
    period_source="placed_at",
    columns=(
        Column(
            "order_discount_id",
            "text",
            "The discount on this order; null on what an imported order line was reduced by, which"
            " names no discount.",
            is_nullable=True,
        ),
        Column("order_id", "text", "The order."),
        Column("line_id", "text", "The order line; null on a row without one.", is_nullable=True),
        Column("product_id", "text", "The line's product.", is_nullable=True),
        Column(
            "discount_id",
            "text",
            "The discount; null where it names none or was deleted.",
            is_nullable=True,
        ),
        Column("code", "text", "Its code; null of one that applies by itself.", is_nullable=True),
        Column("title", "text", "Its title, as it was then.", is_nullable=True),
        Column("kind", "text", "percentage, fixed or free_shipping.", is_nullable=True),
        Column(
            "amount",
            "money",
            "What it took off the line, without tax: Σ of a line is its `discounts`.",
            "currency",
        ),
        Column(
            "shipping_amount",
            "money",
            "What it took off the shipping, as that was to be charged; on a row without line.",
            "currency",
        ),
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
