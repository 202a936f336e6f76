"""SQL of discounts and of tax, shipping and exchange rates: what is kept and what prices orders."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    FromClause,
    Row,
    Select,
    Table,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import discounts, exchange_rates, shipping_rates, tax_rates

DISCOUNT_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT k.id, k.code, k.title, k.kind,
    trim_scale(k.percentage_ratio * 100) AS percentage,
    json_money(k.amount, k.currency) AS amount,
    json_money(k.minimum_subtotal, k.currency) AS minimum_subtotal,
    k.currency, k.usage_limit, k.customer_usage_limit, k.used_count,
    json_instant(k.starts_at) AS starts_at, json_instant(k.ends_at) AS ends_at, k.is_active,
    json_instant(k.created_at) AS created_at, json_instant(k.updated_at) AS updated_at) r)
"""
TAX_RATE_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT k.id, k.name, k.country, k.region, k.tax_class,
    trim_scale(k.rate_ratio) AS rate, k.applies_to_shipping, k.is_active,
    json_instant(k.created_at) AS created_at, json_instant(k.updated_at) AS updated_at) r)
"""
SHIPPING_RATE_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT k.id, k.name, k.kind, k.countries,
    json_money(k.price, k.currency) AS price,
    json_money(k.price_per_kilogram, k.currency) AS price_per_kilogram,
    k.maximum_weight_grams, json_money(k.free_from_subtotal, k.currency) AS free_from_subtotal,
    k.currency, k.is_active, json_instant(k.created_at) AS created_at,
    json_instant(k.updated_at) AS updated_at) r)
"""
EXCHANGE_RATE_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT k.id, k.currency, trim_scale(k.rate) AS rate,
    json_instant(k.effective_at) AS effective_at, json_instant(k.created_at) AS created_at,
    json_instant(k.updated_at) AS updated_at) r)
"""


@dataclass(frozen=True)
class Noun:
    """One of the things that are kept; `rows` is its table aliased `k`."""

    name: str
    table: Table
    rows: FromClause
    json: str
    sort: Sort

    @property
    def words(self) -> str:
        """What it is called in a sentence."""
        return self.name.replace("_", " ")


def _noun(name: str, table: Table, json: str, sorted_by: str = "created_at") -> Noun:
    rows = table.alias("k")
    sort = Sort(sorted_by, rows.c[sorted_by], format_instant, datetime.fromisoformat)
    return Noun(name, table, rows, json, sort)


DISCOUNT = _noun("discount", discounts, DISCOUNT_JSON)
TAX_RATE = _noun("tax_rate", tax_rates, TAX_RATE_JSON)
SHIPPING_RATE = _noun("shipping_rate", shipping_rates, SHIPPING_RATE_JSON)
EXCHANGE_RATE = _noun("exchange_rate", exchange_rates, EXCHANGE_RATE_JSON, "effective_at")


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """A discount as an order is priced by it; no code: it applies by itself."""

    id: UUID
    title: str
    kind: str
    code: str | None = None
    percentage_ratio: Decimal | None = None
    amount: Decimal | None = None
    minimum_subtotal: Decimal | None = None
    usage_limit: int | None = None
    customer_usage_limit: int | None = None
    used_count: int = 0
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    is_active: bool = True


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A tax of the place an order goes to."""

    tax_class: str
    rate_ratio: Decimal
    applies_to_shipping: bool = False


class ShippingRate(msgspec.Struct, frozen=True, kw_only=True):
    """What sending an order costs; no countries: it goes everywhere."""

    name: str
    kind: str
    price: Decimal
    countries: list[str] = []
    price_per_kilogram: Decimal | None = None
    maximum_weight_grams: int | None = None
    free_from_subtotal: Decimal | None = None
    is_active: bool = True


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is priced by besides its offers.

    `discounts`: the automatic ones, oldest first, and those of the codes sent.
    """

    tax_included: bool
    discounts: list[Discount] = []
    tax_rates: list[TaxRate] = []
    shipping_rate: ShippingRate | None = None


parse_terms = msgspec.json.Decoder(Terms).decode

_OF_DISCOUNT = """d.id, d.title, d.kind, d.code, d.percentage_ratio, d.amount,
    d.minimum_subtotal, d.usage_limit, d.customer_usage_limit, d.used_count, d.starts_at,
    d.ends_at, d.is_active, d.created_at"""

_AUTOMATIC = f"""SELECT {_OF_DISCOUNT} FROM discounts d
    WHERE d.tenant_id = %(tenant_id)s AND d.code IS NULL AND d.is_active
      AND (d.ends_at IS NULL OR d.ends_at > %(now)s)"""
_OF_CODES = f"""UNION ALL SELECT {_OF_DISCOUNT} FROM discounts d
    WHERE d.tenant_id = %(tenant_id)s AND d.code = ANY(%(codes)s::text[])"""
_TAX_RATES = """,
    (SELECT coalesce(json_agg(row_to_json(k)), '[]') FROM (
        SELECT x.tax_class, x.rate_ratio, x.applies_to_shipping FROM tax_rates x
        WHERE x.tenant_id = %(tenant_id)s AND x.country = {country} AND x.is_active
          AND (x.region IS NULL OR upper(x.region) = upper({region}))) k) AS tax_rates"""
_OF_ADDRESS = _TAX_RATES.format(country="%(country)s::text", region="%(region)s::text")
_OF_SHOP = _TAX_RATES.format(country="t.settings->>'country'", region="t.settings->>'region'")
_SHIPPING_RATE = """,
    (SELECT row_to_json(k) FROM (
        SELECT s.name, s.kind, s.price, s.countries, s.price_per_kilogram,
            s.maximum_weight_grams, s.free_from_subtotal, s.is_active FROM shipping_rates s
        WHERE s.tenant_id = %(tenant_id)s AND s.id = %(shipping_rate_id)s::uuid) k
    ) AS shipping_rate"""


def terms_json(
    *, has_codes: bool, has_country: bool, is_in_person: bool, has_shipping: bool
) -> str:
    """The `Terms` of one order as JSON text, for the statement that finds its offers.

    There tenants is `t`, whose place taxes what is sold in person and has no country to go to. A
    plain order is the most frequent one: it looks up nothing it has no use for.
    """
    tax_rates = _OF_ADDRESS if has_country else _OF_SHOP if is_in_person else ""
    return f"""
(SELECT row_to_json(r)::text FROM (SELECT t.prices_include_tax AS tax_included,
    (SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.created_at, k.id), '[]')
     FROM ({_AUTOMATIC} {_OF_CODES if has_codes else ""}) k) AS discounts
    {tax_rates}{_SHIPPING_RATE if has_shipping else ""}) r)
"""


# In the order of their ids, as orders take them: two that share discounts never wait in a circle.
RELEASE = """
WITH used AS (
    SELECT d.id FROM discounts d WHERE d.tenant_id = %(tenant_id)s AND d.id IN (
        SELECT x.discount_id FROM order_discounts x
        WHERE x.tenant_id = %(tenant_id)s AND x.order_id = %(order_id)s)
    ORDER BY d.id FOR UPDATE
)
UPDATE discounts d SET used_count = greatest(d.used_count - 1, 0) FROM used
WHERE d.tenant_id = %(tenant_id)s AND d.id = used.id
"""

# Orders that were cancelled gave their use back.
COUNT_USES = """
SELECT count(*) FROM order_discounts x
JOIN orders o ON o.tenant_id = x.tenant_id AND o.id = x.order_id
WHERE x.tenant_id = %(tenant_id)s AND x.discount_id = %(discount_id)s
  AND x.customer_id = %(customer_id)s AND o.status <> 'cancelled'
"""


class PricingRepository(Repository):
    """Discounts, tax, shipping and exchange rates of one tenant."""

    def list_page(self, noun: Noun, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of one of them."""
        query = select(page.sort.column, noun.rows.c.id, literal_column(noun.json))
        return fetch_page(self.session, self._filtered(noun, query, filters), noun.rows.c.id, page)

    def count(self, noun: Noun, filters: dict[str, Any]) -> int:
        """How many the filters leave."""
        query = self._filtered(noun, select(func.count()).select_from(noun.rows), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, noun: Noun, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(noun.rows.c.tenant_id == self.tenant_id)
        for name in ("code", "country", "currency"):
            if name in filters:
                query = query.where(noun.rows.c[name] == filters[name])
        return query

    def find(self, noun: Noun, row_id: UUID, *, for_update: bool = False) -> Row[Any] | None:
        """A resource row, with all that is kept of it."""
        query = select(noun.rows, literal_column(noun.json).label("body")).where(
            noun.rows.c.tenant_id == self.tenant_id, noun.rows.c.id == row_id
        )
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def add(self, noun: Noun, values: dict[str, Any]) -> None:
        """Insert one."""
        self.session.execute(insert(noun.table).values(tenant_id=self.tenant_id, **values))

    def change(self, noun: Noun, row_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        table = noun.table
        self.session.execute(
            update(table)
            .where(table.c.tenant_id == self.tenant_id, table.c.id == row_id)
            .values(version=table.c.version + 1, **values)
        )

    def delete(self, noun: Noun, row_id: UUID) -> None:
        """Delete one; orders keep what it took off or cost."""
        table = noun.table
        self.session.execute(
            delete(table).where(table.c.tenant_id == self.tenant_id, table.c.id == row_id)
        )

    def use_discount(self, discount_id: UUID) -> bool:
        """Count a use while there is one left; the row stays locked until the commit."""
        used = self.session.execute(
            update(discounts)
            .where(
                discounts.c.tenant_id == self.tenant_id,
                discounts.c.id == discount_id,
                discounts.c.is_active,
                func.coalesce(discounts.c.used_count < discounts.c.usage_limit, True),
            )
            .values(used_count=discounts.c.used_count + 1)
            .returning(discounts.c.id)
        )
        return used.first() is not None

    def lock_discount(self, discount_id: UUID) -> None:
        """Let one order at a time count a customer's uses."""
        query = select(discounts.c.id).where(
            discounts.c.tenant_id == self.tenant_id, discounts.c.id == discount_id
        )
        self.session.execute(query.with_for_update())

    def count_uses(self, discount_id: UUID, customer_id: UUID) -> int:
        """On how many orders a customer has used a discount, cancelled ones left out."""
        found: int = self.session.connection.exec_driver_sql(
            COUNT_USES,
            {
                "tenant_id": self.tenant_id,
                "discount_id": discount_id,
                "customer_id": customer_id,
            },
        ).scalar_one()
        return found

    def release_discounts(self, order_id: UUID) -> None:
        """Take an order's uses off the counts of its discounts."""
        self.session.connection.exec_driver_sql(
            RELEASE, {"tenant_id": self.tenant_id, "order_id": order_id}
        )
