"""SQL of API keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, literal_column, select, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.kernel.clock import format_instant
from shop_api.models import api_keys

k = api_keys.alias("k")

KNOWN = ["id", "version", "name", "kind", "scopes", "expires_at", "revoked_at"]
KNOWN += ["public_key", "requires_signature", "certificate_fingerprint"]
KNOWN += ["replaced_by", "created_at"]

# The row as clients see it: never the hash.
API_KEY_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT k.id, k.name, k.kind, k.prefix, k.scopes,
    json_instant(k.expires_at) AS expires_at, json_instant(k.last_used_at) AS last_used_at,
    json_instant(k.revoked_at) AS revoked_at, encode(k.public_key, 'base64') AS public_key,
    k.requires_signature, encode(k.certificate_fingerprint, 'hex') AS certificate_fingerprint,
    k.replaced_by,
    json_instant(k.created_at) AS created_at, json_instant(k.updated_at) AS updated_at) r)
"""

KEYS_BY_CREATED_AT = Sort("created_at", k.c.created_at, format_instant, datetime.fromisoformat)


class KeyRepository(Repository):
    """API keys of one tenant."""

    def add(self, values: dict[str, Any]) -> AnyRow:
        """Insert an API key; its resource row."""
        self.session.execute(insert(api_keys).values(tenant_id=self.tenant_id, **values))
        row = self.find(values["id"])
        if row is None:
            raise LookupError("the key just inserted is not visible")
        return row

    def find(self, key_id: UUID, *, for_update: bool = False) -> AnyRow | None:
        """A key as clients see it, with what a change needs to know of it."""
        query = select(
            *(k.c[name] for name in KNOWN), literal_column(API_KEY_JSON).label("body")
        ).where(k.c.tenant_id == self.tenant_id, k.c.id == key_id)
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def change(self, key_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(api_keys)
            .where(api_keys.c.tenant_id == self.tenant_id, api_keys.c.id == key_id)
            .values(version=api_keys.c.version + 1, **values)
        )

    def count(self) -> int:
        """How many keys there are, revoked ones included."""
        query = select(func.count()).where(api_keys.c.tenant_id == self.tenant_id)
        return self.session.execute(query).scalar_one()

    def list_page(self, page: PageRequest) -> KeysetPage:
        """A page of keys."""
        query = select(k.c.created_at, k.c.id, literal_column(API_KEY_JSON)).where(
            k.c.tenant_id == self.tenant_id
        )
        return fetch_page(self.session, query, k.c.id, page)
