"""Giving back the stock of orders that nobody paid in time.

Belongs here: finding them. Does not: cancelling (service.py), which looks again with the order
locked: a payment that arrives at that moment is either seen there, or finds the order cancelled.
"""

import logging
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from shop_api.domains.cancellations.service import expire_order
from shop_api.spine.jobs import ScheduledJob, WorkerContext
from shop_api.spine.unit_of_work import Origin, unit_of_work

INTERVAL_SECONDS = 30.0
# of one run; the next begins where it ended, because what is cancelled is found no more
BATCH_ORDERS = 500
ACTOR = "system:order_holds"

FIND_OVERDUE = text(
    "SELECT tenant_id, id FROM orders WHERE hold_expires_at <= :now"
    " ORDER BY hold_expires_at LIMIT :limit"
)

logger = logging.getLogger(__name__)


def jobs(context: WorkerContext) -> list[ScheduledJob]:
    """The schedule of this domain."""
    return [
        ScheduledJob(
            "expire_orders",
            "orders",
            lambda now: _run(context, now),
            interval_seconds=INTERVAL_SECONDS,
        )
    ]


def _run(context: WorkerContext, now: datetime) -> None:
    count = expire_orders(context, now)
    if count:
        logger.info("cancelled %d orders that nobody paid in time", count)


def expire_orders(context: WorkerContext, now: datetime) -> int:
    """Cancel the orders overdue at `now`, each in a transaction of its own; how many there were."""
    with context.exporter_engine.connect() as connection:
        rows = connection.execute(FIND_OVERDUE, {"now": now, "limit": BATCH_ORDERS}).all()
    cancelled = 0
    for tenant_id, order_id in rows:
        origin = Origin(tenant_id, ACTOR, f"expire-{order_id}", now)
        try:
            with unit_of_work(context.engine, context.waker, origin) as work:
                cancelled += expire_order(work, order_id)
        except OperationalError:
            raise
        except Exception:
            # one order that cannot be cancelled does not keep the stock of the others
            logger.exception("order %s could not be expired", order_id)
    return cancelled
