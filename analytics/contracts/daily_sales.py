"""The rollup: additive measures per local day. Sums of it answer any period.

How an order counts, by basis:

- `order_date`: everything on the day the order was placed. A cancelled order leaves all measures
  but `cancelled_orders`. Refunds of the other orders count on the order's day.
- `event_date`: an order counts on the day it was placed and, when cancelled, reverses on the day it
  was cancelled, where `cancelled_orders` counts it. A refund counts on its own day; of a cancelled
  order only those before the cancelling, and these reverse with it.

So both bases have the same sum over all days. `orders` counts orders not cancelled: all orders ever
placed are `orders + cancelled_orders`; `orders` = pending + processing + completed over all days.
"""

from analytics.contracts.contract import Column, Contract

DAILY_SALES = Contract(
    name="daily_sales",
    grain="basis × local day × currency × channel",
    source="orders and refunds of the lake",
    key=("basis", "day", "currency", "channel"),
    file_key="day",
    period_source="day",
    columns=(
        Column("basis", "text", "order_date or event_date."),
        Column("day", "date", "The day in the tenant's timezone."),
        Column("currency", "text", "ISO 4217 currency of the amounts."),
        Column("channel", "text", "The orders' channel."),
        Column("timezone", "text", "The IANA timezone the days are of."),
        Column("orders", "integer", "Orders not cancelled.", "orders"),
        Column("cancelled_orders", "integer", "Orders cancelled.", "orders"),
        Column(
            "pending_orders",
            "integer",
            "Orders now pending, on the day they were placed.",
            "orders",
        ),
        Column(
            "processing_orders",
            "integer",
            "Orders now processing, on the day they were placed.",
            "orders",
        ),
        Column(
            "completed_orders",
            "integer",
            "Orders now completed, on the day they were placed.",
            "orders",
        ),
        Column("units", "integer", "Units sold, returned ones included.", "items"),
        Column("gross_sales", "money_sum", "Σ unit price × quantity, without tax.", "currency"),
        Column("discounts", "money_sum", "Discounts given.", "currency"),
        Column("returns", "money_sum", "Value of goods refunded, before tax.", "currency"),
        Column("shipping", "money_sum", "Shipping as charged, less refunded.", "currency"),
        Column("taxes", "money_sum", "Taxes as charged, less refunded.", "currency"),
        Column(
            "cost_of_goods",
            "money_sum",
            "Cost of the units sold, where known; goods that come back give none of it back.",
            "currency",
        ),
        Column(
            "costed_sales",
            "money_sum",
            "gross_sales − discounts − returns of lines whose cost is known.",
            "currency",
        ),
    ),
)
