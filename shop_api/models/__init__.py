"""The tables, one noun per file, no behaviour. Importing this package registers all of them."""

from shop_api.models.api_key import api_keys
from shop_api.models.audit_entry import audit_entries
from shop_api.models.base import PLATFORM_TABLES, metadata
from shop_api.models.category import MAX_CATEGORY_LEVELS, categories, category_tree_lock
from shop_api.models.customer import MAX_ADDRESSES, customer_addresses, customers
from shop_api.models.event import events, spine_cursors
from shop_api.models.fulfillment import fulfillment_lines, fulfillments, return_lines, returns
from shop_api.models.idempotency_record import idempotency_records
from shop_api.models.invitation import invitations
from shop_api.models.job import job_files, job_rejects, jobs
from shop_api.models.lake import (
    lake_outages,
    lake_partitions,
    lake_quarantine,
    lake_snapshots,
    pipeline_run_shares,
    pipeline_runs,
)
from shop_api.models.notification import notices, notifications
from shop_api.models.order import order_lines, orders
from shop_api.models.payment import payment_callbacks, payments
from shop_api.models.pricing import (
    discounts,
    exchange_rates,
    order_discounts,
    shipping_rates,
    tax_rates,
)
from shop_api.models.product import (
    MAX_IMAGES,
    product_categories,
    product_images,
    product_stats,
    products,
)
from shop_api.models.refresh_token import refresh_tokens
from shop_api.models.refund import refund_lines, refund_payments, refunds
from shop_api.models.report import report_files, reports
from shop_api.models.session import sessions
from shop_api.models.stock import locations, stock_levels, stock_movements
from shop_api.models.tenant import tenant_counters, tenants
from shop_api.models.usage import api_usage
from shop_api.models.user import users
from shop_api.models.variant import variants
from shop_api.models.webhook import webhook_attempts, webhook_deliveries, webhook_endpoints

__all__ = [
    "MAX_ADDRESSES",
    "MAX_CATEGORY_LEVELS",
    "MAX_IMAGES",
    "PLATFORM_TABLES",
    "api_keys",
    "api_usage",
    "audit_entries",
    "categories",
    "category_tree_lock",
    "customer_addresses",
    "customers",
    "discounts",
    "events",
    "exchange_rates",
    "fulfillment_lines",
    "fulfillments",
    "idempotency_records",
    "invitations",
    "job_files",
    "job_rejects",
    "jobs",
    "lake_outages",
    "lake_partitions",
    "lake_quarantine",
    "lake_snapshots",
    "locations",
    "metadata",
    "notices",
    "notifications",
    "order_discounts",
    "order_lines",
    "orders",
    "payment_callbacks",
    "payments",
    "pipeline_run_shares",
    "pipeline_runs",
    "product_categories",
    "product_images",
    "product_stats",
    "products",
    "refresh_tokens",
    "refund_lines",
    "refund_payments",
    "refunds",
    "report_files",
    "reports",
    "return_lines",
    "returns",
    "sessions",
    "shipping_rates",
    "spine_cursors",
    "stock_levels",
    "stock_movements",
    "tax_rates",
    "tenant_counters",
    "tenants",
    "users",
    "variants",
    "webhook_attempts",
    "webhook_deliveries",
    "webhook_endpoints",
]
