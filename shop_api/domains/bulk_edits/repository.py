"""SQL that changes or deletes many products: as many statements for a thousand as for one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import literal_column, select, text

from shop_api.db.json import encode_json
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.domains.catalog.repository import p
from shop_api.domains.product_documents.repository import PRODUCT_JSON

# What an item may change of a product; its categories are rows of their own.
COLUMNS = (
    "name",
    "description",
    "sku",
    "price",
    "compare_price",
    "cost_price",
    "status",
    "tax_class",
    "tags",
    "seo",
    "external_id",
)

# What a column becomes; of `seo` the parts that are left out stay, too.
_VALUES = [
    "jsonb_strip_nulls(p.seo || n.seo)" if column == "seo" else f"n.{column}" for column in COLUMNS
]
# Fields an item leaves out stay: the record is populated over the row.
CHANGE = text(f"""
UPDATE products p SET
    ({", ".join(COLUMNS)}) = (
        SELECT {", ".join(_VALUES)}
        FROM jsonb_populate_record(p, d.changes) n),
    version = p.version + 1, updated_at = :now
FROM jsonb_to_recordset(CAST(:edits AS jsonb)) AS d (id uuid, changes jsonb)
WHERE p.tenant_id = :tenant_id AND p.id = d.id
""")

SET_CATEGORIES = text("""
WITH wanted AS (
    SELECT d.id AS product_id, d.category_ids
    FROM jsonb_to_recordset(CAST(:memberships AS jsonb)) AS d (id uuid, category_ids uuid[])
), gone AS (
    DELETE FROM product_categories pc USING wanted w
    WHERE pc.tenant_id = :tenant_id AND pc.product_id = w.product_id
        AND pc.category_id <> ALL (w.category_ids)
)
INSERT INTO product_categories (tenant_id, product_id, category_id)
SELECT DISTINCT CAST(:tenant_id AS uuid), w.product_id, c.id
FROM wanted w CROSS JOIN LATERAL unnest(w.category_ids) AS c (id)
ON CONFLICT DO NOTHING
""")

FIND_HOLDERS = text("""
SELECT 'sku' AS field, sku AS value, id FROM products
WHERE tenant_id = :tenant_id AND sku = ANY(:skus)
UNION ALL
SELECT 'external_id', external_id, id FROM products
WHERE tenant_id = :tenant_id AND external_id = ANY(:external_ids)
""")

FIND_SOLD = text("""
SELECT product_id FROM order_lines
WHERE tenant_id = :tenant_id AND product_id = ANY(:ids)
UNION
SELECT v.product_id FROM variants v
JOIN order_lines l ON l.tenant_id = v.tenant_id AND l.variant_id = v.id
WHERE v.tenant_id = :tenant_id AND v.product_id = ANY(:ids)
""")


class BulkEditRepository(Repository):
    """Many products of one tenant at once."""

    def lock_products(
        self, ids: Sequence[UUID], *, changes_keys: bool = True
    ) -> dict[UUID, AnyRow]:
        """Hold those of the products that exist, in id order, so that two calls never wait in a
        circle. Orders of them go on meanwhile, unless `changes_keys`: their SKUs or ids go."""
        query = (
            select(p.c.id, p.c.version, p.c.currency)
            .where(p.c.tenant_id == self.tenant_id, p.c.id.in_(ids))
            .order_by(p.c.id)
            .with_for_update(key_share=not changes_keys)
        )
        return {row.id: row for row in self.session.execute(query)}

    def read_products(self, ids: Sequence[UUID]) -> dict[UUID, AnyRow]:
        """The products' resource rows."""
        query = select(
            p.c.id, p.c.version, p.c.currency, literal_column(PRODUCT_JSON).label("body")
        ).where(p.c.tenant_id == self.tenant_id, p.c.id.in_(ids))
        return {row.id: row for row in self.session.execute(query)}

    def find_holders(self, skus: list[str], external_ids: list[str]) -> dict[tuple[str, str], UUID]:
        """Which product has each of these SKUs and external ids, by field and value."""
        rows = self.session.execute(
            FIND_HOLDERS,
            {"tenant_id": self.tenant_id, "skus": skus, "external_ids": external_ids},
        )
        return {(row.field, row.value): row.id for row in rows}

    def lock_categories(self, ids: Sequence[UUID]) -> set[UUID]:
        """Those of the categories that exist; they do until the end of the transaction."""
        rows = self.session.execute(
            text(
                "SELECT id FROM categories WHERE tenant_id = :tenant_id AND id = ANY(:ids)"
                " ORDER BY id FOR KEY SHARE"
            ),
            {"tenant_id": self.tenant_id, "ids": list(ids)},
        )
        return set(rows.scalars())

    def change_products(self, changes: dict[UUID, dict[str, Any]], now: datetime) -> None:
        """Set the columns each product's changes name; the versions grow."""
        edits = [{"id": product_id, "changes": values} for product_id, values in changes.items()]
        self.session.execute(
            CHANGE, {"tenant_id": self.tenant_id, "edits": encode_json(edits), "now": now}
        )

    def set_categories(self, memberships: dict[UUID, list[UUID]]) -> None:
        """Each product is in exactly its categories."""
        rows = [{"id": key, "category_ids": value} for key, value in memberships.items()]
        self.session.execute(
            SET_CATEGORIES, {"tenant_id": self.tenant_id, "memberships": encode_json(rows)}
        )

    def find_sold(self, ids: Sequence[UUID]) -> set[UUID]:
        """Those of the products that are on an order."""
        found = self.session.execute(FIND_SOLD, {"tenant_id": self.tenant_id, "ids": list(ids)})
        return set(found.scalars())

    def delete_products(self, ids: Sequence[UUID]) -> None:
        """Delete products with their variants and stock."""
        self.session.execute(
            text("DELETE FROM products WHERE tenant_id = :tenant_id AND id = ANY(:ids)"),
            {"tenant_id": self.tenant_id, "ids": list(ids)},
        )
