"""From staged rows to rows of the tables: ids resolved, amounts computed, batches numbered.

Belongs here: the SQL that makes the `ready_…` tables. Does not: checking (checks.py) and writing
(loader.py). Every ready table has `ordinal`, which batches are cut by, `id` (the row's own, or that
of the row that is there already) and `is_existing`; the subjects' tables also have `place`, which
orders them the same way in every run over the same files.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, CursorResult

from shop_api.bulk.fields import ADDRESS_PARTS, SEO_PARTS, Mapped
from shop_api.bulk.rejects import Reject, RejectLog
from shop_api.bulk.staging import Staging
from shop_api.models import MAX_ADDRESSES, MAX_CATEGORY_LEVELS

_ADDRESS = ", ".join(f"'{part}', s.address_{part}" for part in ADDRESS_PARTS)
ADDRESS = f"NULLIF(jsonb_strip_nulls(jsonb_build_object({_ADDRESS})), '{{}}')"
# where a row is in its files, as text that sorts
PLACE = "to_char(s.file, 'FM00000') || to_char(s.row, 'FM0000000000000000000')"
TAGS = "COALESCE(string_to_array(s.tags, E'\\x1f'), '{}')"

# A slug that is another category's gets the beginning of its key's digest.
CATEGORIES = f"""
CREATE TEMP TABLE ready_categories AS
WITH named AS (
    SELECT s.*, c.id AS old_id, c.slug AS old_slug,
           COALESCE(NULLIF(trim(BOTH '-' FROM
               regexp_replace(lower(s.name), '[^a-z0-9]+', '-', 'g')), ''), 'category') AS wanted
    FROM stage_categories s LEFT JOIN categories c
        ON c.tenant_id = %(tenant_id)s AND c.external_id = s.external_id
), slugged AS (
    SELECT n.*, row_number() OVER (PARTITION BY wanted ORDER BY file, row, external_id) AS n,
           EXISTS (SELECT FROM categories c WHERE c.tenant_id = %(tenant_id)s
                   AND c.slug = n.wanted) AS is_taken
    FROM named n
)
SELECT row_number() OVER (ORDER BY s.file, s.row, s.external_id) AS ordinal, s.file, s.row,
       {PLACE} AS place, COALESCE(s.old_id, s.id) AS id, s.old_id IS NOT NULL AS is_existing,
       s.external_id, s.name, s.parent, COALESCE(p.old_id, p.id, e.id) AS parent_id, s.position,
       s.is_active, %(now)s::timestamptz AS created_at,
       COALESCE(s.old_slug, CASE WHEN s.n = 1 AND NOT s.is_taken THEN s.wanted
           ELSE s.wanted || '-' || left(md5(s.external_id), 8) END) AS slug
FROM slugged s LEFT JOIN slugged p ON p.external_id = s.parent
LEFT JOIN categories e ON e.tenant_id = %(tenant_id)s AND e.external_id = s.parent
"""
# A parent that is unknown, ancestors that form a circle, here or with what the shop has, or more of
# them than there may be; or a move that takes what lies below, in the shop, too deep.
UNROOTED_CATEGORIES = f"""
WITH RECURSIVE edges AS (
    SELECT id, parent_id, parent IS NULL AS is_root FROM ready_categories
    UNION ALL
    SELECT id, parent_id, parent_id IS NULL FROM categories c WHERE tenant_id = %(tenant_id)s
    AND NOT EXISTS (SELECT FROM ready_categories r WHERE r.id = c.id)
), rooted AS (
    SELECT id, 1 AS level FROM edges WHERE is_root
    UNION SELECT e.id, r.level + 1 FROM edges e JOIN rooted r ON e.parent_id = r.id
    WHERE r.level < {MAX_CATEGORY_LEVELS}
), above AS (
    SELECT e.parent_id AS id FROM edges e WHERE e.id NOT IN (SELECT id FROM rooted)
    AND NOT EXISTS (SELECT FROM ready_categories r WHERE r.id = e.id)
    UNION SELECT e.parent_id FROM edges e JOIN above a USING (id)
)
DELETE FROM ready_categories r WHERE id NOT IN (SELECT id FROM rooted) OR EXISTS
    (SELECT FROM above a JOIN categories c ON c.tenant_id = %(tenant_id)s AND c.id = a.id
     WHERE a.id = r.id AND c.parent_id IS DISTINCT FROM r.parent_id)
RETURNING file, row, parent, id IN (SELECT id FROM rooted) AS is_known
"""
# The parts a mapping fills; the others stay.
SEO = "jsonb_strip_nulls(jsonb_build_object({}))".format(
    ", ".join(f"'{part}', s.seo_{part}" for part in SEO_PARTS)
)
PRODUCTS = f"""
CREATE TEMP TABLE ready_products AS
SELECT row_number() OVER (ORDER BY s.file, s.row) AS ordinal, {PLACE} AS place,
       COALESCE(p.id, s.id) AS id, p.id IS NOT NULL AS is_existing, s.external_id, s.name,
       COALESCE(s.description, '') AS description, s.sku, s.price, s.compare_price, s.cost_price,
       s.currency, s.status, {TAGS} AS tags, c.id AS category_id,
       COALESCE(p.seo, '{{}}') - %(seo_parts)s::text[] || {SEO} AS seo,
       COALESCE(s.created_at, %(now)s::timestamptz) AS created_at
FROM stage_products s
LEFT JOIN products p ON p.tenant_id = %(tenant_id)s AND p.external_id = s.external_id
LEFT JOIN categories c ON c.tenant_id = %(tenant_id)s AND c.external_id = s.category;
"""
_OPTIONS = ", ".join(
    f"CASE WHEN s.option{n}_name IS NOT NULL AND s.option{n}_value IS NOT NULL THEN"
    f" jsonb_build_array(jsonb_build_object('name', s.option{n}_name, 'value', s.option{n}_value))"
    " ELSE '[]'::jsonb END"
    for n in (1, 2, 3)
).replace(", CASE", " || CASE")
# A variant that costs what its product costs has no price of its own, and follows the product's.
# A default variant is for products that have none: one made here may have its own already.
VARIANTS = f"""
CREATE TEMP TABLE ready_variants AS
SELECT p.ordinal, COALESCE(v.id, s.id) AS id, v.id IS NOT NULL AS is_existing, p.id AS parent_id,
       p.id AS product_id, s.external_id, s.title, s.sku, NULLIF(s.price, p.price) AS price,
       s.cost_price, {_OPTIONS} AS options, s.position, s.track_quantity, s.allow_backorder,
       s.low_stock_alert, s.weight_grams, p.created_at
FROM stage_variants s JOIN ready_products p ON p.external_id = s.product
LEFT JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.external_id = s.external_id
WHERE v.id IS NOT NULL OR %(has_variants)s OR NOT EXISTS
    (SELECT FROM variants o WHERE o.tenant_id = %(tenant_id)s AND o.product_id = p.id)
"""
# Stock that the shop counts already is left alone: it has moved since. Joined first and compared
# then: without statistics of what was just written, one join of all can compare each with each.
STOCK = """
CREATE TEMP TABLE ready_stock AS
WITH wanted AS MATERIALIZED (
    SELECT v.ordinal, s.part_id AS id, v.parent_id, v.id AS variant_id, l.id AS location_id,
           s.quantity
    FROM stage_stock s JOIN ready_variants v ON v.external_id = s.variant
    JOIN locations l ON l.tenant_id = %(tenant_id)s
        AND CASE WHEN s.location IS NULL THEN l.is_default ELSE l.code = s.location END
)
SELECT w.* FROM wanted w
WHERE NOT EXISTS (SELECT FROM stock_levels e WHERE e.tenant_id = %(tenant_id)s
                  AND e.variant_id = w.variant_id AND e.location_id = w.location_id)
"""
PRODUCT_CATEGORIES = """
CREATE TEMP TABLE ready_product_categories AS
SELECT r.ordinal, r.id AS product_id, c.id AS category_id
FROM stage_products s JOIN ready_products r ON r.external_id = s.external_id
CROSS JOIN LATERAL unnest(string_to_array(s.categories, E'\\x1f')) AS k (key)
JOIN categories c ON c.tenant_id = %(tenant_id)s AND c.external_id = k.key
"""
# An image is known by its product and address. Those of the file that say no position, and those of
# the shop that the file does not have, keep their order behind the others.
PRODUCT_IMAGES = """
CREATE TEMP TABLE ready_product_images AS
WITH wanted AS (
    SELECT r.id AS product_id, s.url, 1::bigint AS n, s.id, s.alt_text, s.position, s.file, s.row
    FROM stage_images s JOIN ready_products r ON r.external_id = s.product
), held AS (
    SELECT i.product_id, i.url, row_number() OVER (PARTITION BY i.product_id, i.url
               ORDER BY i.position, i.id) AS n, i.id, i.alt_text, i.position
    FROM product_images i WHERE i.tenant_id = %(tenant_id)s
    AND i.product_id IN (SELECT product_id FROM wanted)
), images AS (
    SELECT product_id, url, COALESCE(h.id, w.id) AS id, h.id IS NOT NULL AS is_existing,
           CASE WHEN w.id IS NULL THEN h.alt_text ELSE COALESCE(w.alt_text, '') END AS alt_text,
           row_number() OVER (PARTITION BY product_id ORDER BY w.position NULLS LAST,
               h.position NULLS LAST, w.file, w.row, w.id) - 1 AS position
    FROM wanted w FULL JOIN held h USING (product_id, url, n)
)
SELECT r.ordinal, i.*, r.id AS parent_id, %(now)s::timestamptz AS created_at
FROM images i JOIN ready_products r ON r.id = i.product_id
"""
CUSTOMERS = f"""
CREATE TEMP TABLE ready_customers AS
SELECT row_number() OVER (ORDER BY s.file, s.row) AS ordinal, {PLACE} AS place,
       COALESCE(c.id, s.id) AS id, c.id IS NOT NULL AS is_existing, s.external_id,
       s.email, COALESCE(s.first_name, '') AS first_name,
       COALESCE(s.last_name, '') AS last_name, s.phone, {TAGS} AS tags,
       COALESCE(s.created_at, %(now)s::timestamptz) AS created_at
FROM stage_customers s
LEFT JOIN customers c ON c.tenant_id = %(tenant_id)s AND c.external_id = s.external_id
"""
# A book that is full takes no more; a row without an address leaves the book as it is.
CUSTOMER_ADDRESSES = f"""
CREATE TEMP TABLE ready_customer_addresses AS
SELECT r.ordinal, r.id, r.id AS parent_id, r.id AS customer_id, a.id IS NOT NULL AS is_existing,
       {", ".join(f"s.address_{part} AS {part}" for part in ADDRESS_PARTS)}, r.created_at
FROM ready_customers r JOIN stage_customers s ON s.external_id = r.external_id
LEFT JOIN customer_addresses a ON a.tenant_id = %(tenant_id)s AND a.id = r.id
WHERE {ADDRESS} IS NOT NULL AND (NOT r.is_existing OR a.id IS NOT NULL OR
    (SELECT count(*) FROM customer_addresses b WHERE b.tenant_id = %(tenant_id)s
     AND b.customer_id = r.id) < {MAX_ADDRESSES})
"""
# The order's own discount goes to its lines by largest remainder, as kernel.money.allocate does it.
ALLOCATED_DISCOUNTS = """
WITH weighted AS (
    SELECT l.ctid AS place, l."order", o.digits,
           o.discount_total * power(10::numeric, o.digits) AS units,
           l.quantity * l.unit_price - l.discount_total AS weight,
           row_number() OVER (PARTITION BY l."order" ORDER BY l.position, l.file, l.row) AS n
    FROM stage_order_lines l JOIN stage_orders o ON o.external_id = l."order"
    WHERE o.discount_total > 0
), shared AS (
    SELECT w.*, w.units * w.weight
           / NULLIF(sum(w.weight) OVER (PARTITION BY w."order"), 0) AS share FROM weighted w
), ranked AS (
    SELECT s.*, s.units - sum(trunc(share)) OVER (PARTITION BY "order") AS missing,
           row_number() OVER (PARTITION BY "order" ORDER BY share - trunc(share) DESC, n) AS rank
    FROM shared s
)
UPDATE stage_order_lines l SET discount_total = l.discount_total
    + (trunc(r.share) + (r.rank <= r.missing)::int) / power(10::numeric, r.digits)
FROM ranked r WHERE r.place = l.ctid
"""
# An order keeps the rate of exchange it has, unless the file says another.
# Orders that have changed in the shop since they came (they have events of their own) are left
# alone: a payment or a cancellation here is newer than the file. The loader looks once more, under
# a lock, at those that change until their batch is written.
ORDERS = f"""
CREATE TEMP TABLE ready_orders AS
WITH lines AS (
    SELECT "order", sum(quantity * unit_price) AS subtotal, sum(discount_total) AS discount,
           sum(tax_total) AS tax, sum(shipping_total) AS shipping
    FROM stage_order_lines GROUP BY 1
), paid AS (
    SELECT "order", sum(amount) FILTER (WHERE status = 'captured') AS captured,
           sum(amount) FILTER (WHERE status = 'authorized') AS authorized,
           count(*) FILTER (WHERE status = 'captured') AS captures
    FROM stage_payments GROUP BY 1
), refunded AS (SELECT "order", sum(amount) AS amount FROM stage_refunds GROUP BY 1
), amounts AS (
    SELECT s.*, o.id AS old_id, c.id AS customer_id, COALESCE(l.subtotal, 0) AS subtotal,
           COALESCE(l.discount, 0) AS discounts,
           s.shipping_total + COALESCE(l.shipping, 0) AS shipping,
           s.tax_total + COALESCE(l.tax, 0) AS taxes, COALESCE(p.captured, 0) AS paid_total,
           COALESCE(p.authorized, 0) AS authorized, COALESCE(p.captures, 0) AS captures,
           COALESCE(r.amount, 0) AS refunded_total, t.currency AS base_currency,
           CASE WHEN s.currency = t.currency THEN 1 ELSE COALESCE(s.exchange_rate, o.exchange_rate,
               (SELECT x.rate FROM exchange_rates x WHERE x.tenant_id = %(tenant_id)s
                AND x.currency = s.currency AND x.effective_at <= s.placed_at
                ORDER BY x.effective_at DESC LIMIT 1)) END AS rate
    FROM stage_orders s JOIN tenants t ON t.id = %(tenant_id)s
    LEFT JOIN lines l ON l."order" = s.external_id LEFT JOIN paid p ON p."order" = s.external_id
    LEFT JOIN refunded r ON r."order" = s.external_id
    LEFT JOIN customers c ON c.tenant_id = %(tenant_id)s AND c.external_id = s.customer
    LEFT JOIN orders o ON o.tenant_id = %(tenant_id)s AND o.external_id = s.external_id
), placed AS (
    SELECT s.*, to_char(s.placed_at, 'YYYYMMDDHH24MISSUS') || s.external_id COLLATE "C" AS place
    FROM amounts s
), numbered AS (
    SELECT s.*, row_number() OVER (ORDER BY s.place) AS ordinal,
           subtotal - discounts + shipping + taxes AS due
    FROM placed s
)
SELECT s.ordinal, s.place, COALESCE(s.old_id, s.id) AS id, s.old_id IS NOT NULL AS is_existing,
       count(*) FILTER (WHERE s.old_id IS NULL) OVER (ORDER BY s.ordinal) AS new_ordinal,
       s.external_id, s.customer_id, s.status, s.fulfillment_status, s.channel, s.currency,
       s.base_currency, s.rate AS exchange_rate, s.subtotal, s.discounts AS discount_total,
       s.shipping AS shipping_total,
       s.taxes AS tax_total, s.due AS total, s.paid_total, s.refunded_total,
       CASE WHEN s.refunded_total > 0 AND s.refunded_total >= s.paid_total THEN 'refunded'
            WHEN s.refunded_total > 0 THEN 'partially_refunded'
            WHEN s.captures > 0 AND s.paid_total >= s.due THEN 'paid'
            WHEN s.paid_total > 0 THEN 'partially_paid'
            WHEN s.authorized > 0 THEN 'authorized' ELSE 'unpaid' END AS payment_status,
       {ADDRESS} AS shipping_address, s.note, s.placed_at, s.placed_at AS created_at,
       CASE WHEN s.status = 'completed' THEN COALESCE(s.completed_at, s.placed_at) END
           AS completed_at,
       CASE WHEN s.status = 'cancelled' THEN COALESCE(s.cancelled_at, s.placed_at) END
           AS cancelled_at
FROM numbered s
WHERE s.old_id IS NULL OR NOT EXISTS
    (SELECT FROM events e WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = s.old_id)
ORDER BY s.ordinal
"""
ORDER_LINES = """
CREATE TEMP TABLE ready_order_lines AS
WITH placed AS (
    SELECT s.*, row_number() OVER (PARTITION BY s."order" ORDER BY s.position, s.file, s.row) - 1
        AS place FROM stage_order_lines s
)
SELECT o.ordinal, COALESCE(e.id, s.id) AS id, e.id IS NOT NULL AS is_existing, o.id AS parent_id,
       o.id AS order_id, s.place AS position, COALESCE(p.id, v.product_id) AS product_id,
       COALESCE(v.id, d.id) AS variant_id, COALESCE(s.title, p.name, vp.name, s.sku, '') AS title,
       COALESCE(s.sku, v.sku, d.sku, p.sku, vp.sku) AS sku, s.quantity, s.unit_price, s.unit_cost,
       s.quantity * s.unit_price AS subtotal, s.discount_total, s.tax_total,
       s.quantity * s.unit_price - s.discount_total + s.tax_total AS total, s.external_id
FROM placed s JOIN ready_orders o ON o.external_id = s."order"
LEFT JOIN products p ON p.tenant_id = %(tenant_id)s AND p.external_id = s.product
LEFT JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.external_id = s.variant
LEFT JOIN products vp ON vp.tenant_id = %(tenant_id)s AND vp.id = v.product_id
LEFT JOIN variants d ON d.tenant_id = %(tenant_id)s AND d.external_id = s.product
    AND d.product_id = p.id AND s.variant IS NULL
LEFT JOIN order_lines e ON o.is_existing AND e.tenant_id = %(tenant_id)s AND e.order_id = o.id
    AND e.position = s.place
ORDER BY o.ordinal
"""
PAYMENTS = """
CREATE TEMP TABLE ready_payments AS
SELECT o.ordinal, COALESCE(e.id, s.id) AS id, e.id IS NOT NULL AS is_existing, o.id AS parent_id,
       o.id AS order_id, s.provider, s.method, s.status, s.amount, o.currency, s.reference,
       COALESCE(s.created_at, o.placed_at) AS created_at, s.external_id
FROM stage_payments s JOIN ready_orders o ON o.external_id = s."order"
LEFT JOIN payments e ON e.tenant_id = %(tenant_id)s AND e.external_id = s.external_id
ORDER BY o.ordinal
"""
REFUNDS = """
CREATE TEMP TABLE ready_refunds AS
SELECT o.ordinal, COALESCE(e.id, s.id) AS id, e.id IS NOT NULL AS is_existing, o.id AS parent_id,
       o.id AS order_id, s.amount, s.shipping_amount, s.tax_amount, o.currency, s.reason,
       s.created_at, s.external_id
FROM stage_refunds s JOIN ready_orders o ON o.external_id = s."order"
LEFT JOIN refunds e ON e.tenant_id = %(tenant_id)s AND e.external_id = s.external_id
"""
REFUND_LINES = """
CREATE TEMP TABLE ready_refund_lines AS
SELECT r.ordinal, COALESCE(e.id, s.part_id) AS id, e.id IS NOT NULL AS is_existing, r.parent_id,
       r.id AS refund_id, l.id AS order_line_id, s.quantity,
       s.amount - s.shipping_amount - s.tax_amount AS amount
FROM stage_refunds s JOIN ready_refunds r ON r.external_id = s.external_id
JOIN ready_order_lines l ON l.order_id = r.order_id AND l.external_id = s.line
LEFT JOIN refund_lines e ON r.is_existing AND e.tenant_id = %(tenant_id)s AND e.refund_id = r.id
    AND e.order_line_id = l.id
"""
READY = {
    "products": (
        ("products", PRODUCTS),
        ("variants", VARIANTS),
        ("stock", STOCK),
        ("product_categories", PRODUCT_CATEGORIES),
        ("product_images", PRODUCT_IMAGES),
    ),
    "customers": (("customers", CUSTOMERS), ("customer_addresses", CUSTOMER_ADDRESSES)),
    "orders": (
        ("orders", ORDERS),
        ("order_lines", ORDER_LINES),
        ("payments", PAYMENTS),
        ("refunds", REFUNDS),
        ("refund_lines", REFUND_LINES),
    ),
}


@dataclass(frozen=True)
class Assembler:
    """Makes the ready tables of one phase after the other."""

    staging: Staging
    tenant_id: UUID
    now: datetime
    mapped: Mapped

    def assemble(self, phase: str) -> None:
        """The ready tables of products, customers or orders."""
        with self.staging.sets() as connection:
            if phase == "orders":
                self._execute(connection, ALLOCATED_DISCOUNTS)
            for table, statement in READY[phase]:
                self._make(connection, table, statement)

    def assemble_categories(self, log: RejectLog, parent_label: str) -> None:
        """The ready categories; those that hang in the air are refused."""
        with self.staging.sets() as connection:
            self._make(connection, "categories", CATEGORIES)
            unrooted: list[Any] = []
            # one that is refused stays where it was, and takes along what was to come below it
            while found := self._execute(connection, UNROOTED_CATEGORIES).all():
                unrooted += found
            unrooted.sort(key=lambda row: (row.file, row.row))
            log.add(
                "categories",
                len(unrooted),
                [
                    Reject(
                        self.staging.files[row.file],
                        row.row,
                        parent_label,
                        f"below '{row.parent}' it takes others past level {MAX_CATEGORY_LEVELS}"
                        if row.is_known
                        else f"'{row.parent}' is not known, lies on level {MAX_CATEGORY_LEVELS}"
                        " or below, or its ancestors form a circle",
                    )
                    for row in unrooted
                ],
            )

    def _make(self, connection: Connection, table: str, statement: str) -> None:
        self._execute(connection, statement)
        connection.exec_driver_sql(f"CREATE INDEX ON ready_{table} (ordinal)")
        connection.exec_driver_sql(f"ANALYZE ready_{table} (ordinal)")

    def _execute(self, connection: Connection, statement: str) -> CursorResult[Any]:
        values = {
            "tenant_id": self.tenant_id,
            "now": self.now,
            "has_variants": self.staging.has_variants,
            "seo_parts": [
                part for part in SEO_PARTS if f"seo_{part}" in self.mapped.get("products", ())
            ],
        }
        return connection.exec_driver_sql(statement, values)
