"""Sessions over HTTP."""

from uuid import UUID

from shop_api.domains.sessions import service
from shop_api.domains.sessions.repository import SESSION_SORTS, SessionRepository
from shop_api.domains.sessions.schemas import SessionBody, SessionPage, SessionQuery, SessionSchema
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

sessions = Blueprint(
    "sessions",
    __name__,
    url_prefix="/api/v1/sessions",
    description="Tables and tills: sales in person.",
)


@sessions.read("", scope="orders:read", query=SessionQuery, returns=SessionPage)
def list_sessions(call: Call) -> Reply:
    """List sessions, the last opened first."""
    asked = call.page_request(SESSION_SORTS["opened_at"], is_descending=True)
    repository = SessionRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@sessions.read("/<id:session_id>", scope="orders:read", returns=SessionSchema)
def get_session(call: Call, session_id: UUID) -> Reply:
    """Get a session with what its orders come to."""
    row = SessionRepository(call.session).find(session_id)
    if row is None:
        raise not_found("session")
    return Reply.resource(row)


@sessions.mutation(
    "POST", "", scope="orders:write", body=SessionBody, returns=SessionSchema, status=201
)
def open_session(call: Call) -> Reply:
    """Open a session at a table or till.

    Orders join it with `session_id` and are of its channel.
    """
    row = service.open_session(call.work, call.body)
    return Reply.created(row, "/api/v1/sessions")


@sessions.mutation("DELETE", "/<id:session_id>", scope="orders:write", returns=SessionSchema)
def close_session(call: Call, session_id: UUID) -> Reply:
    """Close a session.

    409 `session_not_settled` names orders that are neither paid nor cancelled. A closed session can
    still be read.
    """
    before = SessionRepository(call.session).find(session_id, for_update=True)
    if before is None:
        raise not_found("session")
    call.require_version(before.version)
    return Reply.resource(service.close_session(call.work, before))
