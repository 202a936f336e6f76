"""SQL of users."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.kernel.clock import format_instant
from shop_api.models import users

u = users.alias("u")

# The row as clients see it: never the hash.
USER_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT u.id, u.email, u.name, u.role,
    json_instant(u.disabled_at) AS disabled_at, json_instant(u.created_at) AS created_at,
    json_instant(u.updated_at) AS updated_at) r)
"""


USERS_BY_CREATED_AT = Sort("created_at", u.c.created_at, format_instant, datetime.fromisoformat)


class UserRepository(Repository):
    """Users of one tenant."""

    def add(self, values: dict[str, Any]) -> AnyRow:
        """Insert a user; its resource row."""
        self.session.execute(insert(users).values(tenant_id=self.tenant_id, **values))
        row = self.find(values["id"])
        if row is None:
            raise LookupError("the user just inserted is not visible")
        return row

    def find(self, user_id: UUID, *, for_update: bool = False) -> AnyRow | None:
        """A user as clients see it, with its role."""
        query = select(
            u.c.id, u.c.version, u.c.role, literal_column(USER_JSON).label("body")
        ).where(u.c.tenant_id == self.tenant_id, u.c.id == user_id)
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def change(self, user_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(users)
            .where(users.c.tenant_id == self.tenant_id, users.c.id == user_id)
            .values(version=users.c.version + 1, **values)
        )

    def delete(self, user_id: UUID) -> None:
        """Delete a user, with their tokens."""
        self.session.execute(
            delete(users).where(users.c.tenant_id == self.tenant_id, users.c.id == user_id)
        )

    def lock_owners(self) -> None:
        """Hold the owners there are until the commit, always in the same order.

        Whoever may take an owner away does so first: two that take each other away would else both
        see that there is another.
        """
        owners = select(users.c.id).where(users.c.tenant_id == self.tenant_id)
        owners = owners.where(users.c.role == "owner").order_by(users.c.id)
        self.session.execute(owners.with_for_update())

    def is_last_owner(self, user_id: UUID) -> bool:
        """Whether this user is the only owner who can sign in."""
        owners = self.session.execute(
            select(users.c.id).where(
                users.c.tenant_id == self.tenant_id,
                users.c.role == "owner",
                users.c.disabled_at.is_(None),
            )
        )
        return list(owners.scalars()) == [user_id]

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of users."""
        query = select(page.sort.column, u.c.id, literal_column(USER_JSON))
        return fetch_page(self.session, self._filtered(query, filters), u.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many users the filters leave."""
        query = self._filtered(select(func.count()).select_from(u), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(u.c.tenant_id == self.tenant_id)
        for name in ("role", "email"):
            if name in filters:
                query = query.where(u.c[name] == filters[name])
        return query
