"""Products' JSON: as Postgres writes it, and as a process keeps it.

Belongs here: the one representation that every answer uses, and what tells that it has changed.
Does not: which products a list shows (the catalogue). Written for a table `products p`.
"""

from collections.abc import Sequence
from string import Template
from typing import Any, NamedTuple
from uuid import UUID

from shop_api.db.kept_documents import KeptDocument, KeptDocuments
from shop_api.db.tenancy import Repository

# From the lake, by a job; NULL where nothing is known.
STATS = {
    "total_sales": "round(p.total_sales, d.digits)",
    "conversion_rate": "coalesce(trim_scale(p.conversion_rate_ratio)::text, 'null')",
    "profit_margin": "coalesce(trim_scale(p.profit_margin_ratio)::text, 'null')",
}
# not by p.tenant_id: so it is looked up once for a page
STATS_AS_OF = """coalesce((SELECT to_json(json_instant(t.as_of)) FROM product_stats t
    WHERE t.tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid), 'null')"""

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
    '","updated_at":"', json_instant(p.updated_at), '"'$as_of)
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

# The rows a product's JSON is made from, as they are now: by the transactions that wrote them, and
# by the server they are on, which after a restore or a failover is another. A row written again has
# another xmin. Versions of a row that one transaction wrote are seen from its commit on until
# another's, so the same xmins of as many rows are the same rows (ADR 0023).
VERSIONS = """
concat((SELECT extract(epoch FROM pg_postmaster_start_time())), ' ', p.xmin, ' ', (
    SELECT string_agg(concat(w.xmin, '/', l.xmin), ' ' ORDER BY w.id, l.location_id)
    FROM variants w LEFT JOIN stock_levels l
        ON l.tenant_id = w.tenant_id AND l.variant_id = w.id
    WHERE w.tenant_id = p.tenant_id AND w.product_id = p.id), ';', (
    SELECT string_agg(concat(pc.xmin, '/', c.xmin), ' ' ORDER BY c.id)
    FROM product_categories pc
    JOIN categories c ON c.tenant_id = pc.tenant_id AND c.id = pc.category_id
    WHERE pc.tenant_id = p.tenant_id AND pc.product_id = p.id), ';', (
    SELECT string_agg(i.xmin::text, ' ' ORDER BY i.id)
    FROM product_images i WHERE i.tenant_id = p.tenant_id AND i.product_id = p.id))
"""


class ProductView:
    """What some readers see of which products."""

    def __init__(
        self,
        name: str,
        cost_price: str,
        shown: str,
        stats: dict[str, str],
        as_of: str,
        condition: str = "true",
    ) -> None:
        self.name = name
        # of `p`: which products there are for these readers
        self.condition = condition
        written = ", ".join(f"""',"{column}":', {value}""" for column, value in stats.items())
        part = {"cost_price": cost_price, "shown": shown, "stats": written}
        # the whole JSON, and what is kept of it: without the time of the statistics, which changes
        # for all products of a shop with each run of the lake
        self.body = PRODUCT_TEXT.substitute(as_of=f""", ',"stats_as_of":', {as_of}, '}}'""", **part)
        kept = PRODUCT_TEXT.substitute(as_of="", **part)
        # that time, which has no space, and the versions
        self.state = f"concat({as_of}, ' ', {VERSIONS})"
        found = f"FROM products p WHERE p.tenant_id = %(tenant_id)s AND {condition} AND p.id ="
        self.states_of_one = f"SELECT {self.state} AS state, p.version {found} %(product_id)s"
        self.one = f"SELECT {self.state} AS state, p.version, {kept} AS body {found} %(product_id)s"
        self.several = f"""SELECT p.id::text AS id, {self.state} AS state, {kept} AS body
            {found} ANY(%(product_ids)s::uuid[])"""


STAFF_VIEW = ProductView(
    "staff",
    cost_price="coalesce(round(p.cost_price, d.digits)::text, 'null')",
    shown="",
    stats=STATS,
    as_of=STATS_AS_OF,
)
# What a publishable key sees: a page's script must not know what the shop paid, nor what it sells,
# nor products and categories not shown yet.
PUBLIC_VIEW = ProductView(
    "public",
    cost_price="'null'",
    shown="AND c.is_active",
    stats=dict.fromkeys(STATS, "'null'"),
    as_of="'null'",
    condition="p.status = 'active'",
)
PRODUCT_JSON = STAFF_VIEW.body


class ProductRow(NamedTuple):
    """A product's resource row."""

    version: int
    body: str


class ProductDocumentRepository(Repository):
    """Products' JSON of one tenant, from what a process keeps where that is current.

    Only in sessions that write nothing: versions that one transaction writes have one xmin.
    """

    def current_bodies(
        self, found: Sequence[Any], view: ProductView, kept: KeptDocuments
    ) -> list[str] | None:
        """The JSON of products, in order, by their ids and states: the second and the third column
        of `found`. None when one has another state by now.
        """
        prefix = f"{view.name} {self.tenant_id} "
        texts: dict[str, str] = {}
        missing: dict[str, str] = {}
        for _, product_id, state in found:
            key = str(product_id)
            current = _current(kept.find(prefix + key), state)
            if current is None:
                missing[key] = state
            else:
                texts[key] = current
        if missing:
            for row in self.list_documents(list(missing), view):
                body = _keep(kept, prefix + row.id, row)
                if missing[row.id] == row.state:
                    texts[row.id] = body
        if len(texts) < len(found):
            return None
        return [texts[str(row[1])] for row in found]

    def list_documents(self, product_ids: list[str], view: ProductView) -> list[Any]:
        """Of some products the `id` as text, the `state`, and of the JSON what is kept: `body`."""
        values = {"tenant_id": self.tenant_id, "product_ids": product_ids}
        return self.session.fetch(view.several, values)

    def find(self, product_id: UUID, view: ProductView, kept: KeptDocuments) -> ProductRow | None:
        """A product as these readers see it."""
        key = f"{view.name} {self.tenant_id} {product_id}"
        values = {"tenant_id": self.tenant_id, "product_id": product_id}
        known = kept.find(key)
        if known is not None:
            # without the JSON in it the statement takes a third of the time
            for now in self.session.fetch(view.states_of_one, values):
                current = _current(known, now.state)
                if current is not None:
                    return ProductRow(now.version, current)
        for row in self.session.fetch(view.one, values):
            return ProductRow(row.version, _keep(kept, key, row))
        return None


def _current(document: KeptDocument | None, state: str) -> str | None:
    """The whole JSON of a document that is as its rows are now."""
    as_of, _, versions = state.partition(" ")
    if document is None or document.versions != versions:
        return None
    return _whole(document.text, as_of)


def _keep(kept: KeptDocuments, key: str, row: Any) -> str:
    """Keep what was read; the whole JSON of it."""
    as_of, _, versions = row.state.partition(" ")
    kept.keep(key, KeptDocument(versions, row.body))
    return _whole(row.body, as_of)


def _whole(text: str, as_of: str) -> str:
    return f'{text},"stats_as_of":{as_of}}}'
