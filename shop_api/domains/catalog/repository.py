"""SQL of products: which there are, and changing them. Their JSON is product_documents'."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
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

from shop_api.db.kept_documents import KeptDocuments
from shop_api.db.keyset import PAGING, KeysetPage, PageRequest, PlainList, Sort, fetch_page
from shop_api.db.known_values import known, known_list
from shop_api.db.round_trips import written_out
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.domains.categories.repository import CategoryRepository
from shop_api.domains.product_documents.repository import (
    PRODUCT_JSON,
    PUBLIC_VIEW,
    STAFF_VIEW,
    ProductDocumentRepository,
    ProductView,
)
from shop_api.kernel.clock import format_instant
from shop_api.kernel.money import amount_rank
from shop_api.models import (
    product_categories,
    product_images,
    products,
    variants,
)

p = products.alias("p")

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

# Locked: the tenant's currency does not change before what is priced in it is seen.
TENANT_TERMS = text("""
    SELECT currency, (settings->>'low_stock_alert')::integer AS low_stock_alert
    FROM tenants WHERE id = :id FOR KEY SHARE
""")

# In key order, as orders and adjustments take them.
LOCK_STOCK = text("""
    SELECT s.variant_id, s.location_id, s.quantity - s.reserved AS available, v.product_id
    FROM stock_levels s JOIN variants v ON v.tenant_id = s.tenant_id AND v.id = s.variant_id
    WHERE s.tenant_id = :tenant_id AND v.product_id = ANY(:product_ids)
    ORDER BY s.variant_id, s.location_id FOR UPDATE OF s
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

# at most one product has it itself, and at most one has a variant that does
OF_SKU = text("""p.id IN (
    SELECT q.id FROM products q WHERE q.tenant_id = :tenant_id AND q.sku = :sku
    UNION ALL SELECT v.product_id FROM variants v WHERE v.tenant_id = :tenant_id AND v.sku = :sku)
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

# what a list tells of each of its rows: its state, or the JSON itself
STATE = "state"
BODY = "body"


def _every_product(view: ProductView, column: str) -> PlainList:
    shown = text(view.condition)
    told: ColumnElement[str] = literal_column(getattr(view, column))

    def query(sort: Sort) -> Select[Any]:
        of_tenant = p.c.tenant_id == bindparam("tenant_id")
        return select(sort.column, p.c.id, told).where(of_tenant, shown)

    return PlainList(query, p.c.id)


PLAIN_LISTS = {
    (view.name, column): _every_product(view, column)
    for view in (STAFF_VIEW, PUBLIC_VIEW)
    for column in (STATE, BODY)
}


def sku_spellings(asked: str) -> list[str]:
    """The SKUs that words may stand for: as written, in capitals and in small letters."""
    code = asked.strip()
    return sorted({code, code.upper(), code.lower()})


class CatalogRepository(Repository):
    """Products and variants of one tenant."""

    def list_products(
        self,
        filters: dict[str, Any],
        page: PageRequest,
        kept: KeptDocuments,
        *,
        is_public: bool = False,
    ) -> KeysetPage:
        """A page of products, whole; `is_public`: active ones only, without their cost.

        Which products, and the state of their rows, are asked for first; then the JSON of those
        that are not kept.
        """
        view = PUBLIC_VIEW if is_public else STAFF_VIEW
        if not kept.limit_bytes:
            return self._page(filters, page, view, BODY)
        found = self._page(filters, page, view, STATE)
        bodies = ProductDocumentRepository(self.session).current_bodies(found.rows, view, kept)
        if bodies is None:
            # written meanwhile: all from one statement
            return self._page(filters, page, view, BODY)
        return replace(found, rows=[(None, None, body) for body in bodies])

    def _page(
        self, filters: dict[str, Any], page: PageRequest, view: ProductView, column: str
    ) -> KeysetPage:
        if filters.keys() <= PAGING:
            return PLAIN_LISTS[view.name, column].fetch(self.session, page)
        told: ColumnElement[str] = literal_column(getattr(view, column))
        query = select(page.sort.column, p.c.id, told)
        query = self._filtered(query, filters, view is PUBLIC_VIEW)
        return fetch_page(self.session, query, p.c.id, page)

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
        if "sku" in filters:
            of_sku = OF_SKU.bindparams(tenant_id=self.tenant_id, sku=filters["sku"])
            query = query.where(of_sku)
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
        values = {"tenant_id": self.tenant_id, "product_id": product_id}
        return next(iter(self.session.fetch(query, values)), None)

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

    def lock_stock(self, product_ids: Sequence[UUID]) -> list[AnyRow]:
        """Hold the stock of products, before the products themselves, by whoever deletes any of it
        or changes its alert: an order holds stock first, too, and its lines then hold the product,
        so that neither waits for the other in a circle. What there is: `variant_id`, `location_id`,
        `available` and `product_id` of each level."""
        held = {"tenant_id": self.tenant_id, "product_ids": list(product_ids)}
        return list(self.session.execute(LOCK_STOCK, held))

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
