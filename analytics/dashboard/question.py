"""One question to the lake: its period resolved, its snapshot fixed, its statements run.

Belongs here: what every answer has in common, parameters, files and deadline. Does not: the
sections of an answer (sales.py, breakdowns.py) and their JSON (answers.py).
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from analytics.contracts import CONTRACTS
from analytics.conversion import converting, tables_read
from analytics.engine import Engine, QueryTimeout, Row
from analytics.lake import Lake, Snapshot, TableMissing
from analytics.metrics.definitions import UNCONVERTED_ORDERS, select_list
from analytics.periods import (
    INTERVALS,
    ONE_DAY,
    BadParameter,
    Period,
    comparison_end,
    comparison_period,
    date_period,
    default_interval,
    find_zone,
    local_date,
    name_period,
)
from analytics.queries import load_query

Basis = Literal["order_date", "event_date"]
BASES: tuple[str, ...] = get_args(Basis)
DEFAULT_PERIOD = "30d"
# What of an envelope is said of sales alone, and of sales that may be converted.
OF_CONVERSION = ("converted", "unconverted_orders")
OF_SALES = ("currency", "basis", "channel", *OF_CONVERSION)

# Instants, half-open.
Span = tuple[datetime, datetime]
# From None: all before its end.
OpenSpan = tuple[datetime | None, datetime]
# Its text, the files of its tables and its parameters.
Statement = tuple[str, Mapping[str, list[str]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AnalyticsRequest:
    """What is asked, of which tenant and state. Values a client chose are checked by `Question`."""

    tenant_id: str
    snapshot: Snapshot
    timezone: str
    currency: str
    currency_digits: int
    now: datetime
    # a period's name, or both dates; neither: the last 30 days
    period: str | None = None
    start: date | None = None
    end: date | None = None
    # None: chosen by the length of the period
    interval: str | None = None
    compare: str = "previous_period"
    basis: str = "order_date"
    # None: all channels
    channel: str | None = None
    # all currencies, each order at the rate it was placed at; `currency` is then the shop's own
    converted: bool = False
    # of traffic: also what crawlers did
    include_bots: bool = False
    deadline_seconds: float = 30.0


class Question:
    """A request with its period, ready to be answered from one snapshot."""

    def __init__(self, engine: Engine, lake: Lake, request: AnalyticsRequest) -> None:
        if request.basis not in BASES:
            raise BadParameter("basis", f"`basis` must be one of {', '.join(BASES)}")
        self._engine = engine
        self._lake = lake
        self._deadline = time.monotonic() + request.deadline_seconds
        self.request = request
        self.period = self._resolve_period()
        self.interval = request.interval or default_interval(self.period)
        if self.interval not in INTERVALS:
            raise BadParameter("interval", f"`interval` must be one of {', '.join(INTERVALS)}")
        is_everything = request.period == "all" and request.compare == "previous_period"
        self.comparison = None if is_everything else comparison_period(self.period, request.compare)
        # within the last day compared with while that of the period runs
        self.compared_until = (
            comparison_end(self.period, self.comparison, request.now) if self.comparison else None
        )

    def _resolve_period(self) -> Period:
        request = self.request
        if request.start is not None or request.end is not None:
            if request.period is not None:
                raise BadParameter("period", "send `period`, or `from` and `to`, not both")
            if request.start is None or request.end is None:
                raise BadParameter(
                    "from" if request.start is None else "to",
                    "`from` and `to` go together: send both",
                )
            return date_period(request.start, request.end, request.timezone)
        today = local_date(request.now, find_zone(request.timezone))
        first_day = self._first_day(today) if request.period == "all" else today
        return name_period(
            request.period or DEFAULT_PERIOD, request.now, request.timezone, first_day
        )

    def _first_day(self, today: date) -> date:
        row = self._run("first_day", {"daily_sales": (None, None)}, {"timezone": self.timezone})[0]
        if row["day"] is None:
            return today
        first_day: date = row["day"]
        return first_day - timedelta(days=1) if row["is_other_timezone"] else first_day

    @property
    def timezone(self) -> str:
        return self.request.timezone

    @property
    def zone(self) -> ZoneInfo:
        return find_zone(self.request.timezone)

    @property
    def digits(self) -> int:
        return self.request.currency_digits

    @property
    def basis(self) -> str:
        return self.request.basis

    @property
    def _filters(self) -> dict[str, Any]:
        return {"currency": self.request.currency, "channel": self.request.channel}

    @property
    def compared_days(self) -> Period | None:
        """The days compared with that count whole: without the last while its like still runs."""
        before = self.comparison
        if before is None or self.compared_until == before.end_instant:
            return before
        return Period(before.start, before.end - ONE_DAY, self.timezone)

    def ask_rollup(self, query: str, metrics: str) -> list[Row]:
        """Run a statement over the daily rollup, for the period and the whole days before."""
        before = self.compared_days or Period(self.period.start, self.period.start, self.timezone)
        parameters = {
            **self._filters,
            "basis": self.basis,
            "timezone": self.timezone,
            "interval": "day" if self.interval == "hour" else self.interval,
            "start": self.period.start,
            "end": self.period.end,
            "previous_start": before.start,
            "previous_end": before.end,
        }
        return self._run(query, {"daily_sales": (None, None)}, parameters, metrics)

    def ask_facts(self, query: str, tables: tuple[str, ...], **options: Any) -> list[Row]:
        """Run a statement over facts, with the options of `facts_statement`."""
        text, files, values = self.facts_statement(query, tables, **options)
        return self._engine.run(text, files, values, deadline_seconds=self._left_seconds())

    def stream_facts(
        self, query: str, tables: tuple[str, ...], **options: Any
    ) -> Iterator[list[Row]]:
        """The same for answers of any length, a part at a time."""
        text, files, values = self.facts_statement(query, tables, **options)
        return self._engine.batches(text, files, values, deadline_seconds=self._left_seconds())

    def facts_statement(
        self,
        query: str,
        tables: tuple[str, ...],
        *,
        span: Span | None = None,
        reaches_back: bool = False,
        metrics: str = "",
        order: str = "",
        **parameters: Any,
    ) -> Statement:
        """A statement over facts of a span (the question's period unless told).

        With `reaches_back` the statement looks at what was before the span, too.

        Facts lie in the partition of their order's day. Under event_date a refund or a cancelling
        in the period may belong to an older order, so all partitions are handed over, and the
        statistics inside the files leave out what has no row of the period.
        """
        start_at, end_at = span or (self.period.start_instant, self.period.end_instant)
        instants = {"start_at": start_at, "end_at": end_at}
        first = None if reaches_back else start_at
        text = load_query(query).replace("{metrics}", metrics).replace("{order}", order)
        text, tables = self._converted(text, tables)
        spans = self._spans(tables, (first, end_at), parameters.get("basis", "order_date"))
        values = {**self._filters, **instants, **parameters}
        return text, self._files(spans), {n: v for n, v in values.items() if f"${n}" in text}

    def _converted(self, text: str, tables: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """The statement as it is asked, and the tables it reads."""
        if not self.request.converted:
            return text, tables
        return converting(text, tables, self.digits), tables_read(text, tables)

    def count_unconverted(self, *, reaches_back: bool = False) -> int:
        """Orders of the period (all until its end where `reaches_back`) without a rate into the
        currency, which converted figures leave out."""
        start_at, end_at = self.period.start_instant, self.period.end_instant
        start = None if reaches_back else start_at
        span = {"start_at": start, "end_at": end_at}
        rows = self._run(
            "unconverted_orders",
            {"orders": (start, end_at)},
            {**self._filters, **span},
            select_list((UNCONVERTED_ORDERS,)),
        )
        return int(rows[0][UNCONVERTED_ORDERS.name])

    def ask_stock(self, query: str, metrics: str, **parameters: Any) -> list[Row]:
        """Run a statement over stock at the end of the question's period and all sales before it.

        Stock is counted back from now, so of movements only those after the period are read.
        Raises TableMissing when the lake is of a release that kept no stock.
        """
        text, files, values = self._stock(query, metrics, parameters)
        return self._engine.run(text, files, values, deadline_seconds=self._left_seconds())

    def stream_stock(self, query: str, metrics: str, **parameters: Any) -> Iterator[list[Row]]:
        """The same for answers of any length, a part at a time."""
        text, files, values = self._stock(query, metrics, parameters)
        return self._engine.batches(text, files, values, deadline_seconds=self._left_seconds())

    def _stock(self, query: str, metrics: str, parameters: Mapping[str, Any]) -> Statement:
        start_at, end_at = self.period.start_instant, self.period.end_instant
        spans: dict[str, tuple[date | None, date | None]] = {
            "stock_levels": (None, None),
            "inventory_movements": (end_at, None),
            "order_lines": (None, end_at),
            "refunds": (start_at, end_at),
            "dim_variants": (None, None),
            "dim_products": (None, None),
        }
        self._require(spans)
        own = {"currency": self.request.currency, "start_at": start_at, "end_at": end_at}
        return self._statement(query, spans, {**own, **parameters}, metrics)

    def ask_usage(self, query: str) -> list[Row]:
        """Run a statement over the API usage of the question's period."""
        start_at, end_at = self.period.start_instant, self.period.end_instant
        instants = {"start_at": start_at, "end_at": end_at}
        return self._run(query, {"api_usage": (start_at, end_at)}, instants)

    def ask_traffic(
        self,
        query: str,
        dimensions: tuple[str, ...] = (),
        *,
        span: Span | None = None,
        metrics: str = "",
        **parameters: Any,
    ) -> list[Row]:
        """Run a statement over the traffic of a span (the question's period unless told)."""
        start_at, end_at = span or (self.period.start_instant, self.period.end_instant)
        known = {
            "start_at": start_at,
            "end_at": end_at,
            "include_bots": self.request.include_bots,
        }
        request = self.request
        if not self._lake.files(
            "traffic_events", request.snapshot, request.tenant_id, start_at, end_at
        ):
            # a shop whose storefront sends nothing: its dashboard takes no longer for it
            return []
        tables: dict[str, tuple[date | None, date | None]] = dict.fromkeys(dimensions, (None, None))
        tables["traffic_events"] = (start_at, end_at)
        return self._run(query, tables, {**known, **parameters}, metrics)

    def ask_dimension(self, query: str, table: str) -> list[Row]:
        """Run a statement over a dimension as it is in the snapshot."""
        return self._run(query, {table: (None, None)}, {})

    def ask_movements(
        self, text: str, tables: tuple[str, ...], span: OpenSpan, parameters: Mapping[str, Any]
    ) -> list[Row]:
        """Run a text over movements of a span, with the files that `ask_facts` hands over."""
        text, files, values = self._movements(text, tables, span, parameters)
        return self._engine.run(text, files, values, deadline_seconds=self._left_seconds())

    def stream_movements(
        self, text: str, tables: tuple[str, ...], span: OpenSpan, parameters: Mapping[str, Any]
    ) -> Iterator[list[Row]]:
        """The same for answers of any length, a part at a time."""
        text, files, values = self._movements(text, tables, span, parameters)
        return self._engine.batches(text, files, values, deadline_seconds=self._left_seconds())

    def _movements(
        self, text: str, tables: tuple[str, ...], span: OpenSpan, parameters: Mapping[str, Any]
    ) -> Statement:
        text, tables = self._converted(text, tables)
        files = self._files(self._spans(tables, span, self.basis))
        self._require(tables)
        # sessions are of no currency and no channel
        values = {n: v for n, v in {**self._filters, **parameters}.items() if f"${n}" in text}
        return text, files, values

    def ask_names(self, query: str, ids: list[str]) -> list[Row]:
        """Run a statement that gives the names of things of the catalogue."""
        return self._run(query, {"dim_products": (None, None)}, {"ids": ids})

    def _require(self, tables: Iterable[str]) -> None:
        """Raise TableMissing when the lake is of a release that did not keep one of them."""
        for table in tables:
            if table not in self.request.snapshot.versions:
                raise TableMissing(f"snapshot {self.request.snapshot.id} is without {table}")

    @staticmethod
    def _spans(
        tables: tuple[str, ...], span: tuple[datetime | None, datetime], basis: str
    ) -> dict[str, tuple[date | None, date | None]]:
        own = (None, None) if basis == "event_date" else span
        return {
            table: (None, None) if CONTRACTS[table].period_source is None else own
            for table in tables
        }

    def _run(
        self,
        query: str,
        spans: Mapping[str, tuple[date | None, date | None]],
        parameters: Mapping[str, Any],
        metrics: str = "",
    ) -> list[Row]:
        text, files, values = self._statement(query, spans, parameters, metrics)
        return self._engine.run(text, files, values, deadline_seconds=self._left_seconds())

    def _left_seconds(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise QueryTimeout(f"no answer within {self.request.deadline_seconds:g} s")
        return left

    def _statement(
        self,
        query: str,
        spans: Mapping[str, tuple[date | None, date | None]],
        parameters: Mapping[str, Any],
        metrics: str = "",
    ) -> Statement:
        return load_query(query).replace("{metrics}", metrics), self._files(spans), parameters

    def _files(self, spans: Mapping[str, tuple[date | None, date | None]]) -> dict[str, list[str]]:
        return {
            table: self._lake.files(
                table, self.request.snapshot, self.request.tenant_id, start, end
            )
            for table, (start, end) in spans.items()
        }

    def envelope(self, *without: str) -> dict[str, Any]:
        """What the figures are figures of, but for what does not matter to them."""
        request = self.request
        told: dict[str, Any] = {
            "as_of": format_instant(request.snapshot.as_of),
            "snapshot": str(request.snapshot.id),
            "timezone": request.timezone,
            "currency": request.currency,
            "basis": request.basis,
            "channel": request.channel,
            "period": period_value(self.period),
            "interval": self.interval,
            "compared_with": self._comparison_value(),
            "converted": request.converted,
        }
        if "unconverted_orders" not in without:
            count = self.count_unconverted() if request.converted else None
            told["unconverted_orders"] = count
        return {name: value for name, value in told.items() if name not in without}

    def _comparison_value(self) -> dict[str, str] | None:
        if self.comparison is None or self.compared_until is None:
            return None
        return {**period_value(self.comparison), "until": format_instant(self.compared_until)}


def period_value(period: Period) -> dict[str, str]:
    """The period as its half-open dates."""
    return {"from": period.start.isoformat(), "to": period.end.isoformat()}


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
