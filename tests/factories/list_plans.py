"""Every list as it may be asked for, and the index that must carry it."""

from typing import Any

from tests.factories.big_shop import (
    BUSY_CATEGORY,
    BUSY_JOB,
    BUSY_ORDER,
    BUSY_PRODUCT,
    EARLY,
    LATER,
)

BUSY = str(BUSY_PRODUCT)

# the list, its query, and the index that must carry it
LISTS: list[tuple[str, dict[str, Any], str]] = [
    ("products", {"sort": "created_at"}, "ix_products_created_at"),
    ("products", {"sort": "updated_at"}, "ix_products_updated_at"),
    ("products", {"sort": "price"}, "ix_products_price"),
    ("products", {"sort": "name"}, "ix_products_name"),
    ("products", {"sort": "total_sales"}, "ix_products_total_sales"),
    ("products", {"sort": "inventory"}, "ix_products_available_quantity"),
    ("products", {"in_stock": "true"}, "ix_products_created_at"),
    ("products", {"sort": "price", "status": "active"}, "ix_products_price"),
    ("products", {"min_price": "100", "max_price": "200", "sort": "price"}, "ix_products_price"),
    ("orders", {"sort": "placed_at"}, "ix_orders_placed_at"),
    ("orders", {"sort": "updated_at"}, "ix_orders_updated_at"),
    ("orders", {"sort": "total"}, "ix_orders_total"),
    ("orders", {"customer_id": "00000000-0000-7000-8000-000000000000"}, "ix_orders_customer_id"),
    (f"customers/{BUSY_ORDER}/orders", {}, "ix_orders_customer_id"),
    (f"orders/{BUSY_ORDER}/payments", {}, "ix_payments_order_id"),
    (f"orders/{BUSY_ORDER}/fulfillments", {}, "ix_fulfillments_order_id"),
    (f"orders/{BUSY_ORDER}/returns", {}, "ix_returns_order_id"),
    (f"orders/{BUSY_ORDER}/refunds", {}, "ix_refunds_order_id"),
    (f"orders/{BUSY_ORDER}/events", {}, "ix_events_subject"),
    ("customers", {"sort": "created_at"}, "ix_customers_created_at"),
    ("customers", {"sort": "updated_at"}, "ix_customers_updated_at"),
    ("customers", {"email": "c7@example.com"}, "uq_customers_tenant_id_email"),
    ("customers", {"external_id": "c7"}, "uq_customers_tenant_id_external_id"),
    ("customers", {"created_after": "2026-01-01T00:00:00Z"}, "ix_customers_created_at"),
    ("customers", {"search": "c7"}, "pk_customers"),
    (f"customers/{BUSY_ORDER}/addresses", {}, "ix_customer_addresses_customer_id"),
    ("categories", {"sort": "created_at"}, "ix_categories_created_at"),
    ("categories", {"sort": "name"}, "ix_categories_name"),
    ("categories", {"sort": "position"}, "ix_categories_position"),
    ("categories", {"is_active": "true"}, "ix_categories_created_at"),
    ("categories", {"is_root": "true"}, "ix_categories_roots"),
    ("categories", {"parent_id": str(BUSY_CATEGORY)}, "ix_categories_parent_id"),
    ("categories", {"slug": "c-7"}, "uq_categories_tenant_id_slug"),
    ("users", {}, "ix_users_created_at"),
    ("users", {"role": "viewer"}, "ix_users_created_at"),
    ("users", {"email": "u7@example.com"}, "uq_users_tenant_id_email"),
    ("api_keys", {}, "ix_api_keys_created_at"),
    ("invitations", {}, "ix_invitations_created_at"),
    ("audit_log", {}, "ix_audit_entries_created_at"),
    ("audit_log", {"action": "user_updated"}, "ix_audit_entries_action"),
    ("audit_log", {"actor": "user:7"}, "ix_audit_entries_actor"),
    ("audit_log", {"subject_type": "user"}, "ix_audit_entries_subject_type"),
    ("audit_log", {"subject_id": str(BUSY_ORDER)}, "ix_audit_entries_subject_id"),
    ("audit_log", {"created_after": "2026-01-01T00:00:00Z"}, "ix_audit_entries_created_at"),
    ("locations", {}, "ix_locations_created_at"),
    ("inventory", {}, "pk_stock_levels"),
    ("inventory", {"product_id": str(BUSY_ORDER)}, "ix_variants_product_id"),
    ("inventory", {"low_stock": "true"}, "ix_variants_low_stock_alert"),
    ("inventory", {"low_stock": "false"}, "pk_stock_levels"),
    ("inventory/movements", {}, "ix_stock_movements_created_at"),
    ("inventory/movements", {"variant_id": str(BUSY_ORDER)}, "ix_stock_movements_variant_id"),
    ("inventory/movements", {"order_id": str(BUSY_ORDER)}, "ix_stock_movements_order_id"),
    ("sessions", {}, "ix_sessions_opened_at"),
    ("orders", {"session_id": str(BUSY_ORDER)}, "ix_orders_session_id"),
    ("discounts", {}, "ix_discounts_created_at"),
    ("discounts", {"code": "c7"}, "uq_discounts_tenant_id_code"),
    ("tax_rates", {}, "ix_tax_rates_created_at"),
    ("shipping_rates", {}, "ix_shipping_rates_created_at"),
    ("exchange_rates", {}, "ix_exchange_rates_effective_at"),
    ("exchange_rates", {"currency": "EUR"}, "ix_exchange_rates_currency"),
    ("jobs", {}, "ix_jobs_created_at"),
    ("jobs", {"state": "succeeded"}, "ix_jobs_created_at"),
    (f"jobs/{BUSY_JOB}/errors", {}, "pk_job_rejects"),
    ("notifications", {}, "ix_notifications_created_at"),
    ("notifications", {"is_read": "false"}, "ix_notifications_unread"),
    ("notifications", {"kind": "late_pipeline"}, "ix_notifications_created_at"),
    ("notifications", {"level": "error"}, "ix_notifications_created_at"),
    ("webhook_endpoints", {}, "ix_webhook_endpoints_created_at"),
    ("webhook_deliveries", {}, "ix_webhook_deliveries_created_at"),
    ("webhook_deliveries", {"state": "failed"}, "ix_webhook_deliveries_state"),
    ("webhook_deliveries", {"event_type": "order_created"}, "ix_webhook_deliveries_event_type"),
    ("webhook_deliveries", {"endpoint_id": BUSY}, "ix_webhook_deliveries_endpoint_id"),
    ("webhook_deliveries", {"created_after": EARLY}, "ix_webhook_deliveries_created_at"),
    ("webhook_deliveries", {"created_before": LATER}, "ix_webhook_deliveries_created_at"),
    ("analytics/pipelines", {}, "pk_pipeline_run_shares"),
    ("reports", {}, "ix_reports_period_from"),
    ("reports", {"kind": "daily_sales"}, "ix_reports_period_from"),
    (f"products/{BUSY_PRODUCT}/variants", {}, "ix_variants_product_id"),
    (f"products/{BUSY_PRODUCT}/images", {}, "ix_product_images_product_id"),
    ("products", {"status": "archived"}, "ix_products_unlisted"),
    ("products", {"status": ["draft", "archived"]}, "ix_products_created_at"),
    ("products", {"external_id": "x"}, "uq_products_tenant_id_external_id"),
    ("products", {"search": "thing 7", "sort": "price"}, "pk_products"),
    ("invitations", {"is_open": "true"}, "ix_invitations_created_at"),
    ("audit_log", {"created_before": LATER}, "ix_audit_entries_created_at"),
    ("inventory", {"location_id": str(BUSY_ORDER)}, "pk_stock_levels"),
    ("inventory", {"variant_id": str(BUSY_ORDER)}, "pk_stock_levels"),
    ("inventory/movements", {"location_id": str(BUSY_ORDER)}, "ix_stock_movements_created_at"),
    ("inventory/movements", {"reason": "adjusted"}, "ix_stock_movements_created_at"),
    ("inventory/movements", {"created_after": EARLY}, "ix_stock_movements_created_at"),
    ("inventory/movements", {"created_before": LATER}, "ix_stock_movements_created_at"),
    ("sessions", {"kind": "till"}, "ix_sessions_opened_at"),
    ("sessions", {"is_open": "false"}, "ix_sessions_opened_at"),
    ("sessions", {"location_id": str(BUSY_ORDER)}, "ix_sessions_location_id"),
    ("orders", {"number": "7"}, "uq_orders_tenant_id_number"),
    ("orders", {"external_id": "x"}, "uq_orders_tenant_id_external_id"),
    ("customers", {"created_before": LATER}, "ix_customers_created_at"),
    ("customers", {"updated_after": EARLY, "sort": "updated_at"}, "ix_customers_updated_at"),
    ("customers", {"updated_before": LATER, "sort": "updated_at"}, "ix_customers_updated_at"),
    ("categories", {"is_root": "true", "is_active": "true"}, "ix_categories_roots"),
]
# with filters that leave most rows, or a row in five, each sort goes along its own index
LISTS += [
    ("products", {"sort": sort, **query}, index)
    for sort, index in (
        ("created_at", "ix_products_created_at"),
        ("updated_at", "ix_products_updated_at"),
        ("price", "ix_products_price"),
        ("name", "ix_products_name"),
        ("total_sales", "ix_products_total_sales"),
        ("inventory", "ix_products_available_quantity"),
    )
    for query in (
        {"status": "active", "in_stock": "true", "has_variants": "false"},
        {"status": ["active", "draft"], "min_price": "10", "created_after": EARLY},
        {"tags": "n2", "max_price": "900", "created_before": LATER},
        {"updated_after": EARLY, "updated_before": LATER},
        {"category": "big", "in_stock": "true"},
    )
]
LISTS += [
    (path, {"sort": sort, **query}, index)
    for sort, index in (
        ("placed_at", "ix_orders_placed_at"),
        ("updated_at", "ix_orders_updated_at"),
        ("total", "ix_orders_total"),
    )
    for query in (
        {"payment_status": "unpaid", "fulfillment_status": "unfulfilled", "channel": "web"},
        {"status": ["pending", "completed"], "placed_after": EARLY, "placed_before": LATER},
        {"updated_after": EARLY, "updated_before": LATER},
    )
    for path in ("orders",)
]
LISTS += [
    ("customers", {"sort": sort, "tags": "n7", "created_after": EARLY}, f"ix_customers_{sort}")
    for sort in ("created_at", "updated_at")
]
LISTS += [
    ("audit_log", {"action": "user_updated", "actor": "user:7"}, "ix_audit_entries_actor"),
    (
        "audit_log",
        {"subject_type": "user", "created_after": EARLY},
        "ix_audit_entries_subject_type",
    ),
    ("inventory", {"low_stock": "true", "product_id": BUSY}, "ix_variants_low_stock_alert"),
]
PRODUCT_SORTS = ("created_at", "updated_at", "price", "name", "total_sales", "inventory")
# the few rows of one subject are looked up, and then sorted
SORTED: list[tuple[str, dict[str, Any], str]] = [
    (f"customers/{BUSY_ORDER}/orders", {"sort": sort, **query}, index)
    for sort in ("placed_at", "updated_at", "total")
    for query, index in (
        ({"status": "pending", "placed_after": EARLY}, "ix_orders_customer_id"),
        ({"payment_status": "unpaid", "placed_before": LATER}, "ix_orders_customer_id"),
        ({"fulfillment_status": "unfulfilled", "channel": "web"}, "ix_orders_customer_id"),
        ({"number": "7"}, "uq_orders_tenant_id_number|ix_orders_customer_id"),
        ({"external_id": "x"}, "uq_orders_tenant_id_external_id"),
        ({"session_id": str(BUSY_ORDER)}, "ix_orders_session_id"),
        ({"updated_after": EARLY, "updated_before": LATER}, "ix_orders_customer_id"),
    )
] + [
    ("invitations", {"email": "i7@example.com"}, "pk_invitations|ix_invitations_created_at"),
    (
        "tax_rates",
        {"country": "IT"},
        "uq_tax_rates_tenant_id_country_region_tax_class_name|ix_tax_rates_created_at",
    ),
    ("audit_log", {"request_id": "request-7"}, "ix_audit_entries_request_id"),
    ("inventory", {"sku": "V-7"}, "uq_variants_tenant_id_sku"),
    ("inventory", {"sku": "P-7", "location_id": BUSY}, "uq_products_tenant_id_sku"),
    *[
        ("products", {"category": "c-7", "sort": sort}, "ix_product_categories_category_id")
        for sort in ("created_at", "name", "price")
    ],
    # there is one of these, or none, wherever it is in the sort
    *[
        ("products", {"sort": sort, **query}, index)
        for sort in PRODUCT_SORTS
        for query, index in (
            ({"in_stock": "false"}, "ix_products_flags"),
            ({"has_variants": "true"}, "ix_products_flags"),
            ({"in_stock": "false", "has_variants": "true"}, "ix_products_flags"),
            ({"in_stock": "true", "has_variants": "true"}, "ix_products_flags"),
            ({"in_stock": "false", "status": "active", "min_price": "10"}, "ix_products_flags"),
            ({"tags": "Rare one"}, "pk_products"),
            ({"tags": ["n2", "Rare one"], "in_stock": "true"}, "pk_products"),
            ({"tags": "unheard-of"}, "pk_products"),
            ({"sku": "V-7"}, "uq_variants_tenant_id_sku"),
            ({"sku": "V-7", "status": "active"}, "uq_products_tenant_id_sku"),
        )
    ],
]
