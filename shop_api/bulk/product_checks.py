"""The checks of products and what belongs to them, as rules over the staging tables."""

from shop_api.bulk.rules import Check, Rule, exact, existing, unknown
from shop_api.models import MAX_IMAGES

PRODUCT_CHECKS = (
    Check(
        "products",
        (
            unknown("category", "c"),
            *exact("s.digits", "price", "compare_price", "cost_price"),
            Rule(
                "external_id",
                "NOT EXISTS (SELECT FROM stage_variants v WHERE v.product = s.external_id)",
                "'none of its variants could be taken'",
            ),
        ),
        existing("categories", "c", "category"),
    ),
)
# of mappings with a list of categories
CATEGORY_LIST_CHECKS = (
    Check(
        "products",
        (
            Rule(
                "categories",
                "u.key IS NOT NULL",
                "format('there is no category ''%%s''', left(u.key, 60))",
            ),
        ),
        " LEFT JOIN (SELECT p.ctid AS place, min(k.key) AS key FROM stage_products p"
        " CROSS JOIN LATERAL unnest(string_to_array(p.categories, E'\\x1f')) AS k (key)"
        " LEFT JOIN categories c ON c.tenant_id = %(tenant_id)s AND c.external_id = k.key"
        " WHERE c.id IS NULL GROUP BY 1) u ON u.place = s.ctid",
    ),
)
# Why it is missing: its own row was refused, or a variant of it, or no row made it.
_NO_PRODUCT = Rule(
    "product",
    "p.external_id IS NULL",
    "format('there is no product ''%%s'' in this import', left(s.product, 60)) ||"
    " COALESCE(': its row ' || COALESCE(r.row, b.row) || ' of '"
    " || (%(files)s::text[])[COALESCE(r.file, b.file) + 1] || ' was refused', %(product_hint)s)",
)
_OF_PRODUCT = (
    " LEFT JOIN stage_products p ON p.external_id = s.product"
    " LEFT JOIN bad_product_rows r ON r.external_id = s.product"
    " LEFT JOIN bad_products b ON b.external_id = s.product"
)
VARIANT_CHECKS = (
    Check(
        "variants",
        (
            _NO_PRODUCT,
            Rule(
                "external_id",
                "v.id IS NOT NULL AND v.product_id IS DISTINCT FROM old.id",
                "'it is a variant of another product already'",
            ),
            *exact("p.digits", "price", "cost_price"),
        ),
        _OF_PRODUCT
        + existing("variants", "v", "external_id")
        + existing("products", "old", "product"),
    ),
)
# What a buyer chooses by: as an object, so that the order of the options does not matter.
_CHOSEN = (
    "(SELECT COALESCE(jsonb_object_agg(o.name, o.value), '{}') FROM (VALUES "
    + ", ".join(f"(v.option{n}_name, v.option{n}_value)" for n in (1, 2, 3))
    + ") AS o (name, value) WHERE o.name IS NOT NULL AND o.value IS NOT NULL)"
)
_HELD = (
    "(SELECT COALESCE(jsonb_object_agg(o ->> 'name', o ->> 'value'), '{}')"
    " FROM jsonb_array_elements(v.options) AS o)"
)
# of mappings with variants: those of a product, here and in the shop, can be told apart
OPTION_CHECKS = (
    Check(
        "variants",
        (
            Rule(
                "option1_name",
                "s.option1_name = s.option2_name OR s.option1_name = s.option3_name"
                " OR s.option2_name = s.option3_name",
                "'an option is named twice'",
            ),
            Rule(
                "option1_value",
                "c.chosen = '{}' AND c.has_options",
                "'it has no options, and others of its product have some'",
            ),
            Rule(
                "option1_value",
                "c.chosen <> '{}' AND (c.n > 1 OR h.chosen IS NOT NULL)",
                "'another variant of its product has the same options'",
            ),
        ),
        " LEFT JOIN (SELECT v.*, row_number() OVER (PARTITION BY product, chosen ORDER BY file,"
        " row) AS n, bool_or(chosen <> '{}') OVER (PARTITION BY product) AS has_options"
        f" FROM (SELECT v.ctid AS place, v.product, v.file, v.row, {_CHOSEN} AS chosen"
        " FROM stage_variants v) v) c ON c.place = s.ctid"
        f" LEFT JOIN (SELECT DISTINCT p.external_id AS product, {_HELD} AS chosen"
        " FROM variants v JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id"
        " WHERE v.tenant_id = %(tenant_id)s AND v.options <> '[]' AND p.external_id IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM stage_variants x WHERE x.external_id = v.external_id)) h"
        " ON h.product = s.product AND h.chosen = c.chosen",
    ),
)
STOCK_CHECKS = (
    Check(
        "stock",
        (
            Rule(
                "variant",
                "v.external_id IS NULL",
                "format('there is no variant ''%%s'' in this import', left(s.variant, 60))",
            ),
            Rule(
                "location",
                "l.id IS NULL",
                "COALESCE(format('there is no location ''%%s''', left(s.location, 60)),"
                " 'the shop has no default location')",
            ),
        ),
        " LEFT JOIN stage_variants v ON v.external_id = s.variant"
        " LEFT JOIN locations l ON l.tenant_id = %(tenant_id)s"
        " AND CASE WHEN s.location IS NULL THEN l.is_default ELSE l.code = s.location END",
    ),
)
# Images are told apart by their address: one that the product has already takes no more room.
IMAGE_CHECKS = (
    Check(
        "images",
        (
            _NO_PRODUCT,
            Rule(
                "url",
                f"f.n > {MAX_IMAGES}",
                f"'with it the product has more than {MAX_IMAGES} images'",
            ),
        ),
        _OF_PRODUCT
        + " LEFT JOIN (SELECT i.ctid AS place, COALESCE(h.n, 0) + row_number() OVER (PARTITION BY"
        " i.product ORDER BY i.position NULLS LAST, i.file, i.row, i.id) AS n FROM stage_images i"
        " LEFT JOIN products o ON o.tenant_id = %(tenant_id)s AND o.external_id = i.product"
        " LEFT JOIN (SELECT product_id, count(*) AS n FROM product_images"
        " WHERE tenant_id = %(tenant_id)s GROUP BY 1) h ON h.product_id = o.id"
        " WHERE NOT EXISTS (SELECT FROM product_images e WHERE e.tenant_id = %(tenant_id)s"
        " AND e.product_id = o.id AND e.url = i.url)) f ON f.place = s.ctid",
    ),
)


def product_hint(only_if: tuple[str, ...]) -> str:
    """What to look at where no row made a product; `only_if`: the columns that its row fills."""
    return f": no row with a value in {' or '.join(only_if)} names it" if only_if else ""
