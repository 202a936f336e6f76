"""SQL of products and variants. One representation each, used by every answer."""

from collections.abc import Callable
from datetime import datetime
from string import Template
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    TextClause,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.db.keyset import PAGING, KeysetPage, PageRequest, PlainList, Sort, fetch_page
from shop_api.db.known_values import known, known_list
from shop_api.db.round_trips import written_out
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.domains.categories.repository import CategoryRepository
from shop_api.kernel.clock import format_instant
from shop_api.kernel.money import amount_rank
from shop_api.models import (
    product_categories,
    product_images,
    products,
    variants,
)

p = products.alias("p")

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

PRODUCT_SORTS = {
    "created_at": Sort("created_at", p.c.created_at, format_instant, datetime.fromisoformat),
    "updated_at": Sort("updated_at", p.c.updated_at, format_instant, datetime.fromisoformat),
    "price": Sort("price", p.c.price_rank, str, int),
    "name": Sort("name", p.c.name, str, str),
    "total_sales": Sort("total_sales", p.c.total_sales_rank, str, int),
    "inventory": Sort("inventory", p.c.available_quantity, str, int),
}
# A product's resource row, with what a change needs to know of it. Built once: to build it takes a
# tenth of an answer's time.
PRODUCT_ROW = select(
    p.c.id,
    p.c.version,
    p.c.name,
    p.c.price,
    p.c.status,
    p.c.currency,
    literal_column(PRODUCT_JSON).label("body"),
).where(p.c.tenant_id == bindparam("tenant_id"), p.c.id == bindparam("product_id"))
PRODUCT = written_out(PRODUCT_ROW)
PRODUCT_FOR_UPDATE = written_out(PRODUCT_ROW.with_for_update())
PUBLIC_PRODUCT = written_out(
    select(p.c.id, p.c.version, literal_column(PUBLIC_PRODUCT_JSON).label("body")).where(
        p.c.tenant_id == bindparam("tenant_id"),
        p.c.id == bindparam("product_id"),
        p.c.status == literal_column("'active'"),
    )
)

# Locked: the tenant's currency does not change before what is priced in it is seen.
TENANT_TERMS = text("""
    SELECT currency, (settings->>'low_stock_alert')::integer AS low_stock_alert
    FROM tenants WHERE id = :id FOR KEY SHARE
""")

# what a bound of a range leaves, by the filter's name
BOUNDS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "min_price": lambda price: p.c.price_rank >= known(amount_rank(price)),
    "max_price": lambda price: p.c.price_rank <= known(amount_rank(price)),
    "created_after": lambda instant: p.c.created_at > known(instant),
    "created_before": lambda instant: p.c.created_at < known(instant),
    "updated_after": lambda instant: p.c.updated_at > known(instant),
    "updated_before": lambda instant: p.c.updated_at < known(instant),
}

# Of these words as many as a list may be cut from; the function is migrations/search.py's.
SEARCHED_ROWS = 1000
FOUND = text("""p.id IN (
    SELECT f.id FROM search_products(:asked, :status, :searched_rows) f
    UNION ALL SELECT v.product_id FROM variants v
    WHERE v.tenant_id = :tenant_id AND v.sku = ANY(:codes))
""")

# Of so many products with the tags asked for, all are looked up; of more, a walk along the sort's
# index meets them soon enough. The function is migrations/search.py's.
RARE_ROWS = 2500
IS_RARE = text(
    "SELECT count(*) <= :rare_rows FROM search_products_tagged(:tags, 1 + CAST(:rare_rows AS int))"
)
TAGGED = text("p.id IN (SELECT f.id FROM search_products_tagged(:tags, NULL) f)")

# the flag of its row that a filter asks for (migrations/product_flags.py)
FLAGS = {"in_stock": p.c.is_in_stock, "has_variants": p.c.has_variants}


def _products(body: str, *conditions: ColumnElement[bool]) -> PlainList:
    def query(sort: Sort) -> Select[Any]:
        of_tenant = p.c.tenant_id == bindparam("tenant_id")
        return select(sort.column, p.c.id, literal_column(body)).where(of_tenant, *conditions)

    return PlainList(query, p.c.id)


ALL_PRODUCTS = _products(PRODUCT_JSON)
PUBLIC_PRODUCTS = _products(PUBLIC_PRODUCT_JSON, p.c.status == literal_column("'active'"))


def sku_spellings(asked: str) -> list[str]:
    """The SKUs that words may stand for: as written, in capitals and in small letters."""
    code = asked.strip()
    return sorted({code, code.upper(), code.lower()})


class CatalogRepository(Repository):
    """Products and variants of one tenant."""

    def list_products(
        self, filters: dict[str, Any], page: PageRequest, *, is_public: bool = False
    ) -> KeysetPage:
        """A page of products, whole; `is_public`: active ones only, without their cost."""
        if filters.keys() <= PAGING:
            return (PUBLIC_PRODUCTS if is_public else ALL_PRODUCTS).fetch(self.session, page)
        body = PUBLIC_PRODUCT_JSON if is_public else PRODUCT_JSON
        query = select(page.sort.column, p.c.id, literal_column(body))
        return fetch_page(self.session, self._filtered(query, filters, is_public), p.c.id, page)

    def count_products(self, filters: dict[str, Any], *, is_public: bool = False) -> int:
        """How many products the filters leave."""
        query = self._filtered(select(func.count()).select_from(p), filters, is_public)
        return self.session.execute(query).scalar_one()

    def exists(self, product_id: UUID, *, is_public: bool = False) -> bool:
        """Whether there is such a product; `is_public`: an active one."""
        query = select(p.c.id).where(p.c.tenant_id == self.tenant_id, p.c.id == product_id)
        if is_public:
            query = query.where(p.c.status == "active")
        return self.session.execute(query).first() is not None

    def find_public_product(self, product_id: UUID) -> AnyRow | None:
        """An active product's resource row, without its cost."""
        return self._find(PUBLIC_PRODUCT, product_id)

    def _find(self, query: str, product_id: UUID) -> AnyRow | None:
        values = {"tenant_id": self.tenant_id, "product_id": product_id}
        return next(iter(self.session.fetch(query, values)), None)

    def _filtered(
        self, query: Select[Any], filters: dict[str, Any], is_public: bool
    ) -> Select[Any]:
        query = query.where(p.c.tenant_id == self.tenant_id)
        if is_public:
            query = query.where(p.c.status == "active")
        if "status" in filters:
            query = query.where(p.c.status.in_(known_list(filters["status"])))
        for name, bounded in BOUNDS.items():
            if name in filters:
                query = query.where(bounded(filters[name]))
        if "tags" in filters:
            query = query.where(self._tagged(filters["tags"]))
        for name, flag in FLAGS.items():
            if name in filters:
                query = query.where(flag if filters[name] else ~flag)
        if "external_id" in filters:
            query = query.where(p.c.external_id == filters["external_id"])
        if "search" in filters:
            found = FOUND.bindparams(
                tenant_id=self.tenant_id,
                asked=filters["search"],
                codes=sku_spellings(filters["search"]),
                status="active" if is_public else None,
                searched_rows=SEARCHED_ROWS,
            )
            query = query.where(found)
        if "category" in filters:
            tree = CategoryRepository(self.session).tree_of(filters["category"])
            in_tree = exists().where(
                product_categories.c.tenant_id == p.c.tenant_id,
                product_categories.c.product_id == p.c.id,
                product_categories.c.category_id.in_(known_list(tree)),
            )
            query = query.where(in_tree)
        return query

    def _tagged(self, tags: list[str]) -> ColumnElement[bool] | TextClause:
        found = self.session.execute(IS_RARE, {"tags": tags, "rare_rows": RARE_ROWS})
        return TAGGED.bindparams(tags=tags) if found.scalar_one() else p.c.tags.contains(tags)

    def find_product(self, product_id: UUID, *, for_update: bool = False) -> Row[Any] | None:
        """A product's resource row, with what a change needs to know of it."""
        query = PRODUCT_FOR_UPDATE if for_update else PRODUCT
        return self._find(query, product_id)

    def add_product(
        self,
        values: dict[str, Any],
        category_ids: list[UUID],
        variant_rows: list[dict[str, Any]],
    ) -> None:
        """Insert a product with its categories and variants."""
        self.session.execute(insert(products).values(tenant_id=self.tenant_id, **values))
        self.set_categories(values["id"], category_ids)
        self.session.execute(
            insert(variants), [{"tenant_id": self.tenant_id, **row} for row in variant_rows]
        )

    def add_images(self, rows: list[dict[str, Any]]) -> None:
        """Insert images of a new product."""
        self.session.execute(
            insert(product_images), [{"tenant_id": self.tenant_id, **row} for row in rows]
        )

    def change_product(self, product_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows. Of `seo` those named change."""
        if "seo" in values:
            merged = products.c.seo.concat(literal(values["seo"], JSONB))
            values = {**values, "seo": func.jsonb_strip_nulls(merged)}
        self.session.execute(
            update(products)
            .where(products.c.tenant_id == self.tenant_id, products.c.id == product_id)
            .values(version=products.c.version + 1, **values)
        )

    def set_categories(self, product_id: UUID, category_ids: list[UUID]) -> None:
        """The product is in exactly these categories."""
        self.session.execute(
            delete(product_categories).where(
                product_categories.c.tenant_id == self.tenant_id,
                product_categories.c.product_id == product_id,
            )
        )
        if category_ids:
            self.session.execute(
                insert(product_categories),
                [
                    {
                        "tenant_id": self.tenant_id,
                        "product_id": product_id,
                        "category_id": category_id,
                    }
                    for category_id in sorted(set(category_ids))
                ],
            )

    def delete_product(self, product_id: UUID) -> None:
        """Delete a product, its variants and their stock; refused when it is on an order."""
        self.session.execute(
            delete(products).where(
                products.c.tenant_id == self.tenant_id, products.c.id == product_id
            )
        )

    def tenant_terms(self) -> AnyRow:
        """The `currency` prices are in, until the commit, and the tenant's `low_stock_alert`."""
        return self.session.execute(TENANT_TERMS, {"id": self.tenant_id}).one()
