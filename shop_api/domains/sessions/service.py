"""Opening and closing sessions; knows no HTTP."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.sessions import errors
from shop_api.domains.sessions.repository import SessionRepository
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import UnitOfWork

DEFAULT_CHANNEL = "pos"


def open_session(work: UnitOfWork, body: dict[str, Any]) -> Row[Any]:
    """A session; its resource row. Raises `session_open` when its kind and name are in use."""
    sessions = work.repository(SessionRepository)
    session_id = new_id(work.now)
    values = {"channel": DEFAULT_CHANNEL, **body}
    sessions.add(
        {
            "id": session_id,
            **values,
            "currency": work.repository(CatalogRepository).tenant_terms().currency,
            "opened_by": work.origin.actor,
            "opened_at": work.now,
            "created_at": work.now,
            "updated_at": work.now,
        }
    )
    row = _session(sessions, session_id)
    work.append("session_opened", "session", session_id, {"session_id": str(session_id)})
    work.audit("session_opened", "session", session_id, None, row.body)
    return row


def close_session(work: UnitOfWork, before: Row[Any]) -> Row[Any]:
    """Close a session whose orders are paid or cancelled; its resource row.

    The row is locked for update, and an order at it holds it for reading, so none comes in between.
    Raises `session_closed` or `session_not_settled`, which names the orders.
    """
    if before.closed_at is not None:
        raise errors.SESSION_CLOSED
    sessions = work.repository(SessionRepository)
    unsettled = sessions.list_unsettled(before.id)
    if unsettled:
        raise errors.not_settled(unsettled)
    sessions.change(before.id, {"closed_at": work.now, "updated_at": work.now})
    row = _session(sessions, before.id)
    work.append("session_closed", "session", before.id, {"session_id": str(before.id)})
    work.audit("session_closed", "session", before.id, before.body, row.body)
    return row


def channel_at(work: UnitOfWork, session_id: UUID, asked: str | None) -> str:
    """The channel of an order at the session, which stays open until the commit.

    Raises `session_not_found`, `session_closed`, or `channel_of_session` when another is asked for.
    """
    found = work.repository(SessionRepository).find_for_order(session_id)
    if found is None:
        raise errors.SESSION_NOT_FOUND
    if found.closed_at is not None:
        raise errors.SESSION_CLOSED
    if asked not in (None, found.channel):
        raise errors.CHANNEL_OF_SESSION
    channel: str = found.channel
    return channel


def _session(sessions: SessionRepository, session_id: UUID) -> Row[Any]:
    row = sessions.find(session_id)
    if row is None:
        raise LookupError(f"session {session_id} vanished within its transaction")
    return row
