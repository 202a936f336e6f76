"""SQL of products and variants. One representation each, used by every answer."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
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
    stock_levels,
    variants,
)

p = products.alias("p")

# From the lake, by a job; NULL where nothing is known.
STATS = {
    "total_sales": "json_money(p.total_sales, p.currency)",
    "conversion_rate": "trim_scale(p.conversion_rate_ratio)",
    "profit_margin": "trim_scale(p.profit_margin_ratio)",
    "stats_as_of": "(SELECT json_instant(t.as_of) FROM product_stats t"
    " WHERE t.tenant_id = p.tenant_id)",
}

PRODUCT_JSON = """
(SELECT row_to_json(r)::text FROM (
    SELECT p.id, p.tenant_id, p.name, p.description, p.sku,
        json_money(p.price, p.currency) AS price,
        json_money(p.compare_price, p.currency) AS compare_price,
        json_money(p.cost_price, p.currency) AS cost_price,
        p.currency, p.status, p.tax_class,
        json_build_object('track_quantity', v.track_quantity, 'quantity', v.quantity,
            'reserved_quantity', v.reserved, 'available_quantity', v.quantity - v.reserved,
            'low_stock_alert', v.low_stock_alert, 'allow_backorder', v.allow_backorder
        ) AS inventory,
        coalesce(v.variants, '[]') AS variants,
        (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.name, k.id), '[]') FROM (
            SELECT c.id, c.name, c.slug FROM product_categories pc
            JOIN categories c ON c.tenant_id = pc.tenant_id AND c.id = pc.category_id
            WHERE pc.tenant_id = p.tenant_id AND pc.product_id = p.id) k) AS categories,
        (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.position, k.id), '[]') FROM (
            SELECT i.id, i.url, i.alt_text, i.position, i.width, i.height, i.variant_id
            FROM product_images i
            WHERE i.tenant_id = p.tenant_id AND i.product_id = p.id) k) AS images,
        p.tags, json_build_object('title', p.seo->'title', 'description', p.seo->'description',
            'slug', p.seo->'slug') AS seo, p.external_id,
        (NOT v.track_quantity OR v.allow_backorder OR v.quantity > v.reserved) AS is_in_stock,
        {stats},
        json_instant(p.created_at) AS created_at, json_instant(p.updated_at) AS updated_at
    FROM (
        SELECT coalesce(bool_and(x.track_quantity), false) AS track_quantity,
            coalesce(bool_or(x.allow_backorder), false) AS allow_backorder,
            coalesce(sum(x.quantity), 0) AS quantity, coalesce(sum(x.reserved), 0) AS reserved,
            min(x.low_stock_alert) AS low_stock_alert,
            json_agg(json_build_object('id', x.id, 'title', x.title, 'sku', coalesce(x.sku, p.sku),
                'price', json_money(coalesce(x.price, p.price), p.currency),
                'inventory', json_build_object('track_quantity', x.track_quantity,
                    'quantity', x.quantity, 'reserved_quantity', x.reserved,
                    'available_quantity', x.quantity - x.reserved,
                    'low_stock_alert', x.low_stock_alert, 'allow_backorder', x.allow_backorder),
                'weight_grams', x.weight_grams,
                'options', x.options) ORDER BY x.position, x.id) AS variants
        FROM (
            SELECT w.id, w.title, w.sku, w.price, w.options, w.weight_grams, w.position,
                w.track_quantity, w.allow_backorder, w.low_stock_alert,
                coalesce(sum(s.quantity), 0) AS quantity, coalesce(sum(s.reserved), 0) AS reserved
            FROM variants w
            LEFT JOIN stock_levels s ON s.tenant_id = w.tenant_id AND s.variant_id = w.id
            WHERE w.tenant_id = p.tenant_id AND w.product_id = p.id
            GROUP BY w.tenant_id, w.id
        ) x
    ) v
) r)
"""

# What a publishable key sees: a page's script must not know what the shop paid, nor what it sells,
# nor categories not shown yet.
PUBLIC_PRODUCT_JSON = (
    PRODUCT_JSON.replace(
        "json_money(p.cost_price, p.currency) AS cost_price", "NULL::numeric AS cost_price"
    )
    .replace("c.id = pc.category_id", "c.id = pc.category_id AND c.is_active")
    .replace("{stats}", ", ".join(f"NULL AS {name}" for name in STATS))
)
PRODUCT_JSON = PRODUCT_JSON.replace(
    "{stats}", ", ".join(f"{value} AS {name}" for name, value in STATS.items())
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

w = variants.alias("w")
s = stock_levels.alias("s")
_OF_PRODUCT = (w.c.tenant_id == p.c.tenant_id) & (w.c.product_id == p.c.id)
# A variant can be sold: it is not counted, it may go below zero, or some of it is free.
IN_STOCK = exists().where(
    _OF_PRODUCT,
    ~w.c.track_quantity
    | w.c.allow_backorder
    | exists().where(
        s.c.tenant_id == w.c.tenant_id, s.c.variant_id == w.c.id, s.c.quantity > s.c.reserved
    ),
)
HAS_VARIANTS = select(func.count()).where(_OF_PRODUCT).scalar_subquery() > 1


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
            query = query.where(p.c.tags.contains(filters["tags"]))
        for name, condition in (("in_stock", IN_STOCK), ("has_variants", HAS_VARIANTS)):
            if name in filters:
                query = query.where(condition if filters[name] else ~condition)
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
