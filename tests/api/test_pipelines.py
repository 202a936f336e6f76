"""Pipelines as a tenant and as the platform see them, and what a tenant is told of them."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from sqlalchemy import select

from analytics import open_lake
from pipelines.context import LakeContext
from pipelines.lateness import check_lateness
from pipelines.runner import run_export
from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.domains.notifications import tasks
from shop_api.domains.notifications.tasks import deliver
from shop_api.models import events, notices
from shop_api.spine.jobs import WorkerContext
from tests.factories.sales import day, place, selling, spoil
from tests.fixtures.api import PLATFORM_KEY, ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake, now, published
from tests.fixtures.stores import Database

PIPELINES, NOTIFICATIONS = "/api/v1/analytics/pipelines", "/api/v1/notifications"
DASHBOARD = "/api/v1/analytics/dashboard"
RUNS = "/api/v1/pipeline_runs"
LATE_AFTER = timedelta(minutes=5)
APP_SETTINGS = {"cache_bytes": 0}


@pytest.fixture
def worker(app: App, database: Database, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's means, over this application's lake."""
    settings = app.services.settings
    with redis.Redis.from_url(redis_url) as client:
        yield WorkerContext(
            settings, database.engine, database.exporter_engine, database.waker, client
        )


@pytest.fixture
def lake(database: Database, worker: WorkerContext) -> LakeContext:
    return new_lake(database, Path(worker.lake_location))


def told(shop: Shop, **query: Any) -> list[dict[str, Any]]:
    """Its notifications, the oldest first."""
    answered = shop.api.get(NOTIFICATIONS, query={"limit": 100, "order": "asc", **query})
    assert answered.status == 200, answered.body
    found: list[dict[str, Any]] = answered.json["data"]
    return found


def pushed(database: Database, tenant_id: UUID) -> list[dict[str, Any]]:
    """The data of the events that pushed them."""
    query = select(events.c.data).order_by(events.c.sequence)
    with tenant_session(database.engine, tenant_id) as session:
        own = query.where(events.c.tenant_id == tenant_id)
        return list(session.execute(own.where(events.c.type == "system_notification")).scalars())


def sell(database: Database, shop: Shop, number: int) -> UUID:
    with selling(database, shop.tenant_id) as work:
        return place(work, number, day(number))


def check_what_others_see(api: ApiClient, good: Shop, bad: Shop, held_id: str) -> None:
    """Another shop sees nothing of it, nor of runs without it; the platform sees all."""
    assert told(good) == []
    theirs = good.api.get(PIPELINES)
    assert len(theirs.json["data"]) == 3
    for other in (bad.tenant_id, "refused", "break"):
        assert str(other) not in theirs.body.decode()
    assert good.api.get(f"{NOTIFICATIONS}/{held_id}").status == 404
    assert good.api.post(f"{NOTIFICATIONS}/{held_id}/read").status == 404
    assert good.api.get(RUNS).status == 403
    runs = api.with_token(PLATFORM_KEY).get(RUNS, query={"name": "lake_export"}).json["data"]
    named = [str(bad.tenant_id) in (run["error"] or "") for run in runs]
    assert named == [False, True, True, False]
    assert runs[1]["counts"]["refused_tenants"] == 1


def as_of_figures(app: App, lake: LakeContext, shop: Shop) -> str:
    """What an answer of the API says it is of, once it follows; the lake itself says the same."""
    seen = published(lake)
    deadline = time.monotonic() + 5
    while app.lake.snapshot() != seen:
        assert time.monotonic() < deadline, "the newest snapshot is not seen"
        time.sleep(0.005)
    answer: str = shop.api.get(DASHBOARD, query={"period": "7d"}).json["as_of"]
    with open_lake(str(shop.tenant_id), lake.location) as opened:
        assert opened.revenue(period="7d")["as_of"] == answer
    return answer


def test_broken_rows_hold_back_one_shop_which_is_told(
    app: App, api: ApiClient, database: Database, worker: WorkerContext, lake: LakeContext
) -> None:
    good, bad = open_shop(api), open_shop(api)
    empty = bad.api.get(PIPELINES).json
    assert (empty["freshness"]["state"], empty["data"]) == ("empty", [])
    sell(database, good, 1)
    order_id = sell(database, bad, 1)
    start = now()
    run_export(lake, start)
    before = published(lake)
    fresh = bad.api.get(PIPELINES).json
    assert fresh["freshness"]["state"] == "fresh"
    (share,) = fresh["data"]
    assert (share["name"], share["state"]) == ("lake_export", "succeeded")
    assert share["rows_written"] > 0
    assert share["bytes_written"] > share["files_written"] > 0
    assert 0 < share["duration_seconds"] <= share["lag_seconds"] < 60

    spoil(database, bad.tenant_id, order_id, 1)
    sell(database, good, 2)
    run_export(lake, start + timedelta(seconds=1))
    deliver(worker)
    (held,) = told(bad)
    assert (held["kind"], held["level"], held["read_at"]) == ("quarantined_data", "error", None)
    assert held["message"].startswith("1 row of orders breaks a rule of your figures: ")
    assert (held["data"]["table"], held["data"]["row_count"]) == ("orders", 1)
    assert held["data"]["examples"][0]["order_id"] == str(order_id)
    assert held["data"]["as_of"] == before.as_of.isoformat().replace("+00:00", "Z")
    answered = bad.api.get(PIPELINES).json
    freshness = answered["freshness"]
    assert freshness["state"] == "held_back"
    assert freshness["message"].startswith("1 row of orders breaks")
    # its figures are as of the snapshot that has all of it, the others' move on
    assert freshness["as_of"] == held["data"]["as_of"]
    assert as_of_figures(app, lake, bad) == freshness["as_of"]
    assert as_of_figures(app, lake, good) > freshness["as_of"]
    assert freshness["held"]["row_count"] == 1
    again_at = (start + timedelta(seconds=31)).isoformat(timespec="microseconds")
    assert freshness["held"]["retry_at"] == again_at.replace("+00:00", "Z")
    assert [(run["state"], run["rows_written"] > 0) for run in answered["data"]] == [
        ("refused", False),
        ("succeeded", True),
    ]

    # tried again in vain: not told again
    sell(database, good, 3)
    run_export(lake, start + timedelta(seconds=40))
    deliver(worker)
    assert told(bad) == [held]
    assert bad.api.get(PIPELINES).json["freshness"]["held"]["attempts"] == 2

    spoil(database, bad.tenant_id, order_id, 0)
    run_export(lake, start + timedelta(seconds=120))
    deliver(worker)
    over, released = told(bad)
    assert (over["id"], over["resolved_at"] is not None) == (held["id"], True)
    assert (released["kind"], released["level"]) == ("quarantined_data", "info")
    assert bad.api.get(PIPELINES).json["freshness"]["state"] == "fresh"
    assert as_of_figures(app, lake, bad) == as_of_figures(app, lake, good) > freshness["as_of"]
    seen = [(data["notification_id"], data["level"]) for data in pushed(database, bad.tenant_id)]
    assert seen == [(held["id"], "error"), (held["id"], "info"), (released["id"], "info")]

    assert pushed(database, good.tenant_id) == []
    check_what_others_see(api, good, bad, held["id"])


def test_late_figures_are_told_once_an_outage(
    api: ApiClient, database: Database, worker: WorkerContext, lake: LakeContext
) -> None:
    shop = open_shop(api)

    def check(at: datetime) -> bool:
        is_late = check_lateness(database.exporter_engine, at, LATE_AFTER)
        deliver(worker)
        return is_late

    # nothing is published, so nothing is late
    assert not check(now() + timedelta(days=1))
    sell(database, shop, 1)
    run_export(lake, now())
    as_of = published(lake).as_of
    assert not check(as_of + LATE_AFTER)
    assert told(shop) == []
    # the worker that exports has stopped
    for seconds in (1, 20, 3600):
        assert check(as_of + LATE_AFTER + timedelta(seconds=seconds))
    (late,) = told(shop, kind="late_pipeline")
    assert (late["level"], late["resolved_at"]) == ("warning", None)
    assert f"{as_of:%H:%M} UTC" in late["message"]

    # another exports, and it is over; the next time it is told anew
    run_export(lake, now() + timedelta(seconds=31))
    sell(database, shop, 2)
    run_export(lake, now())
    fresh = published(lake).as_of
    assert fresh > as_of
    for seconds in (0, 20):
        assert not check(fresh + timedelta(seconds=seconds))
    (over,) = told(shop)
    assert over["resolved_at"] is not None
    assert check(fresh + timedelta(hours=1))
    assert [one["resolved_at"] is None for one in told(shop)] == [False, True]
    kinds = [(data["level"], data["message"]) for data in pushed(database, shop.tenant_id)]
    assert [level for level, _ in kinds] == ["warning", "info", "warning"]


def test_a_notice_is_told_once_by_a_worker_that_died_before_it_forgot_it(
    api: ApiClient, database: Database, worker: WorkerContext, lake: LakeContext
) -> None:
    shop = open_shop(api)
    run_export(lake, now())
    check_lateness(database.exporter_engine, now() + timedelta(hours=1), LATE_AFTER)
    with database.exporter_engine.connect() as connection:
        left = [row._asdict() for row in connection.execute(select(notices))]
    deliver(worker)
    with database.exporter_engine.begin() as connection:
        connection.execute(notices.insert(), left)
    deliver(worker)
    assert len(told(shop)) == len(pushed(database, shop.tenant_id)) == 1
    with database.exporter_engine.connect() as connection:
        assert connection.execute(select(notices)).all() == []


def test_a_worker_that_comes_late_with_a_notice_takes_nothing_back(
    api: ApiClient, database: Database, worker: WorkerContext, lake: LakeContext
) -> None:
    shop = open_shop(api)
    run_export(lake, now())
    late = now() + timedelta(hours=1)
    for at in (late, now()):
        check_lateness(database.exporter_engine, at, LATE_AFTER)
    # what it has read when it is held up
    waiting = tasks._next(worker, -1)
    deliver(worker)
    check_lateness(database.exporter_engine, late + timedelta(minutes=1), LATE_AFTER)
    deliver(worker)
    for row in waiting:
        tasks._deliver(worker, row)
    assert [one["resolved_at"] is None for one in told(shop)] == [False, True]
    assert len(pushed(database, shop.tenant_id)) == 3


def test_notifications_are_read_one_by_one_and_all(
    api: ApiClient, database: Database, worker: WorkerContext, lake: LakeContext
) -> None:
    shop, other = open_shop(api), open_shop(api)
    run_export(lake, now())
    late = now() + timedelta(hours=1)
    for at in (late, now(), late, now(), late):
        check_lateness(database.exporter_engine, at, LATE_AFTER)
    deliver(worker)
    first, *rest = told(shop)
    assert len(rest) == 2
    marked = shop.api.post(f"{NOTIFICATIONS}/{first['id']}/read")
    assert marked.status == 200
    assert marked.json == {**first, "read_at": marked.json["read_at"]}
    again = shop.api.post(f"{NOTIFICATIONS}/{first['id']}/read")
    assert again.json == marked.json == shop.api.get(f"{NOTIFICATIONS}/{first['id']}").json
    assert [one["id"] for one in told(shop, is_read="false")] == [one["id"] for one in rest]
    assert told(shop, is_read="true") == [marked.json]
    assert shop.api.post(f"{NOTIFICATIONS}/all/read").json == {"count": 2}
    assert shop.api.post(f"{NOTIFICATIONS}/all/read").json == {"count": 0}
    assert told(shop, is_read="false") == []
    assert len(told(other, is_read="false")) == 3
