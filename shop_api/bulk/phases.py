"""The phases of an import: which tables, which columns, which events.

Belongs here: the phases as data for the loader. Does not: running them (loader.py). A column is
compared, and updated, only when the mapping fills it: what the file does not speak of stays.
"""

from shop_api.bulk.fields import ADDRESS_PARTS, ENTITIES, SEO_PARTS, Mapped
from shop_api.bulk.loader import CATEGORY_BATCH_ROWS, IN_BATCH, TIMES, Guard, Phase, TableLoad
from shop_api.spine.notifications import LOW_STOCK

# everything an entity has, for rows that come from no mapping
ALL_FIELDS: Mapped = {name: frozenset(entity.fields) for name, entity in ENTITIES.items()}

# ready column → the fields it is made of, where the names differ
_MADE_OF = {
    # paths of categories stand for both
    "name": ("name", "paths"),
    "parent_id": ("parent", "paths"),
    "seo": tuple(f"seo_{part}" for part in SEO_PARTS),
    **{part: (f"address_{part}",) for part in ADDRESS_PARTS},
    "options": tuple(f for f in ENTITIES["variants"].fields if f.startswith("option")),
}

PRODUCT_CATEGORIES = f"""
INSERT INTO product_categories (tenant_id, product_id, category_id)
SELECT %(tenant_id)s, r.id, r.category_id FROM ready_products r
WHERE {IN_BATCH} AND r.category_id IS NOT NULL ON CONFLICT DO NOTHING RETURNING product_id
"""
LISTED_CATEGORIES = f"""
INSERT INTO product_categories (tenant_id, product_id, category_id)
SELECT %(tenant_id)s, r.product_id, r.category_id FROM ready_product_categories r
WHERE {IN_BATCH} ON CONFLICT DO NOTHING RETURNING product_id
"""
# Categories that came by an import, and that the file no longer has for the product.
EXTRA_CATEGORIES = f"""
DELETE FROM product_categories t USING ready_products r, categories c
WHERE {IN_BATCH} AND r.is_existing AND t.tenant_id = %(tenant_id)s AND t.product_id = r.id
AND c.tenant_id = t.tenant_id AND c.id = t.category_id AND c.external_id IS NOT NULL
AND c.id IS DISTINCT FROM r.category_id
AND NOT EXISTS (SELECT FROM ready_product_categories s WHERE s.ordinal = r.ordinal
                AND s.product_id = r.id AND s.category_id = c.id)
RETURNING r.id
"""
STOCK = f"""
WITH level AS (
    INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity, updated_at)
    SELECT %(tenant_id)s, r.variant_id, r.location_id, r.quantity, %(now)s
    FROM ready_stock r WHERE {IN_BATCH} ON CONFLICT DO NOTHING RETURNING variant_id, location_id
), movement AS (
    INSERT INTO stock_movements (tenant_id, id, variant_id, location_id, quantity_delta,
                                 reserved_delta, reason, actor, created_at)
    SELECT %(tenant_id)s, r.id, r.variant_id, r.location_id, r.quantity, 0, 'imported', %(actor)s,
           %(now)s FROM level JOIN ready_stock r USING (variant_id, location_id)
    WHERE {IN_BATCH}
)
SELECT DISTINCT r.parent_id FROM level JOIN ready_stock r USING (variant_id, location_id)
WHERE {IN_BATCH}
"""
# That stock is low, as the inventory domain tells it: of variants whose alert was taken away, or
# lies below what there is. Orders placed meanwhile wait for the product, or were told before.
LOW_STOCK_ENDED = f"""
SELECT n.key FROM ready_variants r
JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = r.id
JOIN stock_levels s ON s.tenant_id = v.tenant_id AND s.variant_id = v.id
JOIN notifications n ON n.tenant_id = s.tenant_id AND n.resolved_at IS NULL
    AND n.key = '{LOW_STOCK}:' || s.variant_id || ':' || s.location_id
WHERE {IN_BATCH} AND r.is_existing
    AND (v.low_stock_alert IS NULL OR s.quantity - s.reserved > v.low_stock_alert)
"""
# As its new variants have it before any stock is there: the trigger finds it so, and does not write
# the product again.
FLAGS = (
    ("has_variants", "(SELECT count(*) > 1 FROM ready_variants v WHERE v.ordinal = r.ordinal)"),
    (
        "is_in_stock",
        "EXISTS (SELECT FROM ready_variants v WHERE v.ordinal = r.ordinal"
        " AND (NOT v.track_quantity OR v.allow_backorder))",
    ),
)
_EXISTING_ORDERS = f"ARRAY(SELECT r.id FROM ready_orders r WHERE {IN_BATCH} AND r.is_existing)"
# A payment or a move in the shop takes the same lock, and records its event before it lets go.
ORDER_GUARD = Guard(
    lock="SELECT FROM orders o WHERE o.tenant_id = %(tenant_id)s"
    f" AND o.id = ANY({_EXISTING_ORDERS}) ORDER BY o.id FOR UPDATE",
    changed="SELECT DISTINCT e.subject_id FROM events e WHERE e.tenant_id = %(tenant_id)s"
    f" AND e.subject_id = ANY({_EXISTING_ORDERS})",
)
_EXISTING_CUSTOMERS = _EXISTING_ORDERS.replace("ready_orders", "ready_customers")
# Who changes an address book, or erases a customer, holds the customer's row.
CUSTOMER_GUARD = Guard(
    lock="SELECT FROM customers c WHERE c.tenant_id = %(tenant_id)s"
    f" AND c.id = ANY({_EXISTING_CUSTOMERS}) ORDER BY c.id FOR UPDATE",
    changed="SELECT c.id FROM customers c WHERE c.tenant_id = %(tenant_id)s"
    f" AND c.id = ANY({_EXISTING_CUSTOMERS}) AND c.erased_at IS NOT NULL",
)
# The default ones unless the book has others.
DEFAULT_FLAGS = tuple(
    (
        flag,
        "NOT EXISTS (SELECT FROM customer_addresses a WHERE a.tenant_id = %(tenant_id)s"
        f" AND a.customer_id = r.customer_id AND a.{flag})",
    )
    for flag in ("is_default_shipping", "is_default_billing")
)
# Lines that the file no longer has.
EXTRA_LINES = f"""
DELETE FROM order_lines l USING ready_orders r
WHERE {IN_BATCH} AND r.is_existing AND l.tenant_id = %(tenant_id)s AND l.order_id = r.id
AND NOT EXISTS (SELECT FROM ready_order_lines s
                WHERE s.ordinal = r.ordinal AND s.order_id = r.id AND s.position = l.position)
RETURNING r.id
"""
# Payments, refunds and their goods that the file no longer has: the order's amounts speak of those
# it has. What was not imported has no external_id, and its order is not touched anyway.
EXTRA_PAYMENTS, EXTRA_REFUNDS = (
    f"""
DELETE FROM {table} t USING ready_orders r
WHERE {IN_BATCH} AND r.is_existing AND t.tenant_id = %(tenant_id)s AND t.order_id = r.id
AND t.external_id IS NOT NULL
AND NOT EXISTS (SELECT FROM ready_{table} s WHERE s.ordinal = r.ordinal AND s.id = t.id)
RETURNING r.id
"""
    for table in ("payments", "refunds")
)
EXTRA_REFUND_LINES = f"""
DELETE FROM refund_lines l USING ready_refunds r
WHERE {IN_BATCH} AND r.is_existing AND l.tenant_id = %(tenant_id)s AND l.refund_id = r.id
AND NOT EXISTS (SELECT FROM ready_refund_lines s WHERE s.ordinal = r.ordinal AND s.refund_id = r.id
                AND s.order_line_id = l.order_line_id)
RETURNING r.order_id
"""


def _compared(mapped: Mapped, entity: str, *columns: str) -> tuple[str, ...]:
    known = mapped.get(entity, frozenset())
    return tuple(c for c in columns if known.intersection(_MADE_OF.get(c, (c,))))


def categories_phase(mapped: Mapped) -> Phase:
    """Categories: one batch, so that children and parents go in together."""
    columns = ("name", "parent_id", "position", "is_active")
    head = TableLoad(
        "categories",
        ("id", "external_id", "slug", *columns),
        _compared(mapped, "categories", *columns),
        TIMES,
    )
    return Phase("categories", "category", head, batch_rows=CATEGORY_BATCH_ROWS)


def products_phase(mapped: Mapped) -> Phase:
    """Products with their variants, images, categories and first stock."""
    own: tuple[str, ...] = (
        "name",
        "description",
        "sku",
        "price",
        "compare_price",
        "cost_price",
        "currency",
    )
    own += ("status", "tags", "seo")
    variant: tuple[str, ...] = (
        "title",
        "sku",
        "price",
        "cost_price",
        "options",
        "position",
        "track_quantity",
    )
    variant += ("allow_backorder", "low_stock_alert", "weight_grams")
    images = TableLoad(
        "product_images",
        ("id", "product_id", "url", "alt_text", "position"),
        ("position", *_compared(mapped, "images", "alt_text")),
        TIMES,
    )
    has_list = "categories" in mapped.get("products", ())
    return Phase(
        "products",
        "product",
        TableLoad(
            "products",
            ("id", "external_id", *own),
            _compared(mapped, "products", *own),
            (*TIMES, *FLAGS),
        ),
        (
            TableLoad(
                "variants",
                ("id", "external_id", "product_id", *variant),
                _compared(mapped, "variants", *variant),
                TIMES,
            ),
            *((images,) if "images" in mapped else ()),
        ),
        (PRODUCT_CATEGORIES, *((LISTED_CATEGORIES,) if has_list else ()), STOCK),
        (EXTRA_CATEGORIES,) if has_list else (),
        ended=LOW_STOCK_ENDED if "low_stock_alert" in mapped.get("variants", ()) else None,
    )


def customers_phase(mapped: Mapped) -> Phase:
    """Customers, each with the address of the file in its book."""
    own: tuple[str, ...] = ("email", "first_name", "last_name", "phone", "tags")
    head = TableLoad(
        "customers", ("id", "external_id", *own), _compared(mapped, "customers", *own), TIMES
    )
    address = TableLoad(
        "customer_addresses",
        ("id", "customer_id", *ADDRESS_PARTS),
        _compared(mapped, "customers", *ADDRESS_PARTS),
        (*TIMES, *DEFAULT_FLAGS),
    )
    return Phase("customers", "customer", head, (address,), guard=CUSTOMER_GUARD)


def orders_phase(mapped: Mapped) -> Phase:
    """Orders with their lines, payments and refunds."""
    amounts = ("subtotal", "discount_total", "shipping_total", "tax_total", "total")
    own: tuple[str, ...] = (
        "customer_id",
        "status",
        "payment_status",
        "fulfillment_status",
        "channel",
        "currency",
        "base_currency",
        "exchange_rate",
    )
    own += (*amounts, "paid_total", "refunded_total", "shipping_address", "note")
    own += ("placed_at", "completed_at", "cancelled_at")
    line: tuple[str, ...] = (
        "product_id",
        "variant_id",
        "title",
        "sku",
        "quantity",
        "unit_price",
        "unit_cost",
    )
    line += ("subtotal", "discount_total", "tax_total", "total", "external_id")
    # the title and SKU of a line are those of the day it was sold
    kept = {"title", "sku"} - mapped.get("order_lines", frozenset())
    payment = ("provider", "method", "status", "amount", "currency", "reference", "created_at")
    refund = ("amount", "shipping_amount", "tax_amount", "currency", "reason", "created_at")
    number = ("number", "%(first_number)s + r.new_ordinal")
    refund_line = ("quantity", "amount")
    return Phase(
        "orders",
        "order",
        TableLoad("orders", ("id", "external_id", *own), own, (*TIMES, number)),
        (
            TableLoad(
                "order_lines",
                ("id", "order_id", "position", *line),
                tuple(c for c in line if c not in kept),
            ),
            TableLoad("payments", ("id", "order_id", "external_id", *payment), payment),
            TableLoad("refunds", ("id", "order_id", "external_id", *refund), refund),
            TableLoad(
                "refund_lines", ("id", "refund_id", "order_line_id", *refund_line), refund_line
            ),
        ),
        repairs=(EXTRA_LINES, EXTRA_PAYMENTS, EXTRA_REFUNDS, EXTRA_REFUND_LINES),
        guard=ORDER_GUARD,
    )
