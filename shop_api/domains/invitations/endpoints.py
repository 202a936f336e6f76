"""Invitations over HTTP."""

from typing import Any
from uuid import UUID

import msgspec

from shop_api.domains.accounts.endpoints import token_policy, tokens_reply
from shop_api.domains.accounts.schemas import TokensSchema
from shop_api.domains.accounts.service import open_session
from shop_api.domains.invitations import service
from shop_api.domains.invitations.repository import (
    INVITATIONS_BY_CREATED_AT,
    InvitationRepository,
)
from shop_api.domains.invitations.schemas import (
    AcceptanceBody,
    InvitationBody,
    InvitationPage,
    InvitationQuery,
    InvitationSchema,
    NewInvitationSchema,
)
from shop_api.kernel.errors import not_found
from shop_api.kernel.principal import PUBLIC
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

COLLECTION = "/api/v1/invitations"

invitations = Blueprint(
    "invitations", __name__, url_prefix=COLLECTION, description="Invite people to join the tenant."
)
acceptance = Blueprint(
    "acceptance", __name__, url_prefix="/api/v1/auth", description="Join a tenant by an invitation."
)


@invitations.read("", scope="users:read", query=InvitationQuery, returns=InvitationPage)
def list_invitations(call: Call) -> Reply:
    """List invitations, newest first."""
    asked = call.page_request(INVITATIONS_BY_CREATED_AT, is_descending=True)
    repository = InvitationRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@invitations.read("/<id:invitation_id>", scope="users:read", returns=InvitationSchema)
def get_invitation(call: Call, invitation_id: UUID) -> Reply:
    """Get an invitation, without its token."""
    row = InvitationRepository(call.session).find(invitation_id)
    if row is None:
        raise not_found("invitation")
    return Reply.resource(row)


@invitations.mutation(
    "POST",
    "",
    scope="users:write",
    body=InvitationBody,
    returns=NewInvitationSchema,
    status=201,
    is_secret=True,
)
def create_invitation(call: Call) -> Reply:
    """Invite a person, as a role that may do no more than the caller.

    The token is in this answer only: send it to the person, who joins with it at
    `/api/v1/auth/accept_invitation`. It stops working when whoever invited may no longer do so.
    """
    token, row = service.invite(
        call.work,
        call.body["email"],
        call.body["role"],
        call.body["expires_in_seconds"],
        call.principal.scopes,
    )
    reply = Reply.of({**msgspec.json.decode(row.body), "token": token}, 201, row.version)
    reply.headers += [("Location", f"{COLLECTION}/{row.id}"), ("Cache-Control", "no-store")]
    return reply


@invitations.mutation("DELETE", "/<id:invitation_id>", scope="users:write")
def revoke_invitation(call: Call, invitation_id: UUID) -> Reply:
    """Revoke an invitation, of a role that may do no more than the caller.

    409 `invitation_accepted` when the person has joined.
    """
    before = InvitationRepository(call.session).find(invitation_id, for_update=True)
    if before is None:
        raise not_found("invitation")
    call.require_version(before.version)
    service.revoke(call.work, before, call.principal.scopes)
    return Reply.empty()


@acceptance.mutation(
    "POST",
    "/accept_invitation",
    scope=PUBLIC,
    body=AcceptanceBody,
    returns=TokensSchema,
    status=201,
    is_secret=True,
)
def accept_invitation(call: Call, commit: Any) -> Any:
    """Join by an invitation: choose a name and a password, and be signed in.

    An invitation works once; 401 `invalid_invitation` when it is unknown, expired, accepted or
    revoked.
    """
    found = service.find_by_token(call.services.engine, call.body["token"])
    policy = token_policy(call.services)

    def join(work: Any) -> Reply:
        user = service.accept(work, found.id, call.body["name"], call.body["password"])
        reply = tokens_reply(open_session(work, user.id, policy))
        reply.status = 201
        return reply

    return commit(found.tenant_id, f"invitation:{found.id}", join)
