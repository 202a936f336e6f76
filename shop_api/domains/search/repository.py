"""SQL of search. What finds by words are functions in the database (migrations/search.py)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.domains.catalog.repository import sku_spellings

PRODUCTS = text("""
WITH hit AS (
    SELECT id, score FROM search_products(:asked, :status, :limit)
    UNION ALL
    SELECT v.product_id, 3 FROM variants v WHERE v.tenant_id = :tenant_id AND v.sku = ANY(:codes)
), best AS (SELECT id, max(score) AS score FROM hit GROUP BY id)
SELECT p.id, p.name, p.sku, p.status, json_money(p.price, p.currency) AS price, p.currency,
    best.score
FROM best JOIN products p ON p.tenant_id = :tenant_id AND p.id = best.id
WHERE CAST(:status AS text) IS NULL OR p.status = :status
ORDER BY best.score DESC, p.id LIMIT :limit
""")

CUSTOMERS = text("""
SELECT c.id, c.first_name, c.last_name, c.email, found.score
FROM search_customers(:asked, NULL, :limit) found
JOIN customers c ON c.tenant_id = :tenant_id AND c.id = found.id
ORDER BY found.score DESC, c.id
""")

# By number, whole or its first digits, by the id of elsewhere, or of a customer who was found.
ORDERS = text("""
WITH hit AS (
    SELECT n.id, CASE WHEN r.low + 1 = r.high THEN 3 ELSE 1 END AS score
    FROM unnest(CAST(:lows AS bigint[]), CAST(:highs AS bigint[])) r (low, high), LATERAL (
        SELECT o.id FROM orders o WHERE o.tenant_id = :tenant_id
            AND o.number >= r.low AND o.number < r.high ORDER BY o.number DESC LIMIT :limit) n
    UNION ALL
    SELECT o.id, 3 FROM orders o WHERE o.tenant_id = :tenant_id AND o.external_id = :code
    UNION ALL
    SELECT n.id, 0 FROM unnest(CAST(:customer_ids AS uuid[])) c (id), LATERAL (
        SELECT o.id FROM orders o WHERE o.tenant_id = :tenant_id AND o.customer_id = c.id
            ORDER BY o.placed_at DESC, o.id DESC LIMIT :limit) n
), best AS (SELECT id, max(score) AS score FROM hit GROUP BY id)
SELECT o.id, o.number, o.status, json_money(o.total, o.currency) AS total, o.currency,
    o.customer_id, o.external_id, json_instant(o.placed_at) AS placed_at, best.score::real AS score
FROM best JOIN orders o ON o.tenant_id = :tenant_id AND o.id = best.id
ORDER BY best.score DESC, o.placed_at DESC, o.id LIMIT :limit
""")


class SearchRepository(Repository):
    """What is found in one tenant."""

    def list_products(self, asked: str, status: str | None, limit: int) -> Sequence[AnyRow]:
        """Products by name, SKU, tags and description, or by a variant's SKU; the best first."""
        codes = sku_spellings(asked)
        return self._run(PRODUCTS, asked=asked, status=status, codes=codes, limit=limit)

    def list_customers(self, asked: str, limit: int) -> Sequence[AnyRow]:
        """Customers by name, address, telephone and tags; the best first."""
        return self._run(CUSTOMERS, asked=asked, limit=limit)

    def list_orders(
        self, ranges: list[tuple[int, int]], code: str, customer_ids: list[UUID], limit: int
    ) -> Sequence[AnyRow]:
        """Orders whose number is in a range [low, high), of an external id, or of customers."""
        lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
        known = {"lows": lows, "highs": highs, "code": code, "customer_ids": customer_ids}
        return self._run(ORDERS, limit=limit, **known)

    def _run(self, statement: Any, **values: Any) -> Sequence[AnyRow]:
        return list(self.session.execute(statement, {"tenant_id": self.tenant_id, **values}))
