"""Questions of a client's own making over HTTP."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from flask import current_app

from shop_api.domains.insights.endpoints import ROWS, ask_snapshot, rows_url
from shop_api.domains.insights.errors import invalid_field, invalid_parameter, unanswerable
from shop_api.domains.insights.service import (
    DIMENSIONS,
    EXTENSION,
    METRICS,
    Asked,
    Build,
    Filter,
    Insights,
    build_figures,
    build_rows,
    dimensions_of,
    metrics_of,
    refused_values,
)
from shop_api.domains.queries.schemas import (
    DEFAULT_LIMIT,
    MAX_FILTER_BYTES,
    AnswerSchema,
    MetricsSchema,
    QuestionSchema,
    RowsQuery,
    RowsSchema,
)
from shop_api.kernel.clock import from_microseconds, microseconds
from shop_api.kernel.errors import DomainError
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

# what of a question says which page it is
PAGE = frozenset({"limit", "after"})

queries = Blueprint(
    "queries",
    __name__,
    url_prefix="/api/v1/analytics",
    description="Questions of your own: metrics by dimensions, and the rows behind each figure.",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: in which snapshot, asked at which instant, after how many rows."""

    snapshot_id: int | None
    asked_at: datetime
    offset: int

    def dump(self) -> bytes:
        """As a cursor holds it: 24 bytes."""
        parts = (self.snapshot_id or 0, microseconds(self.asked_at), self.offset)
        return b"".join(part.to_bytes(8, "big") for part in parts)

    @classmethod
    def parse(cls, payload: bytes) -> "Place":
        """As it was dumped."""
        snapshot_id, asked_at, offset = (
            int.from_bytes(payload[start : start + 8], "big") for start in (0, 8, 16)
        )
        return cls(snapshot_id, from_microseconds(asked_at), offset)


@queries.query("/query", scope="analytics:read", body=QuestionSchema, returns=AnswerSchema)
def query_figures(call: Call) -> Reply:
    """Ask for metrics by dimensions: any of the catalogue, filtered, compared, in any order.

    It changes nothing and needs no Idempotency-Key. Each row names the URL of the rows behind it,
    which add up to its figures. The pages of a question are of one snapshot; where its files are
    deleted, an hour after newer ones took its place, it is 422 `snapshot_gone`.
    """
    asked = dict(call.body)
    place = _place(call, call.body, None)
    filters = tuple(
        Filter(each["dimension"], tuple(each["values"]), each.get("operator", "in") == "in")
        for each in asked.pop("filters", ())
    )
    check_length(filters, "/filters")
    check_values(filters, [f"/filters/{place}/values" for place in range(len(filters))])
    order = asked.pop("order", None)
    question = Asked(
        metrics=tuple(asked.pop("metrics")),
        dimensions=tuple(asked.pop("dimensions", ())),
        filters=filters,
        sort=asked.pop("sort", None),
        is_descending=None if order is None else order == "desc",
        limit=asked.pop("limit", DEFAULT_LIMIT),
        offset=place.offset,
    )
    asked.pop("after", None)
    parameters = {"compare": "none", **asked}
    build = partial(build_figures, asked=question)
    answer = _answer(call, build, place, parameters, _refuse_question)
    link_rows(answer)
    return Reply.of(_paged(call, answer, place, call.body))


@queries.read(
    "/rows", scope="analytics:read", query=RowsQuery, returns=RowsSchema, has_session=False
)
def list_figure_rows(call: Call) -> Reply:
    """Open figures: the orders, payments, customers or sessions behind them, with what each adds.

    Rows name what they are of by ids alone. They add up to the figures exactly, at the same
    snapshot. One whose files are deleted, an hour after newer ones took its place, is 422
    `snapshot_gone`.
    """
    asked = dict(call.query)
    place = _place(call, call.query, asked.pop("snapshot", None))
    filters = read_filters(asked)
    check_values(filters)
    question = Asked(
        metrics=tuple(asked.pop("metric")),
        filters=filters,
        limit=asked.pop("limit", DEFAULT_LIMIT),
        offset=place.offset,
        until=asked.pop("until", None),
        segmented_at=asked.pop("segmented_at", None),
    )
    asked.pop("after", None)
    parameters = {**asked, "compare": "none"}
    build = partial(build_rows, asked=question)
    answer = _answer(call, build, place, parameters, _refuse_rows)
    reply = Reply.of(paged := _paged(call, answer, place, call.query))
    if paged["page_info"]["has_next_page"]:
        sent = parse_qsl(call.exchange.environ.get("QUERY_STRING", ""), keep_blank_values=True)
        kept = [(name, value) for name, value in sent if name != "after"]
        following = urlencode([*kept, ("after", paged["page_info"]["end_cursor"])])
        reply.headers.append(("Link", f'<{ROWS}?{following}>; rel="next"'))
    return reply


@queries.read("/metrics", scope="analytics:read", returns=MetricsSchema, has_session=False)
def list_metrics(_: Call) -> Reply:
    """List the metrics: name, formula, unit, grain, and the SQL that computes them.

    And the dimensions they can be asked by.
    """
    return Reply.of(
        {
            "data": [
                {
                    "name": metric.name,
                    "title": metric.title,
                    "unit": metric.unit,
                    "formula": metric.formula,
                    "grain": metric.grain,
                    "source": metric.source,
                    "sql": metric.expression,
                    "is_additive": metric.is_additive,
                    "dimensions": dimensions_of(metric),
                }
                for metric in METRICS.values()
            ],
            "dimensions": [
                {
                    "name": dimension.name,
                    "title": dimension.title,
                    "description": dimension.description,
                    "values": dimension.values,
                    "metrics": metrics_of(dimension),
                }
                for dimension in DIMENSIONS.values()
            ],
        }
    )


def link_rows(answer: dict[str, Any]) -> None:
    """Put, for the question that opens each part of an answer, the URL that asks it."""
    for part in (answer["totals"], *answer["data"]):
        for name in ("rows", "previous_rows"):
            part[name] = part[name] and rows_url(part[name])


def read_filters(asked: dict[str, Any]) -> tuple[Filter, ...]:
    """The filters among the parameters of a URL, taken out of them."""
    return tuple(
        Filter(name, tuple(asked.pop(key)), is_in)
        for name in DIMENSIONS
        for key, is_in in ((name, True), (f"not_{name}", False))
        if key in asked
    )


def check_length(filters: tuple[Filter, ...], pointer: str) -> None:
    """Refuse what would not fit in the URL of the rows."""
    length = sum(len(quote(str(value))) + 3 for each in filters for value in each.values)
    if length > MAX_FILTER_BYTES:
        detail = f"all values together take more than {MAX_FILTER_BYTES} bytes"
        raise unanswerable(pointer, detail)


def check_values(filters: tuple[Filter, ...], pointers: list[str] | None = None) -> None:
    """Refuse a value that nothing can have, of a body's filter or a parameter of the URL."""
    for place, number, detail in refused_values(filters):
        chosen = filters[place]
        parameter = chosen.dimension if chosen.is_in else f"not_{chosen.dimension}"
        raise unanswerable(f"{pointers[place]}/{number}" if pointers else parameter, detail)


def _refuse_question(parameter: str, detail: str) -> DomainError:
    """By the field of the body."""
    if parameter.partition("/")[0] in ("metrics", "dimensions", "filters", "sort"):
        return unanswerable(f"/{parameter}", detail)
    return invalid_field(parameter, detail)


def _refuse_rows(parameter: str, detail: str) -> DomainError:
    """By the parameter of the query."""
    names = {"metrics": "metric", "filters": "metric", "time": "time"}
    name = names.get(parameter.partition("/")[0])
    return unanswerable(name, detail) if name else invalid_parameter(parameter, detail)


def _answer(
    call: Call, build: Build[dict[str, Any]], place: Place, parameters: dict[str, Any], refuse: Any
) -> dict[str, Any]:
    lake: Insights = current_app.extensions[EXTENSION]
    if place.snapshot_id is None:
        snapshot = lake.snapshot_of(call.tenant_id)
    else:
        snapshot = lake.snapshot_named(call.services.engine, place.snapshot_id, call.tenant_id)
    return ask_snapshot(call, build, parameters, snapshot, place.asked_at, refuse)


def _place(call: Call, asked: dict[str, Any], snapshot_id: int | None) -> Place:
    """The beginning, or where the cursor says; 400 for one of another question."""
    if "after" not in asked:
        return Place(snapshot_id, call.now, 0)
    payload = call.signer().unseal(asked["after"], _context(call, asked))
    return Place.parse(payload)


def _context(call: Call, asked: dict[str, Any]) -> bytes:
    """A digest of the question and of what of the tenant its answer depends on."""
    question = {key: value for key, value in asked.items() if key not in PAGE}
    shop = (call.principal.currency, call.principal.timezone)
    told = msgspec.json.encode([question, shop], order="deterministic")
    return blake2b(told, digest_size=12).digest()


def _paged(
    call: Call, answer: dict[str, Any], place: Place, asked: dict[str, Any]
) -> dict[str, Any]:
    """The answer with where its next page begins."""
    has_next = answer.pop("has_next")
    cursor = None
    if has_next:
        offset = place.offset + len(answer["data"])
        following = Place(int(answer["snapshot"]), place.asked_at, offset)
        cursor = call.signer().seal(following.dump(), _context(call, asked))
    return {**answer, "page_info": {"has_next_page": has_next, "end_cursor": cursor}}
