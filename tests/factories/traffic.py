"""Storefront events: as a page sends them, and as the stream holds them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import redis

from pipelines.context import LakeContext
from pipelines.traffic import run_traffic
from shop_api.db.request_redis import RequestRedis
from shop_api.spine.traffic_stream import TrafficEvent, TrafficIntake, microseconds
from tests.fixtures.api import Shop

# what an event of a kind cannot do without
NEEDED: dict[str, Callable[[], dict[str, str]]] = {
    "page_view": lambda: {"path": "/"},
    "product_view": lambda: {"product_id": str(uuid4())},
    "add_to_cart": lambda: {"product_id": str(uuid4())},
    "purchase": lambda: {"order_id": str(uuid4())},
}


def sent(kind: str = "page_view", at: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """An event; what its kind needs is made up unless told."""
    occurred_at = datetime.now(UTC) if at is None else at
    return {
        "id": str(uuid4()),
        "kind": kind,
        "occurred_at": occurred_at.isoformat(),
        "visitor_id": "v_1",
        "session_id": "s_1",
        **NEEDED.get(kind, dict)(),
        **changes,
    }


def track_body(_: Shop) -> dict[str, Any]:
    return {"events": [sent()]}


TRAFFIC_BODIES = {"track_events": track_body}


def event(at: datetime | None = None, **changes: object) -> TrafficEvent:
    occurred_at = microseconds(datetime.now(UTC) if at is None else at)
    known = {"kind": "session", "visitor_id": "v", "session_id": "s", "is_bot": False}
    return TrafficEvent(
        **{"event_id": str(uuid4()), "occurred_at": occurred_at, **known, **changes}  # type: ignore[arg-type]
    )


def new_intake(redis_url: str) -> TrafficIntake:
    """The way into the stream."""
    return TrafficIntake(RequestRedis(redis_url), 1_000_000)


def send(
    intake: TrafficIntake, tenant_id: UUID, *events: TrafficEvent, at: datetime | None = None
) -> None:
    assert intake.add(tenant_id, events, ["v"], datetime.now(UTC) if at is None else at)


def put_into_lake(lake: LakeContext, redis_url: str, *tenant_ids: UUID) -> None:
    """An event of each tenant, by way of the stream."""
    intake = new_intake(redis_url)
    for tenant_id in tenant_ids:
        send(intake, tenant_id, event())
    with redis.Redis.from_url(redis_url) as client:
        run_traffic(lake, client, datetime.now(UTC))
