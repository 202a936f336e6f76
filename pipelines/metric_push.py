"""After a snapshot: today's figures of each shop it changed, as an event for its open dashboards.

Belongs here: `dashboard_metrics_updated`. Does not: delivering it (relay, realtime).
"""

import logging
from datetime import datetime
from uuid import UUID

import redis

from analytics.dashboard.answers import build_live_metrics
from analytics.lake import Snapshot
from pipelines.figures import Figures, Shop
from shop_api.db.outages import describe
from shop_api.spine.jobs import AfterPublish, WorkerContext
from shop_api.spine.traffic_stream import count_online
from shop_api.spine.unit_of_work import Origin, unit_of_work

EVENT = "dashboard_metrics_updated"
ACTOR = "system:metrics"
logger = logging.getLogger(__name__)


def metric_push(context: WorkerContext, figures: Figures) -> AfterPublish:
    """The hook that tells each changed shop its figures."""

    def push(tenant_ids: frozenset[UUID], now: datetime) -> None:
        snapshot = figures.snapshot()
        if snapshot is None:
            return
        for shop in figures.shops(tenant_ids):
            try:
                push_metrics(context, figures, shop, snapshot, now)
            except Exception:
                # its next snapshot tells it anew; the other shops are not kept waiting
                logger.exception("no figures of snapshot %s for %s", snapshot.id, shop.id)

    return push


def push_metrics(
    context: WorkerContext, figures: Figures, shop: Shop, snapshot: Snapshot, now: datetime
) -> None:
    """Append one shop's figures of today, as of the snapshot, to its events."""
    request = figures.request(shop, snapshot, now, period="today", interval="day", compare="none")
    answer = build_live_metrics(figures.engine, figures.lake, request)
    answer["metrics"]["visitors_online"] = _visitors_online(context, shop, now)
    data = {
        name: answer[name]
        for name in ("metrics", "as_of", "snapshot", "currency", "timezone", "period")
    }
    origin = Origin(shop.id, ACTOR, f"lake-snapshot-{snapshot.id}", now)
    with unit_of_work(context.engine, context.waker, origin) as work:
        work.append(EVENT, "dashboard", None, data)


def _visitors_online(context: WorkerContext, shop: Shop, now: datetime) -> int | None:
    """None when Redis does not say."""
    try:
        return count_online(context.redis, shop.id, now)
    except redis.RedisError as error:
        logger.warning("cannot count who is online: %s", describe(error))
        return None
