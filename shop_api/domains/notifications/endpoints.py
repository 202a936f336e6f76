"""Notifications over HTTP."""

from uuid import UUID

from shop_api.domains.notifications import service
from shop_api.domains.notifications.repository import NOTIFICATION_SORTS, NotificationRepository
from shop_api.domains.notifications.schemas import (
    MarkedSchema,
    NotificationPage,
    NotificationQuery,
    NotificationSchema,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

notifications = Blueprint(
    "notifications",
    __name__,
    url_prefix="/api/v1/notifications",
    description="What the platform tells a shop: data that is held back, late figures, and more.",
)


@notifications.read(
    "", scope="notifications:read", query=NotificationQuery, returns=NotificationPage
)
def list_notifications(call: Call) -> Reply:
    """List notifications, newest first.

    Each was also pushed as `system_notification` to who listens, and is once more when it is over.
    """
    asked = call.page_request(NOTIFICATION_SORTS["created_at"], is_descending=True)
    repository = NotificationRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@notifications.read("/<id:notification_id>", scope="notifications:read", returns=NotificationSchema)
def get_notification(call: Call, notification_id: UUID) -> Reply:
    """Get a notification."""
    row = NotificationRepository(call.session).find(notification_id)
    if row is None:
        raise not_found("notification")
    return Reply.resource(row)


@notifications.mutation(
    "POST",
    "/<id:notification_id>/read",
    scope="notifications:write",
    returns=NotificationSchema,
)
def mark_notification_read(call: Call, notification_id: UUID) -> Reply:
    """Mark a notification as read, for all people of the shop.

    One that was read before stays as it is.
    """
    before = NotificationRepository(call.session).find(notification_id, for_update=True)
    if before is None:
        raise not_found("notification")
    call.require_version(before.version)
    return Reply.resource(service.mark_read(call.work, before))


@notifications.mutation(
    "POST",
    "/all/read",
    scope="notifications:write",
    returns=MarkedSchema,
    is_conditional=False,
)
def mark_all_notifications_read(call: Call) -> Reply:
    """Mark all notifications as read, for all people of the shop."""
    return Reply.of({"count": service.mark_all_read(call.work)})
