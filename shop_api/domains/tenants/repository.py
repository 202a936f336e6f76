"""SQL of tenants."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Row,
    Select,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository, TenantSession
from shop_api.db.types import AnyRow
from shop_api.kernel.clock import format_instant
from shop_api.kernel.ids import new_id
from shop_api.models import locations, tenant_counters, tenants

TENANT_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT t.id, t.name, t.slug, t.plan, t.currency, t.timezone,
    t.prices_include_tax, t.cors_origins,
    json_build_object('order_hold_minutes', t.settings->'order_hold_minutes',
        'low_stock_alert', t.settings->'low_stock_alert',
        'report_hour', t.settings->'report_hour', 'country', t.settings->'country',
        'region', t.settings->'region') AS settings,
    json_build_object('requests', t.rate_limits->'requests', 'burst', t.rate_limits->'burst',
        'analytics', t.rate_limits->'analytics', 'graphql', t.rate_limits->'graphql',
        'mutations', t.rate_limits->'mutations',
        'subscriptions', t.rate_limits->'subscriptions') AS rate_limits,
    json_instant(t.created_at) AS created_at, json_instant(t.updated_at) AS updated_at) r)
"""

t = tenants.alias("t")

TENANTS_BY_CREATED_AT = Sort("created_at", t.c.created_at, format_instant, datetime.fromisoformat)

# The transaction then sees all tenants' own records.
SHOW_TENANTS = text("SELECT set_config('app.shows_tenants_from', :first, true)")
FROM_THE_FIRST = {"first": str(UUID(int=0))}

# What holds amounts in the tenant's currency, or is about to.
PRICED = text("""
SELECT w.holder FROM (VALUES
    (1, 'orders', EXISTS (SELECT FROM orders WHERE tenant_id = :tenant_id)),
    (2, 'sessions', EXISTS (SELECT FROM sessions WHERE tenant_id = :tenant_id)),
    (3, 'products', EXISTS (SELECT FROM products WHERE tenant_id = :tenant_id)),
    (4, 'discounts', EXISTS (SELECT FROM discounts WHERE tenant_id = :tenant_id)),
    (5, 'shipping rates', EXISTS (SELECT FROM shipping_rates WHERE tenant_id = :tenant_id)),
    (6, 'exchange rates', EXISTS (SELECT FROM exchange_rates WHERE tenant_id = :tenant_id)),
    (7, 'imports that run', EXISTS (SELECT FROM jobs WHERE tenant_id = :tenant_id
        AND kind = 'import' AND state IN ('queued', 'running')))
) AS w (position, holder, is_there) WHERE w.is_there ORDER BY w.position
""")


def list_origins(connection: Connection) -> frozenset[str]:
    """The browser origins that tenants list, all of them."""
    connection.execute(SHOW_TENANTS, FROM_THE_FIRST)
    found = select(func.unnest(tenants.c.cors_origins)).distinct()
    return frozenset(connection.execute(found).scalars())


class TenantRepository(Repository):
    """The tenant's own record."""

    def find(self, *, for_update: bool = False) -> Row[Any] | None:
        """The tenant's resource row, with currency and timezone."""
        query = select(
            t.c.id,
            t.c.version,
            t.c.currency,
            t.c.timezone,
            t.c.plan,
            t.c.rate_limits,
            t.c.name,
            t.c.prices_include_tax,
            literal_column(TENANT_JSON).label("body"),
        ).where(t.c.id == self.tenant_id)
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def add(self, values: dict[str, Any]) -> None:
        """Insert the tenant with its counters and its default location."""
        now: datetime = values["created_at"]
        self.session.execute(insert(tenants).values(id=self.tenant_id, **values))
        self.session.execute(
            insert(tenant_counters),
            [{"tenant_id": self.tenant_id, "name": name} for name in ("event", "order")],
        )
        self.session.execute(
            insert(locations).values(
                tenant_id=self.tenant_id,
                id=new_id(now),
                name="Main",
                code="main",
                is_default=True,
                created_at=now,
                updated_at=now,
            )
        )

    def list_priced(self) -> list[str]:
        """What there is in the tenant's currency."""
        found = self.session.execute(PRICED, {"tenant_id": self.tenant_id})
        return list(found.scalars())

    def change(self, values: dict[str, Any]) -> None:
        """Update some columns; the version grows. Of `settings` and `rate_limits` those named
        change."""
        for name in {"settings", "rate_limits"} & values.keys():
            merged = tenants.c[name].concat(literal(values[name], JSONB))
            values = {**values, name: func.jsonb_strip_nulls(merged)}
        self.session.execute(
            update(tenants)
            .where(tenants.c.id == self.tenant_id)
            .values(version=tenants.c.version + 1, **values)
        )


class TenantDirectory:
    """All tenants' own records, for the platform and for reading only."""

    def __init__(self, session: TenantSession) -> None:
        self.session = session
        session.execute(SHOW_TENANTS, FROM_THE_FIRST)

    def find(self, tenant_id: UUID) -> AnyRow | None:
        """A tenant's resource row."""
        query = select(t.c.id, t.c.version, literal_column(TENANT_JSON).label("body"))
        return self.session.execute(query.where(t.c.id == tenant_id)).first()

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of tenants."""
        query = select(t.c.created_at, t.c.id, literal_column(TENANT_JSON))
        return fetch_page(self.session, _filtered(query, filters), t.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many tenants there are."""
        query = select(func.count()).select_from(t)
        return self.session.execute(_filtered(query, filters)).scalar_one()


def _filtered(query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
    for name in ("plan", "slug"):
        if name in filters:
            query = query.where(t.c[name] == filters[name])
    return query
