"""The alarm of the lake: tenants are told when their figures are late, once, and when they are not.

Belongs here: when an outage begins and ends. Does not: exporting (runner.py), what is told of one
tenant's data (sinks/quarantine.py).

It asks no lock of the lake: a run that hangs with it is told of, too.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update

from pipelines.sinks.publication import newest
from shop_api.kernel.clock import format_instant
from shop_api.metrics.definitions import pipeline_late_after
from shop_api.models import lake_outages
from shop_api.spine.notifications import (
    LATE_PIPELINE,
    Notification,
    Resolution,
    leave_for_all,
)

LATENESS = "lake_lateness"
logger = logging.getLogger(__name__)


def check_lateness(engine: Engine, now: datetime, late_after: timedelta) -> bool:
    """Begin or end an outage, with what tenants are told of it; whether the figures are late."""
    pipeline_late_after.set(late_after.total_seconds())
    columns = lake_outages.c
    with engine.begin() as connection:
        published = newest(connection)
        if published is None:
            return False
        as_of = published.position.as_of
        is_late = now - as_of > late_after
        is_open = select(columns.id).where(columns.ended_at.is_(None)).with_for_update()
        open_id = connection.execute(is_open).scalar()
        if is_late and open_id is None:
            logger.error("the figures are late", extra={"as_of": as_of.isoformat()})
            connection.execute(insert(lake_outages).values(as_of=as_of, started_at=now))
            leave_for_all(connection, _late(as_of), now)
        elif not is_late and open_id is not None:
            logger.info("the figures are no longer late", extra={"as_of": as_of.isoformat()})
            ended = update(lake_outages).where(columns.id == open_id).values(ended_at=now)
            connection.execute(ended)
            leave_for_all(connection, Resolution(LATE_PIPELINE), now)
    return is_late


def _late(as_of: datetime) -> Notification:
    return Notification(
        kind=LATE_PIPELINE,
        level="warning",
        title="Your figures are late",
        message=(
            f"They show your shop as it was at {as_of:%H:%M} UTC on {as_of:%-d %B %Y}. Nothing is"
            " lost, your shop goes on, and they catch up by themselves."
        ),
        key=LATE_PIPELINE,
        action_url="/api/v1/analytics/pipelines",
        data={"as_of": format_instant(as_of)},
    )
