"""Between snapshots: today's figures of shops that somebody watches, within a second of a sale.

Belongs here: reading them from Postgres and when they are told. Does not: the figures of a snapshot
(metric_push.py), whose message has the same form; carrying them (spine/passing.py, realtime).

They are what the lake says once it has caught up, under the basis `order_date`: of orders placed
today in the shop's currency.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import redis
from sqlalchemy import Engine, func, select

from analytics.metrics.definitions import average, money
from analytics.periods import Period, find_zone, local_date, name_period
from pipelines.metric_push import EVENT
from shop_api.db.outages import describe
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import run_for_tenants
from shop_api.db.types import AnyRow
from shop_api.kernel.clock import format_instant
from shop_api.kernel.money import currency_digits
from shop_api.models import events, tenants
from shop_api.spine.jobs import WorkerContext
from shop_api.spine.passing import listening_tenants, pass_on
from shop_api.spine.traffic_stream import counts_online

LIVE_METRICS = "live_metrics"
# A shop is told at most this often.
SPACING = timedelta(seconds=1)
# How soon it is told that only visitors came or went: a hundred of them a second are no news.
VISITOR_SPACING = timedelta(seconds=5)
# Shops that are read in one round trip: a busy one's day takes Postgres some 20 ms.
SHOPS_AT_ONCE = 50

# As transforms/orders.py and daily_sales.py have it. Refunds and lines are found by their orders,
# and those along ix_orders_placed_at.
TODAY = """
SELECT statement_timestamp() AS as_of, count(*) AS placed, count(*) FILTER (WHERE kept) AS orders,
       coalesce(sum(total - refunded) FILTER (WHERE kept), 0) AS total_sales,
       coalesce(sum(goods) FILTER (WHERE kept), 0) AS goods,
       coalesce(sum(units) FILTER (WHERE kept), 0) AS units
FROM (
    SELECT o.status <> 'cancelled' AS kept, o.total,
           o.total - o.tax_total - o.shipping_total
               + CASE WHEN o.tax_included THEN o.shipping_tax_total ELSE 0 END AS goods,
           (SELECT coalesce(sum(r.amount), 0) FROM refunds r
            WHERE r.tenant_id = o.tenant_id AND r.order_id = o.id) AS refunded,
           (SELECT coalesce(sum(l.quantity), 0) FROM order_lines l
            WHERE l.tenant_id = o.tenant_id AND l.order_id = o.id) AS units
    FROM orders o
    WHERE o.tenant_id = %(tenant_id)s AND o.currency = %(currency)s
      AND o.placed_at >= %(start)s AND o.placed_at < %(end)s
) AS placed_today
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Day:
    """A local day of a shop's sales in its currency."""

    period: Period
    currency: str


@dataclass(frozen=True, slots=True)
class Today:
    """The figures of a day, with all that was committed before `as_of`."""

    metrics: dict[str, Any]
    as_of: datetime


def read_days(engine: Engine, days: Mapping[UUID, Day]) -> dict[UUID, Today]:
    """A day's figures of each tenant, from Postgres in one round trip; `engine` is shop_app's.

    The metrics are those of analytics.dashboard.answers.build_live_metrics.
    """
    statements = [
        (
            tenant_id,
            Statement(
                TODAY,
                {
                    "tenant_id": tenant_id,
                    "currency": day.currency,
                    "start": day.period.start_instant,
                    "end": day.period.end_instant,
                },
            ),
        )
        for tenant_id, day in days.items()
    ]
    found = run_for_tenants(engine, statements)
    return {
        tenant_id: Today(_metrics(row, day.currency), row.as_of)
        for (tenant_id, day), (row,) in zip(days.items(), found, strict=True)
    }


def _metrics(row: AnyRow, currency: str) -> dict[str, Any]:
    digits = currency_digits(currency)
    return {
        "total_revenue": money(row.total_sales, digits),
        "orders_today": row.placed,
        "units_today": int(row.units),
        "average_order_value": average(row.goods, row.orders, digits),
    }


@dataclass(frozen=True, slots=True)
class _State:
    """What a shop's figures depend on, and what it was told when."""

    # its newest
    event: int
    day: Day
    visitors: int
    metrics: Mapping[str, Any] | None = None
    told_at: datetime | None = None

    def is_due(self, now: datetime, before: "_State | None") -> bool:
        """Whether the shop is to be told at `now`, which was told `before`."""
        if before is None or before.told_at is None:
            return True
        if (self.event, self.day) != (before.event, before.day):
            return now - before.told_at >= SPACING
        return self.visitors != before.visitors and now - before.told_at >= VISITOR_SPACING


class LiveMetrics:
    """The job: looks at who listens and tells what has changed. One worker runs it at a time."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._told: dict[UUID, _State] = {}

    def run(self, now: datetime) -> bool:
        """Tell all shops that are due; False when Redis is away and so nobody hears."""
        try:
            states = self._states(listening_tenants(self._context.redis), now)
            # who listens again is told anew
            self._told = {id_: told for id_, told in self._told.items() if id_ in states}
            due = [id_ for id_, state in states.items() if state.is_due(now, self._told.get(id_))]
            for start in range(0, len(due), SHOPS_AT_ONCE):
                self._tell({id_: states[id_] for id_ in due[start : start + SHOPS_AT_ONCE]}, now)
        except redis.RedisError as error:
            logger.warning("cannot tell live figures: %s", describe(error))
            return False
        return True

    def _states(self, tenant_ids: set[UUID], now: datetime) -> dict[UUID, _State]:
        if not tenant_ids:
            return {}
        t = tenants.c
        # along the primary key, from its end
        newest = select(func.max(events.c.sequence)).where(events.c.tenant_id == t.id)
        query = select(
            t.id, t.currency, t.timezone, func.coalesce(newest.scalar_subquery(), 0).label("event")
        ).where(t.id.in_(tenant_ids))
        with self._context.exporter_engine.connect() as connection:
            rows = connection.execute(query).all()
        visitors = counts_online(self._context.redis, [row.id for row in rows], now)
        return {
            row.id: _State(row.event, Day(_today(row.timezone, now), row.currency), online)
            for row, online in zip(rows, visitors, strict=True)
        }

    def _tell(self, states: dict[UUID, _State], now: datetime) -> None:
        found = read_days(self._context.engine, {id_: state.day for id_, state in states.items()})
        messages, told = [], {}
        for tenant_id, state in states.items():
            today, before = found[tenant_id], self._told.get(tenant_id)
            metrics = {**today.metrics, "visitors_online": state.visitors}
            # what changed may be no figure of today
            if before is None or before.metrics != metrics:
                messages.append((tenant_id, _data(metrics, today.as_of, state.day)))
            told[tenant_id] = replace(state, metrics=metrics, told_at=now)
        pass_on(self._context.redis, EVENT, messages, now)
        self._told |= told


def _today(timezone: str, now: datetime) -> Period:
    return name_period("today", now, timezone, local_date(now, find_zone(timezone)))


def _data(metrics: Mapping[str, Any], as_of: datetime, day: Day) -> dict[str, Any]:
    return {
        "metrics": metrics,
        "as_of": format_instant(as_of),
        "snapshot": None,
        "currency": day.currency,
        "timezone": day.period.timezone,
        "period": {"from": day.period.start.isoformat(), "to": day.period.end.isoformat()},
    }
