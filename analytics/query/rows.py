"""The rows behind a figure: what each order, refund, payment, customer or session adds
to it, adding up to it exactly.

Belongs here: from movements to the rows of an answer. Does not: the statement (statement.py).
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from analytics.conversion import APPLIED_RATE, ORIGINAL_CURRENCY
from analytics.dashboard.question import AnalyticsRequest, Question, format_instant
from analytics.engine import Engine, Row
from analytics.lake import Lake
from analytics.metrics.definitions import Metric, money
from analytics.query.asked import Asked, check
from analytics.query.figures import figure
from analytics.query.statement import Statement, rows_statement, rows_total_statement

# By what a row is found, beside the visitor of a session; null where it is of none.
IDS = (
    *("order_id", "order_number", "line_id", "refund_id", "payment_id", "customer_id"),
    "session_id",
)


def build_rows(
    engine: Engine, lake: Lake, request: AnalyticsRequest, asked: Asked
) -> dict[str, Any]:
    """A page of the rows in the order they count, and the figures that all of them come to.

    Of a quotient, `amounts` add up to what is divided and `divisors` to what it is divided by.
    """
    check(asked, request.channel)
    question = Question(engine, lake, request)
    total = _ask(question, rows_total_statement(question, asked))[0]
    rows = _ask(question, rows_statement(question, asked))
    metrics, digits = asked.known_metrics, question.digits
    return {
        **question.envelope(),
        "figures": {
            metric.name: figure(
                metric,
                total[f"total_amount_{metric.name}"] or 0,
                total.get(f"total_divisor_{metric.name}") or 0,
                digits,
            )
            for metric in metrics
        },
        "row_count": int(total["row_count"]),
        "data": [_row(question, row, metrics) for row in rows[: asked.limit]],
        "has_next": len(rows) > asked.limit,
    }


def _ask(question: Question, statement: Statement) -> list[Row]:
    return question.ask_movements(
        statement.text, statement.tables, statement.span, statement.parameters
    )


def _row(question: Question, row: Row, metrics: list[Metric]) -> dict[str, Any]:
    digits = question.digits
    rate = row.get(APPLIED_RATE)
    quotients = [metric for metric in metrics if metric.denominator is not None]
    return {
        "kind": row["kind"],
        "at": format_instant(datetime.fromisoformat(row["counted_at"])),
        **{name: row.get(name) for name in IDS},
        "visitor_id": row.get("seen_visitor_id"),
        "currency": row.get(ORIGINAL_CURRENCY, question.request.currency),
        "exchange_rate": None if rate is None else Decimal(f"{rate.normalize():f}"),
        "amounts": {m.name: _amount(m, "amount", row, digits) for m in metrics},
        "divisors": {m.name: _amount(m, "divisor", row, digits) for m in quotients},
    }


def _amount(metric: Metric, side: str, row: Row, digits: int) -> Decimal | int:
    """What the row adds, whole: an amount finer than the currency is not rounded."""
    value: Decimal | int = row[f"{side}_{metric.name}"] or 0
    if isinstance(value, int):
        return value
    rounded = money(value, digits)
    return rounded if rounded == value else value
