"""Orders: one row per order, in its present state."""

from analytics.contracts.contract import BASE_CURRENCY, EXCHANGE_RATE, Column, Contract

ORDERS = Contract(
    name="orders",
    grain="one order",
    source="orders, order_lines (units), refunds",
    key=("order_id",),
    file_key="order_id",
    period_source="placed_at",
    columns=(
        Column("order_id", "text", "The order."),
        Column("number", "integer", "Its number, counted per tenant."),
        Column("customer_id", "text", "Who ordered; null for a guest.", is_nullable=True),
        Column("status", "text", "pending, processing, completed or cancelled."),
        Column(
            "payment_status",
            "text",
            "unpaid, authorized, partially_paid, paid, partially_refunded or refunded.",
        ),
        Column("fulfillment_status", "text", "unfulfilled, partial, fulfilled or returned."),
        Column("channel", "text", "Where it was sold: web, pos, …"),
        Column("currency", "text", "ISO 4217 currency of its amounts."),
        BASE_CURRENCY,
        EXCHANGE_RATE,
        Column("placed_at", "instant", "When it was placed."),
        Column("completed_at", "instant", "When it was completed.", is_nullable=True),
        Column(
            "cancelled_at",
            "instant",
            "When it was cancelled; set exactly on cancelled orders.",
            is_nullable=True,
        ),
        Column(
            "gross_sales",
            "money",
            "Σ gross_sales of its lines: Σ unit price × quantity, without tax.",
            "currency",
        ),
        Column(
            "discounts",
            "money",
            "Line discounts and allocated order discounts, without tax.",
            "currency",
        ),
        Column("shipping", "money", "Shipping as charged, without tax.", "currency"),
        Column("taxes", "money", "Taxes as charged.", "currency"),
        Column("total", "money", "gross_sales − discounts + shipping + taxes.", "currency"),
        Column("refunded_total", "money", "Σ of its refunds, tax and shipping too.", "currency"),
        Column("units", "integer", "Σ quantity of its lines.", "items"),
        Column(
            "cost_of_goods",
            "money_sum",
            "Σ unit_cost × quantity of its lines whose cost is known.",
            "currency",
        ),
        Column(
            "costed_sales",
            "money",
            "gross_sales − discounts of its lines whose cost is known.",
            "currency",
        ),
        Column("country", "text", "Country it is shipped to.", is_nullable=True),
        Column("region", "text", "Region or state it is shipped to.", is_nullable=True),
    ),
)
