"""Inviting people, and their joining; knows no HTTP."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine

from shop_api.db.types import AnyRow
from shop_api.domains.invitations import errors
from shop_api.domains.invitations.repository import InvitationRepository, find_invitation
from shop_api.domains.users.service import check_role, create_user
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import ROLE_SCOPES
from shop_api.kernel.tokens import hash_token, make_token
from shop_api.spine.audit import fields_of
from shop_api.spine.unit_of_work import UnitOfWork


def invite(
    work: UnitOfWork, email: str, role: str, life_seconds: int, allowed: frozenset[str]
) -> tuple[str, AnyRow]:
    """An invitation: its token, shown once, and its resource row.

    Raises `role_not_allowed` for a role that may do more than the caller, `email_taken` for a
    user's address, `already_invited` while the address has an open invitation.
    """
    check_role(role, allowed)
    invitations = work.repository(InvitationRepository)
    if invitations.has_user(email):
        raise errors.EMAIL_TAKEN
    invitations.revoke_expired(email, work.now)
    token = make_token("in_")
    invitation_id = new_id(work.now)
    invitations.add(
        {
            "id": invitation_id,
            "email": email,
            "role": role,
            "token_hash": hash_token(token),
            "invited_by": work.origin.actor,
            "expires_at": work.now + timedelta(seconds=life_seconds),
            "created_at": work.now,
            "updated_at": work.now,
        }
    )
    row = _found(invitations, invitation_id)
    work.audit("invitation_created", "invitation", invitation_id, None, row.body)
    return token, row


def revoke(work: UnitOfWork, before: AnyRow, allowed: frozenset[str]) -> None:
    """Revoke an invitation; one that is revoked stays so.

    Raises `role_not_allowed` for a role that may do more than the caller, `invitation_accepted`.
    """
    check_role(before.role, allowed)
    if before.accepted_at is not None:
        raise errors.INVITATION_ACCEPTED
    if before.revoked_at is not None:
        return
    invitations = work.repository(InvitationRepository)
    invitations.change(before.id, {"revoked_at": work.now, "updated_at": work.now})
    row = _found(invitations, before.id)
    work.audit("invitation_revoked", "invitation", before.id, before.body, row.body)


def find_by_token(engine: Engine, token: str) -> AnyRow:
    """Id and tenant of the invitation of a token; raises `invalid_invitation`."""
    with engine.begin() as connection:
        found = find_invitation(connection, hash_token(token))
    if found is None:
        raise errors.INVALID_INVITATION
    return found


def accept(work: UnitOfWork, invitation_id: UUID, name: str, password: str) -> AnyRow:
    """The user an invitation becomes; it works once. Raises `invalid_invitation`, `email_taken`."""
    invitations = work.repository(InvitationRepository)
    before = invitations.find(invitation_id, for_update=True)
    if (
        before is None
        or before.accepted_at is not None
        or before.revoked_at is not None
        or before.expires_at <= work.now
        or not _may_still_invite(invitations, before, work.now)
    ):
        raise errors.INVALID_INVITATION
    row = create_user(work, before.email, name, before.role, password)
    invitations.change(before.id, {"accepted_at": work.now, "updated_at": work.now})
    after = _found(invitations, before.id)
    joined = {**fields_of(after), "user_id": row.id}
    work.audit("invitation_accepted", "invitation", before.id, before.body, joined)
    return row


def _may_still_invite(invitations: InvitationRepository, invitation: AnyRow, now: datetime) -> bool:
    """Whether whoever invited could do so now.

    Somebody who was put out must not come back by an invitation they kept.
    """
    kind, _, actor_id = invitation.invited_by.partition(":")
    wanted = ROLE_SCOPES[invitation.role]
    if kind == "user":
        user = invitations.find_inviting_user(UUID(actor_id))
        return user is not None and not user.disabled_at and wanted <= ROLE_SCOPES[user.role]
    key = invitations.find_inviting_key(UUID(actor_id))
    if key is None or key.revoked_at is not None:
        return False
    # a rotated key has an end, too
    is_over = key.expires_at is not None and key.expires_at <= now
    return not is_over and wanted <= frozenset(key.scopes)


def _found(invitations: InvitationRepository, invitation_id: UUID) -> AnyRow:
    row = invitations.find(invitation_id)
    if row is None:
        raise not_found("invitation")
    return row
