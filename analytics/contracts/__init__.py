"""What every table of the lake holds: one file per table, each column described once.

Belongs here: names, types, units, meaning, grain and source. Does not: writing the tables
(pipelines) and reading them (lake.py, engine.py).
"""

from analytics.contracts.api_usage import API_USAGE
from analytics.contracts.contract import PERIOD, TENANT_ID, Column, Contract
from analytics.contracts.daily_sales import DAILY_SALES
from analytics.contracts.dim_customers import DIM_CUSTOMERS
from analytics.contracts.dim_products import DIM_PRODUCTS
from analytics.contracts.dim_variants import DIM_VARIANTS
from analytics.contracts.discounts import DISCOUNTS
from analytics.contracts.exchange_rates import EXCHANGE_RATES
from analytics.contracts.fulfillments import FULFILLMENTS
from analytics.contracts.inventory_movements import INVENTORY_MOVEMENTS
from analytics.contracts.order_lines import ORDER_LINES
from analytics.contracts.orders import ORDERS
from analytics.contracts.payments import PAYMENTS
from analytics.contracts.refunds import REFUNDS
from analytics.contracts.stock_levels import STOCK_LEVELS
from analytics.contracts.taxes import TAXES
from analytics.contracts.traffic_events import TRAFFIC_EVENTS

# In the order they are written.
CONTRACTS: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        ORDERS,
        ORDER_LINES,
        PAYMENTS,
        REFUNDS,
        FULFILLMENTS,
        DISCOUNTS,
        TAXES,
        DAILY_SALES,
        INVENTORY_MOVEMENTS,
        STOCK_LEVELS,
        DIM_PRODUCTS,
        DIM_VARIANTS,
        DIM_CUSTOMERS,
        EXCHANGE_RATES,
        API_USAGE,
        TRAFFIC_EVENTS,
    )
}

__all__ = [
    "API_USAGE",
    "CONTRACTS",
    "DAILY_SALES",
    "DIM_CUSTOMERS",
    "DIM_PRODUCTS",
    "DIM_VARIANTS",
    "DISCOUNTS",
    "EXCHANGE_RATES",
    "FULFILLMENTS",
    "INVENTORY_MOVEMENTS",
    "ORDERS",
    "ORDER_LINES",
    "PAYMENTS",
    "PERIOD",
    "REFUNDS",
    "STOCK_LEVELS",
    "TAXES",
    "TENANT_ID",
    "TRAFFIC_EVENTS",
    "Column",
    "Contract",
]
