"""Taxes: what was charged on which order line at which rate, and on the shipping.

Where several rates apply to a line, orders keep their sum, not each.
"""

from analytics.contracts.contract import BASE_CURRENCY, EXCHANGE_RATE, Column, Contract

TAXES = Contract(
    name="taxes",
    grain="one order line that is taxed, and one row without line for the shipping's tax, and for"
    " what of an imported order's tax belongs to neither",
    source="order_lines, orders",
    key=("order_id", "kind", "line_id"),
    file_key="order_id",
    period_source="placed_at",
    columns=(
        Column("order_id", "text", "The order: Σ amount of it is its `taxes`."),
        Column("kind", "text", "What is taxed: line, shipping or other."),
        Column("line_id", "text", "The order line, of that kind.", is_nullable=True),
        Column("product_id", "text", "The line's product.", is_nullable=True),
        Column(
            "rate_ratio",
            "ratio",
            "Of a line, the sum of the rates that were applied: 0.22 for 22 %.",
            is_nullable=True,
        ),
        Column(
            "taxable_amount",
            "money",
            "What it is charged on, without it: the line after discounts, or the shipping.",
            "currency",
            True,
        ),
        Column("amount", "money", "The tax as charged.", "currency"),
        Column("country", "text", "Country it is shipped to.", is_nullable=True),
        Column("region", "text", "Region or state it is shipped to.", is_nullable=True),
        Column("currency", "text", "ISO 4217 currency of its amounts."),
        BASE_CURRENCY,
        EXCHANGE_RATE,
        Column("channel", "text", "The order's channel."),
        Column("placed_at", "instant", "When the order was placed."),
        Column("order_status", "text", "The order's status."),
        Column("cancelled_at", "instant", "When the order was cancelled.", is_nullable=True),
    ),
)
