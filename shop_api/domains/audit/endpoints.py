"""The audit log over HTTP."""

from uuid import UUID

from shop_api.domains.audit.repository import ENTRY_SORTS, AuditRepository
from shop_api.domains.audit.schemas import AuditEntrySchema, AuditPage, AuditQuery
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

audit_log = Blueprint(
    "audit_log",
    __name__,
    url_prefix="/api/v1/audit_log",
    description="Who changed what, with the values before and after.",
)


@audit_log.read("", scope="audit:read", query=AuditQuery, returns=AuditPage)
def list_audit_entries(call: Call) -> Reply:
    """List changes, newest first: who made each, and the values before and after.

    Owners and admins may read it. An entry is written in the transaction of its change, and
    nobody can change or delete it.
    """
    asked = call.page_request(ENTRY_SORTS["created_at"], is_descending=True)
    repository = AuditRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@audit_log.read("/<id:entry_id>", scope="audit:read", returns=AuditEntrySchema)
def get_audit_entry(call: Call, entry_id: UUID) -> Reply:
    """Get a change: who made it, and the values before and after."""
    row = AuditRepository(call.session).find(entry_id)
    if row is None:
        raise not_found("audit entry")
    return Reply.resource(row)
