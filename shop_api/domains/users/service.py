"""Making and changing people; knows no HTTP."""

from typing import Any

from shop_api.db.types import AnyRow
from shop_api.domains.accounts.repository import AccountRepository
from shop_api.domains.accounts.service import hash_password
from shop_api.domains.users import errors
from shop_api.domains.users.repository import UserRepository
from shop_api.kernel.clock import utc_now
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import ROLE_SCOPES
from shop_api.spine.audit import MASK, fields_of
from shop_api.spine.unit_of_work import UnitOfWork

# Fields of a user that are stored as they are sent.
COPIED = frozenset({"name", "role"})


def create_user(work: UnitOfWork, email: str, name: str, role: str, password: str) -> AnyRow:
    """A user with a password; its resource row."""
    user_id = new_id(work.now)
    row = work.repository(UserRepository).add(
        {
            "id": user_id,
            "email": email,
            "name": name,
            "role": role,
            "password_hash": hash_password(password),
            "created_at": work.now,
            "updated_at": work.now,
        }
    )
    work.audit("user_created", "user", user_id, None, row.body)
    return row


def add_user(work: UnitOfWork, body: dict[str, Any], allowed: frozenset[str]) -> AnyRow:
    """A user made by another, who must be allowed all that the new role is."""
    check_role(body["role"], allowed)
    return create_user(work, body["email"], body["name"], body["role"], body["password"])


def change_user(
    work: UnitOfWork,
    before: AnyRow,
    body: dict[str, Any],
    password_hash: str | None,
    allowed: frozenset[str],
) -> AnyRow:
    """Change name, role or password, disable or enable; the new resource row.

    The caller must be allowed all that the old and the new role are. A disabled user, or one with a
    new password or role, is signed out everywhere. `password_hash` is of the new password: made
    before the row was locked, for it takes a while. Who may take an owner away holds the owners
    (`lock_owners`).
    """
    check_role(before.role, allowed)
    check_role(body.get("role", before.role), allowed)
    if not body:
        return before
    people = work.repository(UserRepository)
    if loses_owner(body) and people.is_last_owner(before.id):
        raise errors.LAST_OWNER
    values: dict[str, Any] = {name: value for name, value in body.items() if name in COPIED}
    if password_hash is not None:
        values["password_hash"] = password_hash
    if "is_disabled" in body:
        values["disabled_at"] = work.now if body["is_disabled"] else None
    people.change(before.id, {**values, "updated_at": work.now})
    if {"password", "role", "is_disabled"} & set(body):
        # now, with the row held: a sign-in that ended since the request came has younger tokens
        work.repository(AccountRepository).revoke_sessions(before.id, utc_now())
    row = people.find(before.id)
    if row is None:
        raise LookupError("the user just changed is not visible")
    work.audit(
        "user_updated",
        "user",
        before.id,
        {**fields_of(before), "password": None},
        {**fields_of(row), "password": MASK if password_hash is not None else None},
    )
    return row


def loses_owner(body: dict[str, Any]) -> bool:
    """Whether a change makes an owner none, or one who cannot sign in."""
    return body.get("role", "owner") != "owner" or bool(body.get("is_disabled"))


def delete_user(work: UnitOfWork, before: AnyRow, allowed: frozenset[str]) -> None:
    """Delete a user; the caller must be allowed all that their role is.

    What they did stays told under their id. The owners are locked (`lock_owners`).
    """
    check_role(before.role, allowed)
    people = work.repository(UserRepository)
    if people.is_last_owner(before.id):
        raise errors.LAST_OWNER
    people.delete(before.id)
    work.audit("user_deleted", "user", before.id, before.body, None)


def check_role(role: str, allowed: frozenset[str]) -> None:
    """Refuse a role that may do more than the caller."""
    if not ROLE_SCOPES[role] <= allowed:
        raise errors.role_too_strong(role)
