"""A product's JSON as Postgres writes it, and the versions of the rows it is made from.

Belongs here: the one representation that every answer uses, and what tells that it has changed.
Does not: which products are read (repository.py).
"""

from string import Template

# From the lake, by a job; NULL where nothing is known.
STATS = {
    "total_sales": "round(p.total_sales, d.digits)",
    "conversion_rate": "coalesce(trim_scale(p.conversion_rate_ratio)::text, 'null')",
    "profit_margin": "coalesce(trim_scale(p.profit_margin_ratio)::text, 'null')",
    # not by p.tenant_id: so it is looked up once for a page
    "stats_as_of": """coalesce((SELECT to_json(json_instant(t.as_of)) FROM product_stats t
        WHERE t.tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid), 'null')""",
}

# Text put together: `row_to_json` and `json_build_object` look up the type of each value they are
# given, which took two thirds of a page's time. `concat` writes NULL as nothing, so whatever may be
# NULL says 'null' itself.
PRODUCT_TEXT = Template("""
(SELECT concat('{"id":"', p.id, '","tenant_id":"', p.tenant_id, '","name":', to_json(p.name),
    ',"description":', to_json(p.description), ',"sku":', coalesce(to_json(p.sku), 'null'),
    ',"price":', round(p.price, d.digits),
    ',"compare_price":', coalesce(round(p.compare_price, d.digits)::text, 'null'),
    ',"cost_price":', $cost_price, ',"currency":', to_json(p.currency),
    ',"status":', to_json(p.status), ',"tax_class":', to_json(p.tax_class),
    ',"inventory":{"track_quantity":', v.track_quantity::text, ',"quantity":', v.quantity,
        ',"reserved_quantity":', v.reserved, ',"available_quantity":', v.quantity - v.reserved,
        ',"low_stock_alert":', coalesce(v.low_stock_alert::text, 'null'),
        ',"allow_backorder":', v.allow_backorder::text,
    '},"variants":[', v.variants,
    '],"categories":[', (
        SELECT string_agg(concat('{"id":"', c.id, '","name":', to_json(c.name),
            ',"slug":', to_json(c.slug), '}'), ',' ORDER BY c.name, c.id)
        FROM product_categories pc
        JOIN categories c ON c.tenant_id = pc.tenant_id AND c.id = pc.category_id $shown
        WHERE pc.tenant_id = p.tenant_id AND pc.product_id = p.id),
    '],"images":[', (
        SELECT string_agg(concat('{"id":"', i.id, '","url":', to_json(i.url),
            ',"alt_text":', to_json(i.alt_text), ',"position":', i.position,
            ',"width":', coalesce(i.width::text, 'null'),
            ',"height":', coalesce(i.height::text, 'null'),
            ',"variant_id":', coalesce(to_json(i.variant_id), 'null'), '}'), ','
            ORDER BY i.position, i.id)
        FROM product_images i WHERE i.tenant_id = p.tenant_id AND i.product_id = p.id),
    '],"tags":', to_json(p.tags),
    ',"seo":{"title":', coalesce(p.seo->'title', 'null'),
        ',"description":', coalesce(p.seo->'description', 'null'),
        ',"slug":', coalesce(p.seo->'slug', 'null'),
    '},"external_id":', coalesce(to_json(p.external_id), 'null'),
    ',"is_in_stock":', p.is_in_stock::text, $stats,
    ',"created_at":"', json_instant(p.created_at),
    '","updated_at":"', json_instant(p.updated_at), '"}')
FROM (SELECT currency_digits(p.currency) AS digits OFFSET 0) d, LATERAL (
    SELECT coalesce(bool_and(w.track_quantity), false) AS track_quantity,
        coalesce(bool_or(w.allow_backorder), false) AS allow_backorder,
        coalesce(sum(s.quantity), 0) AS quantity, coalesce(sum(s.reserved), 0) AS reserved,
        min(w.low_stock_alert) AS low_stock_alert,
        string_agg(concat('{"id":"', w.id, '","title":', to_json(w.title),
            ',"sku":', coalesce(to_json(coalesce(w.sku, p.sku)), 'null'),
            ',"price":', round(coalesce(w.price, p.price), d.digits),
            ',"inherits_price":', (w.price IS NULL)::text,
            ',"inventory":{"track_quantity":', w.track_quantity::text,
                ',"quantity":', s.quantity, ',"reserved_quantity":', s.reserved,
                ',"available_quantity":', s.quantity - s.reserved,
                ',"low_stock_alert":', coalesce(w.low_stock_alert::text, 'null'),
                ',"allow_backorder":', w.allow_backorder::text,
            '},"weight_grams":', coalesce(w.weight_grams::text, 'null'),
            ',"options":', w.options, '}'), ',' ORDER BY w.position, w.id) AS variants
    FROM variants w CROSS JOIN LATERAL (
        SELECT coalesce(sum(l.quantity), 0) AS quantity, coalesce(sum(l.reserved), 0) AS reserved
        FROM stock_levels l WHERE l.tenant_id = w.tenant_id AND l.variant_id = w.id
    ) s
    WHERE w.tenant_id = p.tenant_id AND w.product_id = p.id
) v)
""")


def _product_text(cost_price: str, shown: str, stats: dict[str, str]) -> str:
    written = ", ".join(f"""',"{name}":', {value}""" for name, value in stats.items())
    return PRODUCT_TEXT.substitute(cost_price=cost_price, shown=shown, stats=written)


PRODUCT_JSON = _product_text(
    cost_price="coalesce(round(p.cost_price, d.digits)::text, 'null')", shown="", stats=STATS
)
# What a publishable key sees: a page's script must not know what the shop paid, nor what it sells,
# nor categories not shown yet.
PUBLIC_PRODUCT_JSON = _product_text(
    cost_price="'null'", shown="AND c.is_active", stats=dict.fromkeys(STATS, "'null'")
)

# Which rows a product's JSON is made from now, by the transactions that wrote them: a row that is
# written again has another xmin. Versions of a row that one transaction wrote are seen from its
# commit on until another's, so the same xmins of as many rows are the same rows (ADR 0023).
# Not by p.tenant_id: so the sales' are looked up once for a page.
PRODUCT_VERSIONS = """
concat(p.xmin, ' ', (SELECT t.xmin FROM product_stats t
        WHERE t.tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid), ' ', (
    SELECT string_agg(concat(w.xmin, '/', l.xmin), ' ')
    FROM variants w LEFT JOIN stock_levels l
        ON l.tenant_id = w.tenant_id AND l.variant_id = w.id
    WHERE w.tenant_id = p.tenant_id AND w.product_id = p.id), ';', (
    SELECT string_agg(concat(pc.xmin, '/', c.xmin), ' ')
    FROM product_categories pc
    JOIN categories c ON c.tenant_id = pc.tenant_id AND c.id = pc.category_id
    WHERE pc.tenant_id = p.tenant_id AND pc.product_id = p.id), ';', (
    SELECT string_agg(i.xmin::text, ' ')
    FROM product_images i WHERE i.tenant_id = p.tenant_id AND i.product_id = p.id))
"""
