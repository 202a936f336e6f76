"""Pipelines over HTTP."""

from datetime import timedelta

from shop_api.db.json import encode_json
from shop_api.domains.pipeline_runs.repository import (
    RUNS_BY_START,
    SHARES_BY_START,
    RunDirectory,
    ShareRepository,
)
from shop_api.domains.pipeline_runs.schemas import (
    PipelineRunPage,
    PipelineRunQuery,
    PipelinesSchema,
)
from shop_api.domains.pipeline_runs.service import describe
from shop_api.kernel.principal import PLATFORM
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.pagination import PageQuery
from shop_api.web.reply import Reply

pipeline_runs = Blueprint(
    "pipelines",
    __name__,
    url_prefix="/api/v1",
    description="How fresh figures are, and the runs that make them.",
)


@pipeline_runs.read(
    "/analytics/pipelines", scope="analytics:read", query=PageQuery, returns=PipelinesSchema
)
def get_pipelines(call: Call) -> Reply:
    """Get how fresh your figures are, whether your data is held back and why, and what ran.

    Runs are listed newest first, those that did something of your shop; rows, bytes and files are
    of your shop alone. Records of a week are kept, of a busy shop the newest 5 000.
    """
    asked = call.page_request(SHARES_BY_START, is_descending=True)
    repository = ShareRepository(call.session)
    late_after = timedelta(seconds=call.services.settings.lake_late_after_seconds)
    as_of = RunDirectory(call.session).find_as_of()
    freshness = describe(as_of, repository.find_hold(), call.now, late_after)
    page = repository.list_page(asked)
    reply = call.page(page, asked, repository.count() if call.wants_total else None)
    reply.body = b'{"freshness":' + encode_json(freshness).encode() + b"," + reply.body[1:]
    return reply


@pipeline_runs.read(
    "/pipeline_runs", scope=PLATFORM, query=PipelineRunQuery, returns=PipelineRunPage
)
def list_pipeline_runs(call: Call) -> Reply:
    """List the runs of all pipelines, newest first, with what failed and whom a run left out."""
    asked = call.page_request(RUNS_BY_START, is_descending=True)
    directory = RunDirectory(call.session)
    page = directory.list_page(call.query, asked)
    total = directory.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)
