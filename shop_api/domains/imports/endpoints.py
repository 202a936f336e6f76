"""Imports and jobs over HTTP."""

import io
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from werkzeug.datastructures import FileStorage

from shop_api.bulk.rejects import Reject, write_rejects
from shop_api.db.tenancy import read_session
from shop_api.domains.imports import service
from shop_api.domains.imports.errors import only_of_json
from shop_api.domains.imports.repository import (
    JOB_SORTS,
    REJECTS_BY_POSITION,
    JobRepository,
)
from shop_api.domains.imports.schemas import (
    ImportForm,
    ImportQuery,
    JobErrorPage,
    JobErrorQuery,
    JobPage,
    JobQuery,
    JobSchema,
    ProductImportForm,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.negotiation import VARIES, choose_type
from shop_api.web.reply import JSON, Reply

CSV = "text/csv"
NDJSON = "application/x-ndjson"
ERROR_FORMS = (JSON, NDJSON, CSV)
# of those that are streamed
ROWS_AT_A_TIME = 1000

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
    Beside the fields, `delimiter`, `quote`, `encoding` and `format` say how the files are written:
    `"delimiter": ";"`. Products are told apart by their `external_id`: those that are here already
    change where the file differs. New ones are `active`, on sale at once, unless the mapping fills
    `status`: `{"constant": "draft"}`.

    Answers at once with a job; a worker does the work. Rows that cannot be taken are listed under
    the job's errors, the others go in. The same import again changes nothing.
    """
    row = service.create_product_import(call.work, *_sent(call))
    return _accepted(row)


def _sent(
    call: Call,
) -> tuple[str | None, service.UploadedFile | None, list[service.UploadedFile]]:
    """The preset, the mapping and the files of a form."""
    files = [_uploaded(part) for part in call.body["files"]]
    mapping = _uploaded(call.body["mapping"]) if "mapping" in call.body else None
    return call.query.get("preset"), mapping, files


def _accepted(row: Row[Any]) -> Reply:
    reply = Reply.resource(row, 202)
    reply.headers.append(("Location", f"/api/v1/jobs/{row.id}"))
    return reply


def _uploaded(part: FileStorage) -> service.UploadedFile:
    """A part's name and bytes, from its start: a transaction tried again reads it again."""
    part.stream.seek(0)
    return part.filename or "", part.read()


@jobs.read("", scope="jobs:read", query=JobQuery, returns=JobPage)
def list_jobs(call: Call) -> Reply:
    """List jobs, newest first."""
    asked = call.page_request(JOB_SORTS["created_at"], is_descending=True)
    repository = JobRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.wants_total else None
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
    query=JobErrorQuery,
    returns=JobErrorPage,
    also_as={
        NDJSON: '{"position":1,"file":"goods.csv","row":3,"column":"title",'
        '"reason":"name is required"}\n',
        CSV: "file,row,column,reason\ngoods.csv,3,title,name is required\n",
    },
)
def list_job_errors(call: Call, job_id: UUID) -> Reply:
    """List what a job refused, in the order it was found: the first 100 000.

    `Accept` chooses the form: JSON in pages, or all of it as `application/x-ndjson` (a JSON object
    a line) or `text/csv`. Those that a running job has found so far are listed with each batch that
    it writes. In CSV, what a spreadsheet would run as a formula begins with `'`. Each form names a
    file in `Content-Disposition`: `errors-{id}.json`, `.ndjson` or `.csv`.
    """
    kind = choose_type(call.exchange.header("ACCEPT"), ERROR_FORMS)
    asked = call.page_request(REJECTS_BY_POSITION, is_descending=False)
    if kind != JSON and call.query:
        raise only_of_json(next(iter(call.query)))
    repository = JobRepository(call.session)
    job = repository.find(job_id)
    if job is None:
        raise not_found("job")
    if kind == JSON:
        page = repository.list_rejects(job_id, asked)
        total = repository.count_rejects(job_id) if call.wants_total else None
        reply = call.page(page, asked, total)
        name = f'inline; filename="errors-{job_id}.json"'
    else:
        found = _all_rejects(call, job_id)
        is_csv = kind == CSV
        reply = Reply(
            b"",
            version=job.version,
            content_type=f"{CSV}; charset=utf-8" if is_csv else NDJSON,
            parts=_as_csv(found) if is_csv else _as_lines(found),
        )
        name = f'attachment; filename="errors-{job_id}.{"csv" if is_csv else "ndjson"}"'
    reply.headers += [VARIES, ("Content-Disposition", name)]
    return reply


def _all_rejects(call: Call, job_id: UUID) -> Iterator[list[Row[Any]]]:
    """The rejects a part at a time, each in a transaction of its own: no client holds one open."""
    services, tenant_id, position = call.services, call.tenant_id, 0
    while True:
        replica = services.replica_for(call.exchange, tenant_id)
        with read_session(services.engine, replica, tenant_id) as session:
            rows = JobRepository(session).list_rejects_after(job_id, position, ROWS_AT_A_TIME)
        yield rows
        if len(rows) < ROWS_AT_A_TIME:
            return
        position = rows[-1].position


def _as_csv(found: Iterator[list[Row[Any]]]) -> Iterator[bytes]:
    has_header = True
    for rows in found:
        out = io.StringIO()
        rejects = (Reject(r.file, r.row, r.column, r.reason) for r in rows)
        write_rejects(rejects, out, has_header=has_header)
        has_header = False
        yield out.getvalue().encode()


def _as_lines(found: Iterator[list[Row[Any]]]) -> Iterator[bytes]:
    for rows in found:
        yield "".join([row.body + "\n" for row in rows]).encode()
