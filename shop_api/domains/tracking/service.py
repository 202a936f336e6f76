"""Which storefront events are taken in, and marking bots; knows neither HTTP nor Postgres.

Belongs here: the bounds of an event's time and what of an event travels on. Does not: the stream
(spine/traffic_stream.py) and counting visitors (analytics).

A User-Agent is looked at and let go of: neither it nor an address is in the stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from crawleruseragents import is_crawler

from shop_api.db.request_redis import RedisAway
from shop_api.domains.tracking.errors import STREAM_AWAY, STREAM_FULL, incomplete
from shop_api.kernel.clock import microseconds
from shop_api.metrics.definitions import traffic_events
from shop_api.spine.traffic_stream import (
    ONLINE_WINDOW,
    TrafficEvent,
    TrafficIntake,
)

# Where the application keeps its `TrafficIntake`.
EXTENSION = "shop_api.tracking"
LATEST = timedelta(hours=48)
# what an event of a kind cannot do without
NEEDED = {
    "page_view": "path",
    "product_view": "product_id",
    "add_to_cart": "product_id",
    "purchase": "order_id",
}
# Visitors' clocks run a little ahead.
CLOCK_AHEAD = timedelta(seconds=60)
# A browser's is 100 to 250 characters; to look through 4 KB takes 5 ms.
AGENT_CHARACTERS = 512
AGENTS_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Taken:
    """How many events were taken in, and how many were not, by reason."""

    accepted: int
    too_old: int
    in_future: int


def take_in(
    intake: TrafficIntake,
    tenant_id: UUID,
    sent: Sequence[Mapping[str, Any]],
    agent: str | None,
    now: datetime,
) -> Taken:
    """Put the events into the stream, all of those whose time is in bounds or none.

    `agent` is the User-Agent of whoever sent them, if that is the visitor; an event's own goes
    before it.
    """
    for place, event in enumerate(sent):
        needed = NEEDED.get(event["kind"])
        if needed is not None and needed not in event:
            raise incomplete(place, needed)
    oldest, newest = now - LATEST, now + CLOCK_AHEAD
    events = [event for event in sent if oldest <= event["occurred_at"] <= newest]
    too_old = sum(event["occurred_at"] < oldest for event in sent)
    if events:
        packed = [_packed(event, agent) for event in events]
        present = microseconds(now - ONLINE_WINDOW)
        online = {e.visitor_id for e in packed if not e.is_bot and e.occurred_at >= present}
        _add(intake, tenant_id, packed, sorted(online), now)
    taken = Taken(len(events), too_old, len(sent) - len(events) - too_old)
    for outcome in ("accepted", "too_old", "in_future"):
        traffic_events.labels(outcome).inc(getattr(taken, outcome))
    return taken


def _add(
    intake: TrafficIntake,
    tenant_id: UUID,
    events: list[TrafficEvent],
    visitor_ids: list[str],
    now: datetime,
) -> None:
    try:
        is_added = intake.add(tenant_id, events, visitor_ids, now)
    except RedisAway as error:
        traffic_events.labels("redis_away").inc(len(events))
        raise STREAM_AWAY from error
    if not is_added:
        traffic_events.labels("stream_full").inc(len(events))
        raise STREAM_FULL


def _packed(event: Mapping[str, Any], agent: str | None) -> TrafficEvent:
    def id_of(name: str) -> str | None:
        found = event.get(name)
        return None if found is None else str(found)

    return TrafficEvent(
        str(event["id"]),
        microseconds(event["occurred_at"]),
        event["kind"],
        event["visitor_id"],
        event["session_id"],
        is_bot(event.get("user_agent", agent)),
        event.get("path"),
        event.get("referrer_host"),
        event.get("utm_source"),
        event.get("utm_medium"),
        event.get("utm_campaign"),
        event.get("device"),
        id_of("product_id"),
        id_of("variant_id"),
        id_of("order_id"),
    )


def is_bot(agent: str | None) -> bool:
    """Whether a User-Agent is a known crawler's, or empty; None: it is not known, and no bot's."""
    return agent is not None and _is_bot(agent[:AGENT_CHARACTERS])


@lru_cache(maxsize=AGENTS_KEPT)
def _is_bot(agent: str) -> bool:
    return not agent or bool(is_crawler(agent))
