"""SQL of locations, stock levels and the ledger."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Row,
    Select,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.known_values import known, known_list
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import locations, sessions, stock_levels, stock_movements, variants

a = locations.alias("a")
s = stock_levels.alias("s")
m = stock_movements.alias("m")
v = variants.alias("v")

LOCATION_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT a.id, a.name, a.code, a.is_default,
    json_instant(a.created_at) AS created_at, json_instant(a.updated_at) AS updated_at) r)
"""
STOCK_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT s.variant_id, v.product_id, s.location_id,
    coalesce(v.sku, p.sku) AS sku, s.quantity, s.reserved AS reserved_quantity,
    s.quantity - s.reserved AS available_quantity, v.low_stock_alert,
    json_instant(s.updated_at) AS updated_at
    FROM variants v JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id
    WHERE v.tenant_id = s.tenant_id AND v.id = s.variant_id) r)
"""

LOCATION_SORTS = {
    "created_at": Sort("created_at", a.c.created_at, format_instant, datetime.fromisoformat)
}
MOVEMENT_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT m.id, m.variant_id, m.location_id, m.quantity_delta,
    m.reserved_delta, m.reason, m.order_id, m.note, m.actor,
    json_instant(m.created_at) AS created_at) r)
"""
# of the variants a SKU is shown with: their own, or their product's
OF_SKU = text("""s.variant_id IN (
    SELECT w.id FROM variants w WHERE w.tenant_id = :tenant_id AND w.sku = :sku
    UNION ALL SELECT w.id FROM products p
    JOIN variants w ON w.tenant_id = p.tenant_id AND w.product_id = p.id
    WHERE p.tenant_id = :tenant_id AND p.sku = :sku AND w.sku IS NULL)
""")
STOCK_SORTS = {"variant_id": Sort("variant_id", s.c.variant_id, str, UUID)}
MOVEMENT_SORTS = {
    "created_at": Sort("created_at", m.c.created_at, format_instant, datetime.fromisoformat)
}

# Rows are locked in key order, so that two calls never wait for each other in a circle. An absent
# level counts as 0 and is made.
LOCK_LEVELS = """
SELECT w.position, w.variant_id, w.location_id, s.quantity, s.reserved, v.product_id,
       v.allow_backorder, v.low_stock_alert
FROM unnest(%(variant_ids)s::uuid[], %(location_ids)s::uuid[])
     WITH ORDINALITY AS w (variant_id, location_id, position)
LEFT JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = w.variant_id
LEFT JOIN LATERAL (
    SELECT quantity, reserved FROM stock_levels l
    WHERE l.tenant_id = %(tenant_id)s AND l.variant_id = w.variant_id
      AND l.location_id = w.location_id
) s ON true
ORDER BY w.position
"""
ENSURE_LEVELS = """
INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity, reserved, updated_at)
SELECT %(tenant_id)s, w.variant_id, w.location_id, 0, 0, %(now)s
FROM unnest(%(variant_ids)s::uuid[], %(location_ids)s::uuid[]) AS w (variant_id, location_id)
JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = w.variant_id
JOIN locations p ON p.tenant_id = %(tenant_id)s AND p.id = w.location_id
ORDER BY w.variant_id, w.location_id
ON CONFLICT DO NOTHING
"""
LOCK_IN_ORDER = """
SELECT 1 FROM stock_levels l
WHERE l.tenant_id = %(tenant_id)s AND (l.variant_id, l.location_id) IN (
    SELECT * FROM unnest(%(variant_ids)s::uuid[], %(location_ids)s::uuid[]))
ORDER BY l.variant_id, l.location_id FOR UPDATE
"""
ADJUST = """
WITH w AS (
    SELECT * FROM unnest(
        %(variant_ids)s::uuid[], %(location_ids)s::uuid[], %(deltas)s::int[],
        %(movement_ids)s::uuid[]
    ) AS w (variant_id, location_id, delta, movement_id)
), changed AS (
    UPDATE stock_levels l SET quantity = l.quantity + w.delta,
        is_backordered = l.is_backordered AND l.quantity + w.delta < 0, updated_at = %(now)s
    FROM w WHERE l.tenant_id = %(tenant_id)s AND l.variant_id = w.variant_id
      AND l.location_id = w.location_id
    RETURNING l.variant_id
)
INSERT INTO stock_movements (tenant_id, id, variant_id, location_id, quantity_delta,
    reserved_delta, reason, actor, note, created_at)
SELECT %(tenant_id)s, w.movement_id, w.variant_id, w.location_id, w.delta, 0, %(reason)s,
       %(actor)s, %(note)s, %(now)s
FROM w WHERE w.delta <> 0
"""
NAME_LEVELS = """
SELECT v.id AS variant_id, a.id AS location_id,
    CASE WHEN v.title = 'Default' THEN p.name ELSE p.name || ' – ' || v.title END AS title,
    coalesce(v.sku, p.sku) AS sku, a.name AS location
FROM unnest(%(variant_ids)s::uuid[], %(location_ids)s::uuid[]) AS w (variant_id, location_id)
JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = w.variant_id
JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id
JOIN locations a ON a.tenant_id = v.tenant_id AND a.id = w.location_id
"""
# Variants without a level get one; that another order made meanwhile is as good.
HOLD_BACKORDERS = """
WITH w AS (
    SELECT w.*, v.product_id, v.low_stock_alert, a.id AS location_id FROM unnest(
        %(variant_ids)s::uuid[], %(quantities)s::int[], %(movement_ids)s::uuid[]
    ) AS w (variant_id, wanted, movement_id)
    JOIN variants v ON v.tenant_id = %(tenant_id)s AND v.id = w.variant_id AND v.allow_backorder
    JOIN locations a ON a.tenant_id = %(tenant_id)s AND a.is_default
), held AS (
    INSERT INTO stock_levels AS s (tenant_id, variant_id, location_id, quantity, reserved,
        updated_at)
    SELECT %(tenant_id)s, w.variant_id, w.location_id, 0, w.wanted, %(now)s
    FROM w ORDER BY w.variant_id
    ON CONFLICT (tenant_id, variant_id, location_id)
    DO UPDATE SET reserved = s.reserved + EXCLUDED.reserved, updated_at = EXCLUDED.updated_at
    RETURNING s.variant_id, s.location_id, s.quantity - s.reserved AS available
), moved AS (
    INSERT INTO stock_movements (tenant_id, id, variant_id, location_id, quantity_delta,
        reserved_delta, reason, order_id, actor, created_at)
    SELECT %(tenant_id)s, w.movement_id, w.variant_id, w.location_id, 0, w.wanted, 'reserved',
        %(order_id)s, %(actor)s, %(now)s FROM w
)
SELECT h.variant_id, w.product_id, w.low_stock_alert, h.location_id,
    h.available + w.wanted AS available
FROM held h JOIN w USING (variant_id)
"""


class InventoryRepository(Repository):
    """Locations and stock of one tenant."""

    def list_locations(self, page: PageRequest) -> KeysetPage:
        """A page of locations."""
        query = select(page.sort.column, a.c.id, literal_column(LOCATION_JSON)).where(
            a.c.tenant_id == self.tenant_id
        )
        return fetch_page(self.session, query, a.c.id, page)

    def count_locations(self) -> int:
        """How many locations there are."""
        query = select(func.count()).where(locations.c.tenant_id == self.tenant_id)
        return self.session.execute(query).scalar_one()

    def find_location(self, location_id: UUID, *, for_update: bool = False) -> Row[Any] | None:
        """A location's resource row."""
        query = select(
            a.c.id, a.c.version, a.c.is_default, literal_column(LOCATION_JSON).label("body")
        ).where(a.c.tenant_id == self.tenant_id, a.c.id == location_id)
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def default_location_id(self) -> UUID:
        """The location meant when none is named."""
        found: UUID = self.session.execute(
            select(a.c.id).where(a.c.tenant_id == self.tenant_id, a.c.is_default)
        ).scalar_one()
        return found

    def add_location(self, values: dict[str, Any]) -> None:
        """Insert a location."""
        self.session.execute(insert(locations).values(tenant_id=self.tenant_id, **values))

    def change_location(self, location_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(locations)
            .where(locations.c.tenant_id == self.tenant_id, locations.c.id == location_id)
            .values(version=locations.c.version + 1, **values)
        )

    def lock_default(self) -> None:
        """Let one change of the default location at a time be made: two would collide."""
        self.session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": f"default location {self.tenant_id}"},
        )

    def unset_default(self, now: datetime) -> None:
        """No location is the default: another is made it next."""
        self.session.execute(
            update(locations)
            .where(locations.c.tenant_id == self.tenant_id, locations.c.is_default)
            .values(is_default=False, version=locations.c.version + 1, updated_at=now)
        )

    def delete_empty_levels(self, location_id: UUID) -> list[UUID]:
        """Drop the location's levels without stock, and tell whose they were; those with stock or a
        hold stay, locked."""
        at = (s.c.tenant_id == self.tenant_id, s.c.location_id == location_id)
        levels = select(s.c.variant_id).where(*at).order_by(s.c.variant_id)
        # locked first: a level is emptied or filled before or after, not meanwhile
        self.session.execute(levels.with_for_update())
        deleted = self.session.execute(
            delete(stock_levels)
            .where(
                stock_levels.c.tenant_id == self.tenant_id,
                stock_levels.c.location_id == location_id,
                stock_levels.c.quantity == 0,
                stock_levels.c.reserved == 0,
            )
            .returning(stock_levels.c.variant_id)
        )
        return list(deleted.scalars())

    def has_levels(self, location_id: UUID) -> bool:
        """Whether the location has a stock level, be it empty."""
        query = select(s.c.variant_id).where(
            s.c.tenant_id == self.tenant_id, s.c.location_id == location_id
        )
        return self.session.execute(query.limit(1)).first() is not None

    def has_sessions(self, location_id: UUID) -> bool:
        """Whether a session is, or was, at the location."""
        query = select(sessions.c.id).where(
            sessions.c.tenant_id == self.tenant_id, sessions.c.location_id == location_id
        )
        return self.session.execute(query.limit(1)).first() is not None

    def delete_location(self, location_id: UUID) -> None:
        """Delete a location at which no stock and no session is."""
        self.session.execute(
            delete(locations).where(
                locations.c.tenant_id == self.tenant_id, locations.c.id == location_id
            )
        )

    def list_movements(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of the ledger."""
        query = select(page.sort.column, m.c.id, literal_column(MOVEMENT_JSON))
        return fetch_page(self.session, self._moved(query, filters), m.c.id, page)

    def count_movements(self, filters: dict[str, Any]) -> int:
        """How many movements the filters leave."""
        query = self._moved(select(func.count()).select_from(m), filters)
        return self.session.execute(query).scalar_one()

    def _moved(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(m.c.tenant_id == self.tenant_id)
        for name in ("variant_id", "location_id", "order_id"):
            if name in filters:
                query = query.where(m.c[name] == filters[name])
        if "reason" in filters:
            query = query.where(m.c.reason.in_(known_list(filters["reason"])))
        if "created_after" in filters:
            query = query.where(m.c.created_at > known(filters["created_after"]))
        if "created_before" in filters:
            query = query.where(m.c.created_at < known(filters["created_before"]))
        return query

    def list_stock(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of stock levels, by variant and location."""
        query = select(page.sort.column, s.c.location_id, literal_column(STOCK_JSON))
        return fetch_page(self.session, self._filtered(query, filters), s.c.location_id, page)

    def count_stock(self, filters: dict[str, Any]) -> int:
        """How many stock levels the filters leave."""
        query = self._filtered(select(func.count()).select_from(s), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(s.c.tenant_id == self.tenant_id)
        if "variant_id" in filters:
            query = query.where(s.c.variant_id.in_(filters["variant_id"]))
        if "sku" in filters:
            of_sku = OF_SKU.bindparams(tenant_id=self.tenant_id, sku=filters["sku"])
            query = query.where(of_sku)
        if "location_id" in filters:
            query = query.where(s.c.location_id == filters["location_id"])
        # every level has a variant
        its_variant = (v.c.tenant_id == s.c.tenant_id) & (v.c.id == s.c.variant_id)
        if "product_id" in filters:
            of_products = v.c.product_id.in_(filters["product_id"])
            query = query.where(exists().where(its_variant, of_products))
        if "low_stock" in filters:
            is_low = s.c.quantity - s.c.reserved <= v.c.low_stock_alert
            low = exists().where(its_variant, v.c.low_stock_alert.is_not(None), is_low)
            query = query.where(low if filters["low_stock"] else ~low)
        return query

    def lock_levels(
        self, variant_ids: list[UUID], location_ids: list[UUID], now: datetime
    ) -> list[Row[Any]]:
        """The levels named, locked; one row each in the order asked.

        product_id is None where there is no such variant, quantity where no such location.
        """
        arguments = {
            "tenant_id": self.tenant_id,
            "variant_ids": variant_ids,
            "location_ids": location_ids,
            "now": now,
        }
        connection = self.session.connection
        connection.exec_driver_sql(ENSURE_LEVELS, arguments)
        connection.exec_driver_sql(LOCK_IN_ORDER, arguments)
        return list(connection.exec_driver_sql(LOCK_LEVELS, arguments))

    def hold_backorders(self, arguments: dict[str, Any]) -> list[Row[Any]]:
        """Hold units of those that may be backordered at the default location; their levels, as
        `OrderRepository.reserve` tells them.
        """
        return list(
            self.session.connection.exec_driver_sql(
                HOLD_BACKORDERS, {"tenant_id": self.tenant_id, **arguments}
            )
        )

    def name_levels(
        self, variant_ids: list[UUID], location_ids: list[UUID]
    ) -> dict[tuple[UUID, UUID], Row[Any]]:
        """What people call each variant, and the place where it lies: title, sku, location."""
        named = {"variant_ids": variant_ids, "location_ids": location_ids}
        rows = self.session.connection.exec_driver_sql(
            NAME_LEVELS, {"tenant_id": self.tenant_id, **named}
        )
        return {(row.variant_id, row.location_id): row for row in rows}

    def adjust(self, arguments: dict[str, Any]) -> None:
        """Add deltas to locked levels, with their ledger rows."""
        self.session.connection.exec_driver_sql(ADJUST, {"tenant_id": self.tenant_id, **arguments})
