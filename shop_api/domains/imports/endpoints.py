"""Imports and jobs over HTTP."""

import io
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from werkzeug.datastructures import FileStorage

from shop_api.bulk.rejects import Reject, write_rejects
from shop_api.domains.imports import service
from shop_api.domains.imports.repository import JOB_SORTS, JobRepository
from shop_api.domains.imports.schemas import (
    ImportForm,
    ImportQuery,
    JobPage,
    JobQuery,
    JobSchema,
    ProductImportForm,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

CSV = "text/csv; charset=utf-8"

imports = Blueprint(
    "imports", __name__, url_prefix="/api/v1/imports", description="Bring in another shop's export."
)
product_imports = Blueprint(
    "product_imports",
    __name__,
    url_prefix="/api/v1/products",
    description="Bring in files of products.",
)
jobs = Blueprint(
    "jobs", __name__, url_prefix="/api/v1/jobs", description="Long work and how far it is."
)


@imports.mutation(
    "POST",
    "",
    scope="imports:write",
    query=ImportQuery,
    body=ImportForm,
    body_location="files",
    returns=JobSchema,
    status=202,
)
def create_import(call: Call) -> Reply:
    """Import the files of another shop's export.

    Answers at once with a job; a worker does the work. Rows that cannot be taken are listed under
    the job's errors, the others go in. The same import again changes nothing.
    """
    row = service.create_import(call.work, *_sent(call))
    return _accepted(row)


@product_imports.mutation(
    "POST",
    "/bulk-import",
    scope="catalog:write",
    query=ImportQuery,
    body=ProductImportForm,
    body_location="files",
    returns=JobSchema,
    status=202,
)
def bulk_import_products(call: Call) -> Reply:
    """Import products from CSV, NDJSON or Parquet files.

    The mapping says which column fills which field: `{"external_id": "code", "name": "title",
    "price": "price"}`, as JSON or YAML; or a whole mapping, or the preset of another shop's export.
    Products are told apart by their `external_id`: those that are here already change where the
    file differs.

    Answers at once with a job; a worker does the work. Rows that cannot be taken are listed under
    the job's errors, the others go in. The same import again changes nothing.
    """
    row = service.create_product_import(call.work, *_sent(call))
    return _accepted(row)


def _sent(call: Call) -> tuple[str | None, bytes | None, list[tuple[str, bytes]]]:
    """The preset, the mapping and the files of a form."""
    files = [(part.filename or "", _content(part)) for part in call.body["files"]]
    mapping = _content(call.body["mapping"]) if "mapping" in call.body else None
    return call.query.get("preset"), mapping, files


def _accepted(row: Row[Any]) -> Reply:
    reply = Reply.resource(row, 202)
    reply.headers.append(("Location", f"/api/v1/jobs/{row.id}"))
    return reply


def _content(part: FileStorage) -> bytes:
    """A part's bytes, from its start: a transaction tried again reads it again."""
    part.stream.seek(0)
    return part.read()


@jobs.read("", scope="jobs:read", query=JobQuery, returns=JobPage)
def list_jobs(call: Call) -> Reply:
    """List jobs, newest first."""
    asked = call.page_request(JOB_SORTS["created_at"], is_descending=True)
    repository = JobRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.query.get("include_total") else None
    return call.page(page, asked, total)


@jobs.read("/<id:job_id>", scope="jobs:read", returns=JobSchema)
def get_job(call: Call, job_id: UUID) -> Reply:
    """Get a job: its state, progress and counts."""
    row = JobRepository(call.session).find(job_id)
    if row is None:
        raise not_found("job")
    return Reply.resource(row)


@jobs.mutation("POST", "/<id:job_id>/cancel", scope="imports:write", returns=JobSchema)
def cancel_job(call: Call, job_id: UUID) -> Reply:
    """Stop a job.

    A running import stops after its present batch; what it wrote stays. 409 `job_finished` when
    the job has ended.
    """
    before = JobRepository(call.session).find(job_id, for_update=True)
    if before is None:
        raise not_found("job")
    call.require_version(before.version)
    return Reply.resource(service.cancel_job(call.work, before))


@jobs.read(
    "/<id:job_id>/errors",
    scope="jobs:read",
    returns={"type": "string"},
    content_type="text/csv",
)
def get_job_errors(call: Call, job_id: UUID) -> Reply:
    """Download the refused rows as CSV: file, row, column, reason (the first 10 000)."""
    repository = JobRepository(call.session)
    row = repository.find(job_id)
    if row is None:
        raise not_found("job")
    out = io.StringIO()
    write_rejects(
        (Reject(r.file, r.row, r.column, r.reason) for r in repository.rejects(job_id)), out
    )
    disposition = ("Content-Disposition", f'attachment; filename="errors-{job_id}.csv"')
    return Reply(
        out.getvalue().encode(), version=row.version, headers=[disposition], content_type=CSV
    )
