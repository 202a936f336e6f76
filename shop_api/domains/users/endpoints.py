"""People over HTTP."""

from uuid import UUID

from shop_api.domains.accounts.service import hash_password
from shop_api.domains.users import service
from shop_api.domains.users.repository import USERS_BY_CREATED_AT, UserRepository
from shop_api.domains.users.schemas import UserBody, UserChanges, UserPage, UserQuery, UserSchema
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

users = Blueprint(
    "users",
    __name__,
    url_prefix="/api/v1/users",
    description="The people who sign in, and their roles.",
)


@users.read("", scope="users:read", query=UserQuery, returns=UserPage)
def list_users(call: Call) -> Reply:
    """List users in the order they were created."""
    asked = call.page_request(USERS_BY_CREATED_AT, is_descending=False)
    people = UserRepository(call.session)
    total = people.count(call.query) if call.wants_total else None
    return call.page(people.list_page(call.query, asked), asked, total)


@users.read("/<id:user_id>", scope="users:read", returns=UserSchema)
def get_user(call: Call, user_id: UUID) -> Reply:
    """Get a user."""
    row = UserRepository(call.session).find(user_id)
    if row is None:
        raise not_found("user")
    return Reply.resource(row)


@users.mutation("POST", "", scope="users:write", body=UserBody, returns=UserSchema, status=201)
def create_user(call: Call) -> Reply:
    """Create a user, of a role that may do no more than the caller."""
    row = service.add_user(call.work, call.body, call.principal.scopes)
    return Reply.created(row, "/api/v1/users")


@users.mutation("PATCH", "/<id:user_id>", scope="users:write", body=UserChanges, returns=UserSchema)
def update_user(call: Call, user_id: UUID) -> Reply:
    """Change a user's name, role or password, or disable them.

    A new role or password, and disabling, sign the user out everywhere.
    """
    password = call.body.get("password")
    password_hash = hash_password(password) if password is not None else None
    people = UserRepository(call.session)
    if service.loses_owner(call.body):
        people.lock_owners()
    before = people.find(user_id, for_update=True)
    if before is None:
        raise not_found("user")
    call.require_version(before.version)
    row = service.change_user(call.work, before, call.body, password_hash, call.principal.scopes)
    return Reply.resource(row)


@users.mutation("DELETE", "/<id:user_id>", scope="users:write")
def delete_user(call: Call, user_id: UUID) -> Reply:
    """Delete a user; they are signed out at once. The last owner stays.

    What they changed stays in the audit log under their id. To keep the user and only shut them
    out, set `is_disabled`.
    """
    people = UserRepository(call.session)
    people.lock_owners()
    before = people.find(user_id, for_update=True)
    if before is None:
        raise not_found("user")
    call.require_version(before.version)
    service.delete_user(call.work, before, call.principal.scopes)
    return Reply.empty()
