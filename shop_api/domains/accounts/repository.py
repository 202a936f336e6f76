"""SQL of credentials: looking them up before their tenant is known, and refresh tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, exists, insert, select, text, update

from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.models import api_keys, refresh_tokens, tenants, users


def find_key_by_hash(connection: Connection, key_hash: bytes) -> AnyRow | None:
    """An API key by its hash, live or dead; the transaction then acts for its tenant."""
    connection.execute(
        text("SELECT set_config('app.credential', :hash, true)"), {"hash": key_hash.hex()}
    )
    key = connection.execute(
        select(
            api_keys.c.tenant_id,
            api_keys.c.id,
            api_keys.c.kind,
            api_keys.c.scopes,
            api_keys.c.expires_at,
            api_keys.c.revoked_at,
            api_keys.c.last_used_at,
            api_keys.c.public_key,
            api_keys.c.requires_signature,
            api_keys.c.certificate_fingerprint,
        ).where(api_keys.c.key_hash == key_hash)
    ).first()
    if key is not None:
        _act_for(connection, key.tenant_id)
    return key


def find_refresh_token(connection: Connection, token_hash: bytes) -> AnyRow | None:
    """A refresh token by its hash, whoever's it is."""
    connection.execute(
        text("SELECT set_config('app.credential', :hash, true)"), {"hash": token_hash.hex()}
    )
    return connection.execute(
        select(refresh_tokens).where(refresh_tokens.c.token_hash == token_hash)
    ).first()


def list_logins(
    connection: Connection, email: str, tenant_slug: str | None, limit: int
) -> list[AnyRow]:
    """The users with this e-mail address, of one tenant if its slug is given; at most `limit`."""
    connection.execute(
        text(
            "SELECT set_config('app.login_email', :email, true),"
            " set_config('app.login_tenant', :slug, true)"
        ),
        {"email": email, "slug": tenant_slug or ""},
    )
    query = select(
        users.c.tenant_id, users.c.id, users.c.role, users.c.password_hash, users.c.disabled_at
    ).where(users.c.email == email)
    if tenant_slug is not None:
        of_tenant = select(tenants.c.id).where(tenants.c.slug == tenant_slug)
        query = query.where(users.c.tenant_id.in_(of_tenant))
    return list(connection.execute(query.order_by(users.c.tenant_id).limit(limit)))


def find_tenant(connection: Connection, tenant_id: UUID) -> AnyRow | None:
    """What a principal knows of its tenant; the transaction then acts for it."""
    _act_for(connection, tenant_id)
    t = tenants.c
    return connection.execute(
        select(t.plan, t.rate_limits, t.cors_origins, t.currency, t.timezone).where(
            t.id == tenant_id
        )
    ).first()


def _act_for(connection: Connection, tenant_id: UUID) -> None:
    connection.execute(
        text("SELECT set_config('app.tenant_id', :id, true)"), {"id": str(tenant_id)}
    )


class AccountRepository(Repository):
    """Whoever signs in at one tenant, and their tokens."""

    def find_user(self, user_id: UUID, sign_in_id: UUID) -> AnyRow | None:
        """A user's role, what ends all their tokens, and whether a sign-in of theirs has ended."""
        has_ended = exists().where(
            refresh_tokens.c.tenant_id == self.tenant_id,
            refresh_tokens.c.family_id == sign_in_id,
            refresh_tokens.c.revoked_at.is_not(None),
        )
        query = self._select_user(user_id).add_columns(has_ended.label("has_ended"))
        return self.session.execute(query).first()

    def lock_user(self, user_id: UUID) -> AnyRow | None:
        """A user's role and password hash, and what ends their tokens, held until the commit.

        Whoever makes or ends a user's tokens holds it: an UPDATE of the tokens there are does not
        see one that another transaction is about to add.
        """
        query = self._select_user(user_id).add_columns(users.c.password_hash)
        return self.session.execute(query.with_for_update(key_share=True)).first()

    def _select_user(self, user_id: UUID) -> Select[Any]:
        return select(users.c.role, users.c.disabled_at, users.c.signed_out_at).where(
            users.c.tenant_id == self.tenant_id, users.c.id == user_id
        )

    def revoke_sessions(self, user_id: UUID, now: datetime) -> None:
        """Revoke every refresh token of a user, and every access token made before `now`."""
        self.session.execute(
            update(users)
            .where(users.c.tenant_id == self.tenant_id, users.c.id == user_id)
            .values(signed_out_at=now)
        )
        self.session.execute(
            update(refresh_tokens)
            .where(
                refresh_tokens.c.tenant_id == self.tenant_id,
                refresh_tokens.c.user_id == user_id,
                refresh_tokens.c.revoked_at.is_(None),
            )
            .values(revoked_at=now)
        )

    def add_refresh_token(self, values: dict[str, Any]) -> None:
        """Insert a refresh token."""
        self.session.execute(insert(refresh_tokens).values(tenant_id=self.tenant_id, **values))

    def use_refresh_token(self, token_id: UUID, now: datetime) -> bool:
        """Mark a token used; False when it already was, or is revoked."""
        result = self.session.execute(
            update(refresh_tokens)
            .where(
                refresh_tokens.c.tenant_id == self.tenant_id,
                refresh_tokens.c.id == token_id,
                refresh_tokens.c.used_at.is_(None),
                refresh_tokens.c.revoked_at.is_(None),
            )
            .values(used_at=now)
            .returning(refresh_tokens.c.id)
        )
        return result.first() is not None

    def revoke_family(self, family_id: UUID, now: datetime) -> None:
        """Revoke every token of a sign-in."""
        self.session.execute(
            update(refresh_tokens)
            .where(
                refresh_tokens.c.tenant_id == self.tenant_id,
                refresh_tokens.c.family_id == family_id,
                refresh_tokens.c.revoked_at.is_(None),
            )
            .values(revoked_at=now)
        )

    def touch_key(self, key_id: UUID, now: datetime) -> None:
        """Note that a key was used."""
        self.session.execute(
            update(api_keys)
            .where(api_keys.c.tenant_id == self.tenant_id, api_keys.c.id == key_id)
            .values(last_used_at=now)
        )
