"""SQL of variants as resources of their own. What a product shows of them is the catalogue's."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.models import order_lines, products, variants

w = variants.alias("w")
p = products.alias("p")

VARIANT_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT w.id, w.product_id, w.title,
    coalesce(w.sku, p.sku) AS sku, json_money(coalesce(w.price, p.price), p.currency) AS price,
    w.price IS NULL AS inherits_price,
    json_money(coalesce(w.cost_price, p.cost_price), p.currency) AS cost_price,
    json_build_object('track_quantity', w.track_quantity, 'quantity', s.quantity,
        'reserved_quantity', s.reserved, 'available_quantity', s.quantity - s.reserved,
        'low_stock_alert', w.low_stock_alert, 'allow_backorder', w.allow_backorder) AS inventory,
    w.weight_grams, w.options, w.position, w.external_id,
    json_instant(w.created_at) AS created_at, json_instant(w.updated_at) AS updated_at
    FROM (SELECT coalesce(sum(l.quantity), 0) AS quantity, coalesce(sum(l.reserved), 0) AS reserved
        FROM stock_levels l WHERE l.tenant_id = w.tenant_id AND l.variant_id = w.id) s) r)
"""
# What a publishable key sees: a page's script must not know what the shop paid.
PUBLIC_VARIANT_JSON = VARIANT_JSON.replace(
    "json_money(coalesce(w.cost_price, p.cost_price), p.currency) AS cost_price",
    "NULL::numeric AS cost_price",
)

VARIANT_SORTS = {"position": Sort("position", w.c.position, str, int)}


class VariantRepository(Repository):
    """Variants of one tenant's products."""

    def list_page(
        self, product_id: UUID, page: PageRequest, *, is_public: bool = False
    ) -> KeysetPage:
        """A page of a product's variants; `is_public`: without their cost."""
        body = PUBLIC_VARIANT_JSON if is_public else VARIANT_JSON
        query = self._of(select(page.sort.column, w.c.id, literal_column(body)), product_id)
        return fetch_page(self.session, query, w.c.id, page)

    def count(self, product_id: UUID) -> int:
        """How many variants the product has."""
        query = select(func.count()).where(
            w.c.tenant_id == self.tenant_id, w.c.product_id == product_id
        )
        return self.session.execute(query).scalar_one()

    def _of(self, query: Any, product_id: UUID) -> Any:
        joined = (p.c.tenant_id == w.c.tenant_id) & (p.c.id == w.c.product_id)
        return query.select_from(w.join(p, joined)).where(
            w.c.tenant_id == self.tenant_id, w.c.product_id == product_id
        )

    def find(
        self, product_id: UUID, variant_id: UUID, *, is_public: bool = False
    ) -> Row[Any] | None:
        """A variant's resource row."""
        body = PUBLIC_VARIANT_JSON if is_public else VARIANT_JSON
        query = self._of(
            select(w.c.id, w.c.version, literal_column(body).label("body")), product_id
        )
        return self.session.execute(query.where(w.c.id == variant_id)).first()

    def list_options(self, product_id: UUID) -> list[Row[Any]]:
        """Id, position and options of each variant of the product."""
        query = select(w.c.id, w.c.position, w.c.options).where(
            w.c.tenant_id == self.tenant_id, w.c.product_id == product_id
        )
        return list(self.session.execute(query.order_by(w.c.position, w.c.id)))

    def is_sold(self, variant_id: UUID) -> bool:
        """Whether the variant is on an order."""
        query = select(order_lines.c.id).where(
            order_lines.c.tenant_id == self.tenant_id, order_lines.c.variant_id == variant_id
        )
        return self.session.execute(query.limit(1)).first() is not None

    def add(self, values: dict[str, Any]) -> None:
        """Insert a variant."""
        self.session.execute(insert(variants).values(tenant_id=self.tenant_id, **values))

    def change(self, variant_id: UUID, values: dict[str, Any], now: datetime) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(variants)
            .where(variants.c.tenant_id == self.tenant_id, variants.c.id == variant_id)
            .values(version=variants.c.version + 1, updated_at=now, **values)
        )

    def delete(self, variant_id: UUID) -> None:
        """Delete a variant and its stock; refused when it is on an order."""
        self.session.execute(
            delete(variants).where(
                variants.c.tenant_id == self.tenant_id, variants.c.id == variant_id
            )
        )
