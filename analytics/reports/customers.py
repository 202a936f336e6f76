"""The report with a row per customer: what each ordered, how lately, and in which segment they are.

Belongs here: its columns, its orders and its rows, as a page or as a file. Does not: the statement
(queries/customer_report.sql) and how files are written (formats.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from analytics.contracts.contract import Column
from analytics.dashboard.customers import reference_instant
from analytics.dashboard.question import (
    AnalyticsRequest,
    Question,
    format_instant,
)
from analytics.engine import Engine, Row
from analytics.lake import Lake
from analytics.metrics.definitions import EXACT, average, money
from analytics.reports.formats import EVERY_ROW, ReportFile, Table, write_file

DEFAULT_LIMIT = 100

COLUMNS: tuple[Column, ...] = (
    Column("customer_id", "text", "The customer."),
    Column("segment", "text", "The segment the scores make."),
    Column("currency", "text", "ISO 4217 currency of the amounts."),
    Column("orders", "integer", "Orders of the period that are not cancelled.", "orders"),
    Column("gross_sales", "money_sum", "Gross sales of the period.", "currency"),
    Column("discounts", "money_sum", "Discounts of the period.", "currency"),
    Column("returns", "money_sum", "Returns of the period.", "currency"),
    Column("net_sales", "money_sum", "Net sales of the period.", "currency"),
    Column(
        "average_order_value",
        "money_sum",
        "(gross_sales − discounts) ÷ orders of the period.",
        "currency",
        is_nullable=True,
    ),
    Column("first_order_at", "instant", "The first order that is not cancelled."),
    Column("last_order_at", "instant", "The last one by the period's end."),
    Column("recency_days", "integer", "Whole days of 24 hours since.", "days"),
    Column("frequency", "integer", "All orders by then that are not cancelled.", "orders"),
    Column("monetary", "money_sum", "Net sales of all by then.", "currency"),
    Column("recency_score", "integer", "1 to 5; 5 is latest."),
    Column("frequency_score", "integer", "1 to 5; 5 is most often."),
    Column("monetary_score", "integer", "1 to 5; 5 is most."),
)
_MONEY = tuple(
    column.name
    for column in COLUMNS
    if column.type == "money_sum" and column.name != "average_order_value"
)
_COUNTS = tuple(column.name for column in COLUMNS if column.type == "integer")
SORTS: tuple[str, ...] = (*_MONEY, *_COUNTS, "first_order_at", "last_order_at", "customer_id")


@dataclass(frozen=True, slots=True)
class CustomerSelection:
    """Which customers, in which order. `sort` is one of SORTS; equal ones come by their id."""

    segment: str | None = None
    sort: str = "net_sales"
    is_descending: bool = True
    # None: 100 of a page, all of a file
    limit: int | None = None
    offset: int = 0


def build_customer_page(
    engine: Engine, lake: Lake, request: AnalyticsRequest, selection: CustomerSelection
) -> dict[str, Any]:
    """A page of the report, with what its figures are of."""
    question = Question(engine, lake, request)
    limit = DEFAULT_LIMIT if selection.limit is None else selection.limit
    rows = question.ask_facts(**_asked(question, selection, limit, selection.offset))
    total = rows[0]["total"] if rows else 0
    if not rows and selection.offset:
        # past the last row none tells how many there are
        first = question.ask_facts(**_asked(question, selection, 1, 0))
        total = first[0]["total"] if first else 0
    return {
        **question.envelope("interval", "compared_with", "unconverted_orders"),
        "unconverted_orders": (
            question.count_unconverted(reaches_back=True) if request.converted else None
        ),
        "until": format_instant(reference_instant(question)),
        "data": [_as_json(_finished(row, question)) for row in rows],
        "pagination": {
            "offset": selection.offset,
            "limit": limit,
            "total": total,
            "has_more": selection.offset + len(rows) < total,
        },
    }


def build_customer_file(
    engine: Engine,
    lake: Lake,
    request: AnalyticsRequest,
    selection: CustomerSelection,
    form: str,
) -> ReportFile:
    """The report as a file; all rows unless a limit is told."""
    question = Question(engine, lake, request)
    limit = EVERY_ROW if selection.limit is None else selection.limit
    asked = _asked(question, selection, limit, selection.offset)
    batches = question.stream_facts(**asked)
    table = Table(
        "Customers",
        COLUMNS,
        question.digits,
        request.snapshot.as_of,
        ([_finished(row, question) for row in rows] for rows in batches),
    )
    period = question.period
    name = f"customers-{period.start}-{period.last_day}-{request.currency}"
    return write_file(name, form, table)


def _asked(
    question: Question, selection: CustomerSelection, limit: int, offset: int
) -> dict[str, Any]:
    if selection.sort not in SORTS:
        raise ValueError(f"no order by {selection.sort!r}")
    until = reference_instant(question)
    direction = "DESC" if selection.is_descending else "ASC"
    return {
        "query": "customer_report",
        "tables": ("orders", "refunds"),
        "span": (question.period.start_instant, until),
        "reaches_back": True,
        "order": f"{selection.sort} {direction}",
        "basis": question.basis,
        "end_epoch": int(until.timestamp()),
        "segment": selection.segment,
        "limit": limit,
        "offset": offset,
    }


def _finished(row: Row, question: Question) -> Row:
    """A row in the report's columns, its amounts in the currency's digits."""
    return {
        "customer_id": row["customer_id"],
        "segment": row["segment"],
        "currency": question.request.currency,
        **{name: money(row[name], question.digits) for name in _MONEY},
        **{name: int(row[name]) for name in _COUNTS},
        "average_order_value": average(
            EXACT.subtract(row["gross_sales"], row["discounts"]),
            int(row["orders"]),
            question.digits,
        ),
        # DuckDB gives instants without their offset; they are UTC
        "first_order_at": row["first_order_at"].replace(tzinfo=UTC),
        "last_order_at": row["last_order_at"].replace(tzinfo=UTC),
    }


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    values = {column.name: row[column.name] for column in COLUMNS}
    for name in ("first_order_at", "last_order_at"):
        values[name] = format_instant(values[name])
    return values
