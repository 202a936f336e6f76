"""Between snapshots: who listens is told today's figures, at most once a second."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from pipelines.live_metrics import LiveMetrics
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.spine.jobs import WorkerContext
from shop_api.spine.passing import listening_tenants
from shop_api.spine.relay import channel_of
from shop_api.spine.traffic_stream import TrafficIntake
from tests.api.test_pushed_events import validators
from tests.factories.rows import make_tenant
from tests.factories.sales import cancel, place, refund, selling
from tests.fixtures.processes import wait_until
from tests.fixtures.realtime import announce, realtime_process, relaying
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

# 23:00 in New York
YESTERDAY = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def context(
    database: Database, redis_client: redis.Redis, redis_url: str, tmp_path: Path
) -> WorkerContext:
    settings = database.settings(tmp_path, redis_url)
    return WorkerContext(
        settings, database.engine, database.exporter_engine, database.waker, redis_client
    )


@pytest.fixture
def shop_id(database: Database) -> UUID:
    return make_tenant(database, timezone="America/New_York")


class Listener:
    """A realtime process, as Redis sees it."""

    def __init__(self, client: redis.Redis, tenant_id: UUID) -> None:
        self._pubsub = client.pubsub()
        self._pubsub.subscribe(channel_of(tenant_id))
        confirmed = self._pubsub.get_message(timeout=5)
        assert confirmed is not None
        assert confirmed["type"] == "subscribe"

    def told(self) -> list[dict[str, Any]]:
        """What has been told since the last time."""
        found = []
        while (message := self._pubsub.get_message(timeout=0.05)) is not None:
            found.append(json.loads(message["data"], parse_float=Decimal))
        return found

    def close(self) -> None:
        self._pubsub.close()


@pytest.fixture
def listener(redis_client: redis.Redis, shop_id: UUID) -> Iterator[Listener]:
    found = Listener(redis_client, shop_id)
    yield found
    found.close()


@pytest.fixture
def live(context: WorkerContext) -> LiveMetrics:
    return LiveMetrics(context)


def metrics(listener: Listener) -> dict[str, Any]:
    """Of the one message that was told."""
    (message,) = listener.told()
    found: dict[str, Any] = message["data"]["metrics"]
    return found


def test_a_listener_is_told_at_once_then_once_a_second_and_only_what_is_new(
    database: Database, live: LiveMetrics, shop_id: UUID, listener: Listener
) -> None:
    with selling(database, shop_id) as work:
        place(work, 1, YESTERDAY, price="99.00")
        # 20.00 less 0.50, shipping 4.00, tax 1.25
        order = place(work, 2, NOON, price="10.00")
    assert live.run(NOON)
    (first,) = listener.told()
    assert (first["type"], first["id"]) == ("dashboard_metrics_updated", None)
    assert first["data"].keys() == {
        *("metrics", "as_of", "snapshot", "currency", "timezone", "period")
    }
    assert first["data"]["snapshot"] is None
    assert first["data"]["period"] == {"from": "2026-03-02", "to": "2026-03-03"}
    assert first["data"]["metrics"] == {
        "total_revenue": Decimal("24.75"),
        "orders_today": 1,
        "units_today": 2,
        "average_order_value": Decimal("19.50"),
        "visitors_online": 0,
    }

    with selling(database, shop_id) as work:
        place(work, 3, NOON, price="5.00")
    with selling(database, shop_id) as work:
        refund(work, order, NOON, Decimal("2.00"))
    live.run(NOON + SECOND / 2)
    assert listener.told() == []
    live.run(NOON + SECOND)
    told = metrics(listener)
    assert (told["orders_today"], told["units_today"]) == (2, 4)
    assert told["total_revenue"] == Decimal("24.75") + Decimal("14.75") - 2

    # events that change no figure of today are not told of
    with selling(database, shop_id) as work:
        work.append("product_updated", "product", uuid4(), {})
    live.run(NOON + 2 * SECOND)
    assert listener.told() == []
    with selling(database, shop_id) as work:
        cancel(work, order, NOON)
    live.run(NOON + 3 * SECOND)
    told = metrics(listener)
    assert (told["orders_today"], told["total_revenue"]) == (2, Decimal("14.75"))
    # the shop's day turns
    live.run(NOON + timedelta(hours=13))
    told = metrics(listener)
    assert (told["orders_today"], told["average_order_value"]) == (0, None)


def test_a_shop_without_listeners_costs_nothing_and_others_hear_nothing_of_it(
    database: Database, live: LiveMetrics, listener: Listener
) -> None:
    live.run(NOON)
    listener.told()
    with selling(database, make_tenant(database)) as work:
        place(work, 1, NOON)
    with statements(database.engine) as seen:
        live.run(NOON + SECOND)
    assert seen == []
    assert listener.told() == []


def test_visitors_alone_are_told_every_five_seconds(
    redis_url: str, live: LiveMetrics, shop_id: UUID, listener: Listener
) -> None:
    live.run(NOON)
    assert metrics(listener)["visitors_online"] == 0
    TrafficIntake(RequestRedis(redis_url), 1_000_000).add(shop_id, [], ["v1", "v2"], NOON)
    live.run(NOON + 4 * SECOND)
    assert listener.told() == []
    live.run(NOON + 5 * SECOND)
    assert metrics(listener)["visitors_online"] == 2


def test_while_redis_is_away_the_job_has_not_done_its_work(context: WorkerContext) -> None:
    with redis.Redis.from_url("redis://127.0.0.1:1") as nowhere:
        assert LiveMetrics(replace(context, redis=nowhere)).run(NOON) is False


def test_listeners_hear_what_passes_and_their_place_among_events_stays(
    database: Database, context: WorkerContext, shop_id: UUID, tmp_path: Path
) -> None:
    redis_url = str(context.settings.redis_url)
    with (
        relaying(database.exporter_url, redis_url),
        realtime_process(context.settings, tmp_path / "log") as process,
    ):
        socket = process.connect(shop_id)
        stream = process.stream(shop_id)
        other = process.connect(shop_id, frozenset({"events:read"}))
        wait_until(lambda: shop_id in listening_tenants(context.redis), 5)
        # both are live: what passes is not for who still catches up
        announce(database, shop_id, ("system_notification", {}))
        assert [found.receive()["type"] for found in (socket, other)] == ["system_notification"] * 2
        assert [one["type"] for one in stream.receive_many(1)] == ["system_notification"]
        now = utc_now()
        with selling(database, shop_id) as work:
            place(work, 1, now)
        sold = socket.receive()
        assert LiveMetrics(context).run(now)
        told = socket.receive()
        assert (told["type"], told["id"]) == ("dashboard_metrics_updated", None)
        declared = validators()
        declared[told["type"]].validate(told)
        assert not declared[sold["type"]].is_valid({**sold, "id": None})
        assert told["data"]["metrics"]["orders_today"] == 1
        assert stream.receive_many(2) == [sold, told]
        # with which a browser would come back
        assert stream.last_id == str(sold["id"])
        announce(database, shop_id, ("system_notification", {}))
        assert socket.receive()["id"] == sold["id"] + 1
        # who may not see figures is told none
        assert other.receive()["id"] == sold["id"] + 1
        for listener in (socket, stream, other):
            listener.close()
