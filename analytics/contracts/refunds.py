"""Refunds: goods by order line, and what of a refund belongs to no line."""

from analytics.contracts.contract import BASE_CURRENCY, EXCHANGE_RATE, Column, Contract

REFUNDS = Contract(
    name="refunds",
    grain="one order line of one refund, and one row without line for its shipping, tax and other"
    " amounts where it has any",
    source="refunds, refund_lines, orders",
    key=("refund_id", "line_id"),
    file_key="order_id",
    period_source="placed_at",
    columns=(
        Column("refund_id", "text", "The refund."),
        Column("order_id", "text", "The order it refunds."),
        Column(
            "line_id", "text", "The order line; null on the row without line.", is_nullable=True
        ),
        Column("product_id", "text", "The line's product.", is_nullable=True),
        Column("quantity", "integer", "Units that came back.", "items"),
        Column(
            "goods_amount",
            "money",
            "Value of the goods, after discount, before tax; on the row without line, what of the"
            " refund is neither tax, nor shipping, nor told by line.",
            "currency",
        ),
        Column(
            "costed_amount",
            "money",
            "goods_amount of a line whose cost is known; else 0.",
            "currency",
        ),
        Column("tax_amount", "money", "Tax given back; on the row without line.", "currency"),
        Column(
            "shipping_amount", "money", "Shipping given back; on the row without line.", "currency"
        ),
        Column("currency", "text", "ISO 4217 currency, the order's."),
        BASE_CURRENCY,
        EXCHANGE_RATE,
        Column("channel", "text", "The order's channel."),
        Column("refunded_at", "instant", "When it was refunded."),
        Column("placed_at", "instant", "When the order was placed."),
        Column("cancelled_at", "instant", "When the order was cancelled.", is_nullable=True),
    ),
)
