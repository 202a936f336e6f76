"""Customers without personal data: an id, where they are and what they ordered in all."""

from analytics.contracts.contract import Column, Contract

DIM_CUSTOMERS = Contract(
    name="dim_customers",
    grain="one customer",
    source="customers, customer_addresses, orders, refunds",
    key=("customer_id",),
    file_key="customer_id",
    period_source=None,
    columns=(
        Column("customer_id", "text", "The customer."),
        Column(
            "first_order_at",
            "instant",
            "When the first order that is not cancelled was placed; decides new or returning.",
            is_nullable=True,
        ),
        Column(
            "last_order_at",
            "instant",
            "When the last order that is not cancelled was placed.",
            is_nullable=True,
        ),
        Column("orders", "integer", "Orders not cancelled.", "orders"),
        Column(
            "net_sales",
            "money_sum",
            "gross_sales − discounts − returns of these orders, as if all were in one currency.",
            "the orders' currency",
        ),
        Column(
            "last_moved_at",
            "instant",
            "When something of any of their orders last counted under event_date: an order, its"
            " cancelling or a refund.",
            is_nullable=True,
        ),
        Column("created_at", "instant", "When the customer was first known."),
        Column("country", "text", "Country of the default shipping address.", is_nullable=True),
        Column(
            "region", "text", "Region or state of the default shipping address.", is_nullable=True
        ),
    ),
)
