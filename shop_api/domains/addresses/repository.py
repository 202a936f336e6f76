"""SQL of customers' address books. Who changes a book holds its customer's row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import customer_addresses

h = customer_addresses.alias("h")

ADDRESS_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT h.id, h.customer_id, h.label, h.recipient, h.company,
    h.phone, h.line1, h.line2, h.city, h.region, h.postal_code, h.country, h.is_default_shipping,
    h.is_default_billing, json_instant(h.created_at) AS created_at,
    json_instant(h.updated_at) AS updated_at) r)
"""

ADDRESS_SORTS = {
    "created_at": Sort("created_at", h.c.created_at, format_instant, datetime.fromisoformat)
}


class AddressRepository(Repository):
    """Address books of one tenant's customers."""

    def list_page(self, customer_id: UUID, page: PageRequest) -> KeysetPage:
        """A page of a customer's addresses."""
        query = select(page.sort.column, h.c.id, literal_column(ADDRESS_JSON)).where(
            h.c.tenant_id == self.tenant_id, h.c.customer_id == customer_id
        )
        return fetch_page(self.session, query, h.c.id, page)

    def count(self, customer_id: UUID) -> int:
        """How many addresses the customer has."""
        query = select(func.count()).where(
            h.c.tenant_id == self.tenant_id, h.c.customer_id == customer_id
        )
        return self.session.execute(query).scalar_one()

    def find(self, customer_id: UUID, address_id: UUID) -> Row[Any] | None:
        """An address's resource row."""
        query = select(h.c.id, h.c.version, literal_column(ADDRESS_JSON).label("body")).where(
            h.c.tenant_id == self.tenant_id, h.c.customer_id == customer_id, h.c.id == address_id
        )
        return self.session.execute(query).first()

    def add(self, values: dict[str, Any]) -> None:
        """Insert an address."""
        self.session.execute(insert(customer_addresses).values(tenant_id=self.tenant_id, **values))

    def change(self, address_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(customer_addresses)
            .where(
                customer_addresses.c.tenant_id == self.tenant_id,
                customer_addresses.c.id == address_id,
            )
            .values(version=customer_addresses.c.version + 1, **values)
        )

    def unset_default(self, customer_id: UUID, flag: str, now: datetime) -> None:
        """The customer has no default of the kind `flag` names: another is made it next."""
        self.session.execute(
            update(customer_addresses)
            .where(
                customer_addresses.c.tenant_id == self.tenant_id,
                customer_addresses.c.customer_id == customer_id,
                customer_addresses.c[flag],
            )
            .values(version=customer_addresses.c.version + 1, updated_at=now, **{flag: False})
        )

    def delete(self, address_id: UUID) -> None:
        """Delete an address."""
        self.session.execute(
            delete(customer_addresses).where(
                customer_addresses.c.tenant_id == self.tenant_id,
                customer_addresses.c.id == address_id,
            )
        )
