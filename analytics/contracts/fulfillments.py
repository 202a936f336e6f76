"""Fulfilments: which units of which order line left, from where and with whom.

When a parcel arrived is not recorded anywhere.
"""

from analytics.contracts.contract import Column, Contract

FULFILLMENTS = Contract(
    name="fulfillments",
    grain="one order line of one fulfilment",
    source="fulfillments, fulfillment_lines, order_lines, orders",
    key=("fulfillment_id", "line_id"),
    file_key="order_id",
    period_source="placed_at",
    columns=(
        Column("fulfillment_id", "text", "The fulfilment."),
        Column("order_id", "text", "The order."),
        Column("line_id", "text", "The order line."),
        Column(
            "product_id",
            "text",
            "The product; null as on the order line.",
            is_nullable=True,
        ),
        Column("variant_id", "text", "The variant; null as product_id.", is_nullable=True),
        Column(
            "location_id",
            "text",
            "Where its stock was reserved; null where none was.",
            is_nullable=True,
        ),
        Column("quantity", "integer", "Units handed over.", "items"),
        Column("carrier", "text", "Who carries them, where told.", is_nullable=True),
        Column("channel", "text", "The order's channel."),
        Column("placed_at", "instant", "When the order was placed."),
        Column("shipped_at", "instant", "When they were handed over."),
    ),
)
