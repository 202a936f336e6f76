"""Reports over HTTP."""

from uuid import UUID

from shop_api.domains.reports.repository import REPORT_SORTS, ReportRepository
from shop_api.domains.reports.schemas import ReportPage, ReportQuery, ReportSchema
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

reports = Blueprint(
    "reports",
    __name__,
    url_prefix="/api/v1/reports",
    description="Reports made on a schedule, to download.",
)

# A report's page has its styles and drawing inside, and runs nothing.
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"


@reports.read("", scope="reports:read", query=ReportQuery, returns=ReportPage)
def list_reports(call: Call) -> Reply:
    """List reports, those of the newest days first."""
    asked = call.page_request(REPORT_SORTS["period_from"], is_descending=True)
    repository = ReportRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@reports.read("/<id:report_id>", scope="reports:read", returns=ReportSchema)
def get_report(call: Call, report_id: UUID) -> Reply:
    """Get a report: what it is of, and where its files are."""
    row = ReportRepository(call.session).find(report_id)
    if row is None:
        raise not_found("report")
    return Reply.resource(row)


@reports.read(
    "/<id:report_id>/files/html",
    scope="reports:read",
    returns={"type": "string"},
    content_type="text/html",
)
def get_report_page(call: Call, report_id: UUID) -> Reply:
    """Download a report as a page that needs nothing else."""
    reply = _file(call, report_id, "html", "text/html; charset=utf-8")
    reply.headers.append(("Content-Security-Policy", PAGE_POLICY))
    return reply


@reports.read(
    "/<id:report_id>/files/csv",
    scope="reports:read",
    returns={"type": "string"},
    content_type="text/csv",
)
def get_report_table(call: Call, report_id: UUID) -> Reply:
    """Download a report's figures as CSV: a row for each of the 30 days that end with its own."""
    return _file(call, report_id, "csv", "text/csv; charset=utf-8")


def _file(call: Call, report_id: UUID, form: str, content_type: str) -> Reply:
    row = ReportRepository(call.session).find_file(report_id, form)
    if row is None:
        raise not_found("report")
    name = f"{row.kind}-{row.period_from}.{form}"
    disposition = "inline" if form == "html" else "attachment"
    headers = [("Content-Disposition", f'{disposition}; filename="{name}"')]
    return Reply(bytes(row.content), headers=headers, content_type=content_type)
