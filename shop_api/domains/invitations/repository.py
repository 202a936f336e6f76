"""SQL of invitations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Select,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.kernel.clock import format_instant
from shop_api.models import api_keys, invitations, users

i = invitations.alias("i")

# The row as clients see it: never the hash.
INVITATION_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT i.id, i.email, i.role, i.invited_by,
    json_instant(i.expires_at) AS expires_at, json_instant(i.accepted_at) AS accepted_at,
    json_instant(i.revoked_at) AS revoked_at, json_instant(i.created_at) AS created_at,
    json_instant(i.updated_at) AS updated_at) r)
"""
INVITATIONS_BY_CREATED_AT = Sort(
    "created_at", i.c.created_at, format_instant, datetime.fromisoformat
)
KNOWN = ["id", "version", "email", "role", "invited_by", "expires_at", "accepted_at", "revoked_at"]


def find_invitation(connection: Connection, token_hash: bytes) -> AnyRow | None:
    """Id and tenant of an invitation by its token's hash, whosesoever it is."""
    connection.execute(
        text("SELECT set_config('app.credential', :hash, true)"), {"hash": token_hash.hex()}
    )
    query = select(invitations.c.tenant_id, invitations.c.id)
    return connection.execute(query.where(invitations.c.token_hash == token_hash)).first()


class InvitationRepository(Repository):
    """Invitations of one tenant."""

    def add(self, values: dict[str, Any]) -> None:
        """Insert an invitation; refused while the address has an open one."""
        self.session.execute(insert(invitations).values(tenant_id=self.tenant_id, **values))

    def find(self, invitation_id: UUID, *, for_update: bool = False) -> AnyRow | None:
        """An invitation as clients see it, with what a change needs to know of it."""
        query = select(
            *(i.c[name] for name in KNOWN), literal_column(INVITATION_JSON).label("body")
        ).where(i.c.tenant_id == self.tenant_id, i.c.id == invitation_id)
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def change(self, invitation_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(invitations)
            .where(invitations.c.tenant_id == self.tenant_id, invitations.c.id == invitation_id)
            .values(version=invitations.c.version + 1, **values)
        )

    def revoke_expired(self, email: str, now: datetime) -> None:
        """Close what nobody accepted in time, so that the address can be invited again."""
        self.session.execute(
            update(invitations)
            .where(
                invitations.c.tenant_id == self.tenant_id,
                invitations.c.email == email,
                invitations.c.accepted_at.is_(None),
                invitations.c.revoked_at.is_(None),
                invitations.c.expires_at <= now,
            )
            .values(revoked_at=now, updated_at=now, version=invitations.c.version + 1)
        )

    def has_user(self, email: str) -> bool:
        """Whether the address is a user's already."""
        query = select(users.c.id).where(
            users.c.tenant_id == self.tenant_id, users.c.email == email
        )
        return self.session.execute(query).first() is not None

    def find_inviting_user(self, user_id: UUID) -> AnyRow | None:
        """Role of a user, and whether they are disabled, as of the commit of whoever changes it."""
        query = select(users.c.role, users.c.disabled_at).where(
            users.c.tenant_id == self.tenant_id, users.c.id == user_id
        )
        return self.session.execute(query.with_for_update(read=True)).first()

    def find_inviting_key(self, key_id: UUID) -> AnyRow | None:
        """Scopes of an API key, and when it was revoked or ends."""
        query = select(api_keys.c.scopes, api_keys.c.revoked_at, api_keys.c.expires_at).where(
            api_keys.c.tenant_id == self.tenant_id, api_keys.c.id == key_id
        )
        return self.session.execute(query).first()

    def list_page(self, filters: dict[str, Any], page: PageRequest) -> KeysetPage:
        """A page of invitations."""
        query = select(page.sort.column, i.c.id, literal_column(INVITATION_JSON))
        return fetch_page(self.session, self._filtered(query, filters), i.c.id, page)

    def count(self, filters: dict[str, Any]) -> int:
        """How many invitations the filters leave."""
        query = self._filtered(select(func.count()).select_from(i), filters)
        return self.session.execute(query).scalar_one()

    def _filtered(self, query: Select[Any], filters: dict[str, Any]) -> Select[Any]:
        query = query.where(i.c.tenant_id == self.tenant_id)
        if "email" in filters:
            query = query.where(i.c.email == filters["email"])
        if "is_open" in filters:
            is_open = i.c.accepted_at.is_(None) & i.c.revoked_at.is_(None)
            query = query.where(is_open if filters["is_open"] else ~is_open)
        return query
