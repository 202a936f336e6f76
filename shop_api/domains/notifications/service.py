"""Marking notifications as read; knows no HTTP."""

from typing import Any

from sqlalchemy import Row

from shop_api.domains.notifications.repository import NotificationRepository
from shop_api.spine.notifications import SUBJECT
from shop_api.spine.unit_of_work import UnitOfWork


def mark_read(work: UnitOfWork, before: Row[Any]) -> Row[Any]:
    """Mark one as read, which stays as it is when it was read before; its resource row."""
    if before.read_at is not None:
        return before
    repository = work.repository(NotificationRepository)
    repository.mark(before.id, work.now)
    row = repository.find(before.id)
    if row is None:
        raise LookupError(f"notification {before.id} vanished within its transaction")
    work.audit("notification_read", SUBJECT, before.id, before.body, row.body)
    return row


def mark_all_read(work: UnitOfWork) -> int:
    """Mark all as read; how many were not."""
    count = work.repository(NotificationRepository).mark_all(work.now)
    if count:
        work.audit("notifications_read", SUBJECT, None, {"unread": count}, {"unread": 0})
    return count
