"""SQL of customers."""

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
from shop_api.db.known_values import known
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.models import customers, orders

u = customers.alias("u")

CUSTOMER_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT u.id, u.email, u.first_name, u.last_name, u.phone,
    u.tags, u.external_id, json_instant(u.erased_at) AS erased_at,
    json_instant(u.created_at) AS created_at, json_instant(u.updated_at) AS updated_at) r)
"""

# Of these words as many as a list may be cut from; the function is migrations/search.py's.
SEARCHED_ROWS = 1000
FOUND = text("u.id IN (SELECT f.id FROM search_customers(:asked, NULL, :limit) f)")

CUSTOMER_SORTS = {
    "created_at": Sort("created_at", u.c.created_at, format_instant, datetime.fromisoformat),
    "updated_at": Sort("updated_at", u.c.updated_at, format_instant, datetime.fromisoformat),
}


class CustomerRepository(Repository):
    """Customers of one tenant."""

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of customers."""
        query = select(page.sort.column, u.c.id, literal_column(CUSTOMER_JSON))
        return fetch_page(self.session, self._filtered(query, filters), u.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many customers the filters leave."""
        query = self._filtered(select(func.count()).select_from(u), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(u.c.tenant_id == self.tenant_id)
        for name in ("email", "external_id"):
            if name in filters:
                query = query.where(u.c[name] == filters[name])
        for column in (u.c.created_at, u.c.updated_at):
            name = column.name.removesuffix("_at")
            if f"{name}_after" in filters:
                query = query.where(column > known(filters[f"{name}_after"]))
            if f"{name}_before" in filters:
                query = query.where(column < known(filters[f"{name}_before"]))
        if "tags" in filters:
            query = query.where(u.c.tags.contains(filters["tags"]))
        if "search" in filters:
            query = query.where(FOUND.bindparams(asked=filters["search"], limit=SEARCHED_ROWS))
        return query

    def find(self, customer_id: UUID, *, for_update: bool = False) -> Row[Any] | None:
        """A customer's resource row."""
        query = select(
            u.c.id, u.c.version, u.c.erased_at, literal_column(CUSTOMER_JSON).label("body")
        ).where(u.c.tenant_id == self.tenant_id, u.c.id == customer_id)
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def exists(self, customer_id: UUID) -> bool:
        """Whether there is such a customer."""
        query = select(u.c.id).where(u.c.tenant_id == self.tenant_id, u.c.id == customer_id)
        return self.session.execute(query).first() is not None

    def is_erased(self, customer_id: UUID) -> bool:
        """Whether the customer was erased."""
        query = select(u.c.erased_at).where(u.c.tenant_id == self.tenant_id, u.c.id == customer_id)
        return self.session.execute(query).scalar_one() is not None

    def add(self, values: dict[str, Any]) -> None:
        """Insert a customer."""
        self.session.execute(insert(customers).values(tenant_id=self.tenant_id, **values))

    def change(self, customer_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(customers)
            .where(customers.c.tenant_id == self.tenant_id, customers.c.id == customer_id)
            .values(version=customers.c.version + 1, **values)
        )

    def has_orders(self, customer_id: UUID) -> bool:
        """Whether the customer ever ordered."""
        found = exists().where(
            orders.c.tenant_id == self.tenant_id, orders.c.customer_id == customer_id
        )
        return self.session.execute(select(found)).scalar_one()

    def delete(self, customer_id: UUID) -> None:
        """Delete a customer without orders."""
        self.session.execute(
            delete(customers).where(
                customers.c.tenant_id == self.tenant_id, customers.c.id == customer_id
            )
        )
