"""What a product's row keeps of its variants and their stock, so that an index can have it.

Belongs here: `is_in_stock`, `has_variants` and the triggers that keep them, whoever writes. Does
not: how much there is (`available_quantity`, which a job refreshes).
"""

from sqlalchemy import Connection

# Whoever turns a variant locks its product first and then looks at all its variants anew: of two
# who turn two variants of a product at once, the second sees what the first did. Products are
# locked in id order, as edits of many lock them.
KEEP = """
CREATE FUNCTION keep_product_flags(tenant uuid, ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM products p WHERE p.tenant_id = tenant AND p.id = ANY(ids)
        ORDER BY p.id FOR NO KEY UPDATE;
    UPDATE products p SET is_in_stock = k.is_in_stock, has_variants = k.has_variants
    FROM (
        SELECT i.id, count(v.id) > 1 AS has_variants,
            coalesce(bool_or(NOT v.track_quantity OR v.allow_backorder OR EXISTS (
                SELECT FROM stock_levels s WHERE s.tenant_id = v.tenant_id
                    AND s.variant_id = v.id AND s.quantity > s.reserved)), false) AS is_in_stock
        FROM unnest(ids) i (id)
        LEFT JOIN variants v ON v.tenant_id = tenant AND v.product_id = i.id
        GROUP BY i.id
    ) k
    WHERE p.tenant_id = tenant AND p.id = k.id
        AND (p.is_in_stock, p.has_variants) IS DISTINCT FROM (k.is_in_stock, k.has_variants);
END $$;
"""

# What a statement turned is told from its rows alone: most changes of stock turn nothing, and look
# at no product. The levels of a deleted variant have none any more; the variant's own trigger
# follows. Before and after are grouped, not joined: the plan is good for one row and for thousands.
TURNED = {
    ("variants", "INSERT"): "SELECT tenant_id, product_id FROM new_rows",
    ("variants", "DELETE"): "SELECT tenant_id, product_id FROM old_rows",
    ("variants", "UPDATE"): """
        SELECT tenant_id, product_id FROM (
            SELECT tenant_id, product_id, id, track_quantity AND NOT allow_backorder AS is_counted,
                1 AS side FROM new_rows
            UNION ALL
            SELECT tenant_id, product_id, id, track_quantity AND NOT allow_backorder, -1
            FROM old_rows
        ) b GROUP BY tenant_id, product_id, id, is_counted HAVING sum(side) <> 0""",
    ("stock_levels", "INSERT"): """
        SELECT v.tenant_id, v.product_id FROM new_rows s
        JOIN variants v ON v.tenant_id = s.tenant_id AND v.id = s.variant_id
        WHERE s.quantity > s.reserved""",
    ("stock_levels", "DELETE"): """
        SELECT v.tenant_id, v.product_id FROM old_rows s
        JOIN variants v ON v.tenant_id = s.tenant_id AND v.id = s.variant_id
        WHERE s.quantity > s.reserved""",
    ("stock_levels", "UPDATE"): """
        SELECT v.tenant_id, v.product_id FROM (
            SELECT tenant_id, variant_id FROM (
                SELECT tenant_id, variant_id, location_id, 1 AS side FROM new_rows
                WHERE quantity > reserved
                UNION ALL
                SELECT tenant_id, variant_id, location_id, -1 FROM old_rows
                WHERE quantity > reserved
            ) b GROUP BY tenant_id, variant_id, location_id HAVING sum(side) <> 0
        ) t JOIN variants v ON v.tenant_id = t.tenant_id AND v.id = t.variant_id""",
}
SEEN = {
    "INSERT": "NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
}
FOLLOW = """
CREATE FUNCTION {table}_after_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE turned record;
BEGIN
    FOR turned IN
        SELECT t.tenant_id, array_agg(DISTINCT t.product_id) AS ids FROM ({query}) t
        GROUP BY t.tenant_id ORDER BY t.tenant_id
    LOOP
        PERFORM keep_product_flags(turned.tenant_id, turned.ids);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_product_flags_{name} AFTER {event} ON {table} REFERENCING {seen}
    FOR EACH STATEMENT EXECUTE FUNCTION {table}_after_{name}();
"""


def create_product_flags(connection: Connection) -> None:
    """The triggers on variants and stock that keep `is_in_stock` and `has_variants` of products."""
    connection.exec_driver_sql(KEEP)
    for (table, event), query in TURNED.items():
        connection.exec_driver_sql(
            FOLLOW.format(
                table=table, event=event, name=event.lower(), query=query, seen=SEEN[event]
            )
        )
