"""API keys over HTTP."""

from uuid import UUID

import msgspec

from shop_api.db.types import AnyRow
from shop_api.domains.api_keys import service
from shop_api.domains.api_keys.repository import KEYS_BY_CREATED_AT, KeyRepository
from shop_api.domains.api_keys.schemas import (
    ApiKeyBody,
    ApiKeyChanges,
    ApiKeyPage,
    ApiKeyQuery,
    ApiKeySchema,
    NewApiKeySchema,
    RotationBody,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

COLLECTION = "/api/v1/api_keys"

api_keys = Blueprint(
    "api_keys",
    __name__,
    url_prefix=COLLECTION,
    description="Keys for programs: secret ones for servers, publishable ones for storefronts.",
)


def _shown_once(token: str, row: AnyRow) -> Reply:
    """A new key with its secret."""
    reply = Reply.of({**msgspec.json.decode(row.body), "key": token}, 201, row.version)
    reply.headers += [("Location", f"{COLLECTION}/{row.id}"), ("Cache-Control", "no-store")]
    return reply


def _caller(call: Call) -> service.Caller:
    return service.Caller(call.principal.scopes, call.principal.expires_at)


def _binding(call: Call) -> service.Binding:
    public_key = call.body.get("public_key")
    return service.Binding(
        public_key,
        call.body.get("requires_signature", public_key is not None),
        call.body.get("certificate_fingerprint"),
    )


def _locked(call: Call, key_id: UUID) -> AnyRow:
    """The key to change, in the version the client names."""
    row = KeyRepository(call.session).find(key_id, for_update=True)
    if row is None:
        raise not_found("API key")
    call.require_version(row.version)
    return row


@api_keys.read("", scope="keys:read", query=ApiKeyQuery, returns=ApiKeyPage)
def list_api_keys(call: Call) -> Reply:
    """List API keys, newest first."""
    asked = call.page_request(KEYS_BY_CREATED_AT, is_descending=True)
    keys = KeyRepository(call.session)
    page = keys.list_page(asked)
    total = keys.count() if call.wants_total else None
    return call.page(page, asked, total)


@api_keys.read("/<id:key_id>", scope="keys:read", returns=ApiKeySchema)
def get_api_key(call: Call, key_id: UUID) -> Reply:
    """Get an API key, without its secret."""
    row = KeyRepository(call.session).find(key_id)
    if row is None:
        raise not_found("API key")
    return Reply.resource(row)


@api_keys.mutation(
    "POST",
    "",
    scope="keys:write",
    body=ApiKeyBody,
    returns=NewApiKeySchema,
    status=201,
    is_secret=True,
)
def create_api_key(call: Call) -> Reply:
    """Create an API key. Its secret is in this answer only.

    It may do no more than the caller; made with a key that expires, it ends with that one at the
    latest.
    """
    made = service.create_key(
        call.work,
        call.body["name"],
        call.body["kind"],
        call.body.get("scopes"),
        call.body["expires_at"],
        _caller(call),
        _binding(call),
    )
    return _shown_once(*made)


@api_keys.mutation(
    "PATCH", "/<id:key_id>", scope="keys:write", body=ApiKeyChanges, returns=ApiKeySchema
)
def update_api_key(call: Call, key_id: UUID) -> Reply:
    """Change an API key's name, scopes or expiry.

    403 `key_not_allowed` when it may do more than the caller, 409 `key_not_live` when it is revoked
    or expired.
    """
    before = _locked(call, key_id)
    return Reply.resource(service.change_key(call.work, before, call.body, _caller(call)))


@api_keys.mutation(
    "POST",
    "/<id:key_id>/rotate",
    scope="keys:write",
    body=RotationBody,
    returns=NewApiKeySchema,
    status=201,
    is_secret=True,
)
def rotate_api_key(call: Call, key_id: UUID) -> Reply:
    """Rotate an API key: a new one of the same name and scopes; its secret is in this answer only.

    The old key works for `overlap_seconds` more, a day unless told, and names the new one in
    `replaced_by`. A key that expires is followed by one that lives as long.
    """
    before = _locked(call, key_id)
    overlap_seconds = call.body["overlap_seconds"]
    return _shown_once(*service.rotate_key(call.work, before, overlap_seconds, _caller(call)))


@api_keys.mutation("DELETE", "/<id:key_id>", scope="keys:write", returns=None)
def revoke_api_key(call: Call, key_id: UUID) -> Reply:
    """Revoke an API key. It stops working everywhere within a second.

    403 `key_not_allowed` when it may do more than the caller.
    """
    service.revoke_key(call.work, _locked(call, key_id), _caller(call))
    return Reply.empty()
