"""Payments of orders, in the period of their order."""

from analytics.contracts.contract import BASE_CURRENCY, EXCHANGE_RATE, Column, Contract

PAYMENTS = Contract(
    name="payments",
    grain="one payment of an order",
    source="payments, orders",
    key=("payment_id",),
    file_key="order_id",
    period_source="placed_at",
    columns=(
        Column("payment_id", "text", "The payment."),
        Column("order_id", "text", "The order it pays."),
        Column("method", "text", "How it was paid: cash, credit_card, bank_transfer, …"),
        Column("provider", "text", "Who took it: manual, simulated, …"),
        Column("status", "text", "authorized, captured or failed."),
        Column("amount", "money", "What was paid.", "currency"),
        Column("currency", "text", "ISO 4217 currency of the amount."),
        BASE_CURRENCY,
        EXCHANGE_RATE,
        Column("channel", "text", "The order's channel."),
        Column("created_at", "instant", "When it was made."),
        Column("placed_at", "instant", "When the order was placed."),
        Column("order_status", "text", "The order's status."),
        Column("cancelled_at", "instant", "When the order was cancelled.", is_nullable=True),
    ),
)
