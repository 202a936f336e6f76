"""Storefront events from the stream to the lake: each once, whatever dies or comes late."""

import logging
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import polars as pl
import pytest
import redis
from polars.testing import assert_frame_equal

from analytics.lake import Lake
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.runner import run_export, run_rebuild
from pipelines.traffic import BATCHES_A_RUN, run_traffic
from pipelines.verification import run_verify
from shop_api.metrics.definitions import traffic_events, traffic_lag
from shop_api.spine.traffic_stream import (
    STREAM,
    UNREADABLE,
    WAITING,
    TrafficEvent,
    TrafficIntake,
    TrafficQueue,
    microseconds,
)
from tests.factories.rows import make_tenant
from tests.factories.sales import day, place, selling
from tests.factories.traffic import event, new_intake, send
from tests.fixtures.lake import exported_lake, new_lake, now, open_lake, published, rows
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")

STEPS = [
    "lake_traffic",
    "commit orders",
    "commit traffic_events",
    "publish",
    "published",
    "acknowledge",
]


@pytest.fixture
def lake(database: Database, tmp_path: Path, tenant_id: UUID) -> LakeContext:
    """A lake that was exported once."""
    return exported_lake(database, tmp_path / "lake", tenant_id)


@pytest.fixture
def intake(redis_url: str, redis_client: redis.Redis) -> TrafficIntake:
    """The way into an emptied stream."""
    return new_intake(redis_url)


def in_lake(lake: LakeContext) -> pl.DataFrame:
    return rows(lake, "traffic_events")


def ids(lake: LakeContext) -> list[str]:
    found: list[str] = in_lake(lake)["event_id"].sort().to_list()
    return found


def files(lake: LakeContext, tenant_id: UUID) -> list[str]:
    return Lake(lake.location).files("traffic_events", published(lake), str(tenant_id))


def duplicates() -> float:
    value: float = traffic_events.labels("duplicate")._value.get()
    return value


def test_an_event_reaches_the_lake_once_however_often_it_is_sent(
    lake: LakeContext, tenant_id: UUID, intake: TrafficIntake, redis_client: redis.Redis
) -> None:
    before = duplicates()
    whole = event(
        kind="product_view",
        path="/products/mug",
        referrer_host="www.example.com",
        utm_source="newsletter",
        utm_medium="email",
        utm_campaign="spring",
        device="mobile",
        product_id=str(uuid4()),
        variant_id=str(uuid4()),
        order_id=str(uuid4()),
    )
    received_at = now()
    # in a batch, in another, and when it is in the lake
    send(intake, tenant_id, whole, event(), whole, at=received_at)
    send(intake, tenant_id, whole)
    outcome = run_traffic(lake, redis_client, now())
    assert outcome.state == "published"
    assert outcome.tenant_ids == {tenant_id}
    send(intake, tenant_id, whole)
    assert run_traffic(lake, redis_client, now()).state == "idle"
    found = in_lake(lake)
    assert found.height == 2
    assert duplicates() - before == 3
    (row,) = found.filter(pl.col("event_id") == whole.event_id).to_dicts()
    assert microseconds(row.pop("occurred_at")) == whole.occurred_at
    assert row == {
        **{
            name: getattr(whole, name)
            for name in TrafficEvent.__struct_fields__
            if name != "occurred_at"
        },
        "tenant_id": str(tenant_id),
        "hour_key": f"{received_at:%Y-%m-%dT%H}",
        "received_at": received_at,
    }
    assert redis_client.xlen(STREAM) == 0
    assert redis_client.hgetall(WAITING) == {}


def test_the_same_id_of_two_tenants_is_two_events(
    database: Database,
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
) -> None:
    other, one = make_tenant(database), event()
    send(intake, tenant_id, one)
    send(intake, other, one)
    run_traffic(lake, redis_client, now())
    assert set(in_lake(lake)["tenant_id"]) == {str(tenant_id), str(other)}


def test_events_that_come_late_lie_in_the_hour_they_happened_in(
    lake: LakeContext, tenant_id: UUID, intake: TrafficIntake, redis_client: redis.Redis
) -> None:
    """Over a month's end, and once: also when the worker comes to it days later."""
    received = datetime.fromisoformat("2026-03-01T12:30:00+00:00")
    late = event(received - timedelta(hours=47, minutes=59))
    send(intake, tenant_id, event(received), at=received)
    run_traffic(lake, redis_client, now())
    for _ in range(2):
        send(intake, tenant_id, late, at=received)
        run_traffic(lake, redis_client, now())
    found = in_lake(lake).sort("occurred_at")
    assert found["hour_key"].to_list() == ["2026-02-27T12", "2026-03-01T12"]
    periods = lake.tables["traffic_events"].files()["period"]
    assert sorted(periods) == ["2026-02", "2026-03"]


def test_before_the_first_export_events_wait(
    database: Database,
    tenant_id: UUID,
    tmp_path: Path,
    intake: TrafficIntake,
    redis_client: redis.Redis,
) -> None:
    empty = new_lake(database, tmp_path / "empty")
    send(intake, tenant_id, event())
    assert run_traffic(empty, redis_client, now()).snapshot is None
    run_export(empty, now())
    assert run_traffic(empty, redis_client, now()).state == "published"
    assert in_lake(empty).height == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_run_neither_loses_nor_doubles(
    database: Database,
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
    redis_url: str,
    step: str,
) -> None:
    first, second, third = event(), event(), event()
    send(intake, tenant_id, first)
    run_traffic(lake, redis_client, now())
    before, seen = published(lake), in_lake(lake)
    send(intake, tenant_id, first, second)
    died = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults.traffic_run",
            *(database.exporter_url, redis_url, lake.location, step),
        ],
        timeout=60,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    if step in ("published", "acknowledge"):
        assert published(lake).id > before.id
    else:
        assert published(lake) == before
        assert_frame_equal(in_lake(lake), seen)
    assert redis_client.xlen(STREAM) == 1
    # more comes meanwhile, and an export runs over what the dead run left
    send(intake, tenant_id, second, third)
    with selling(database, tenant_id) as work:
        place(work, 2, day(1))
    run_export(open_lake(database, Path(lake.location)), now())
    again = open_lake(database, Path(lake.location))
    while run_traffic(again, redis_client, now()).snapshot is not None:
        pass
    assert ids(lake) == sorted(e.event_id for e in (first, second, third))
    assert redis_client.xlen(STREAM) == 0
    assert run_verify(lake, now()).differences == []


def test_two_workers_at_once_take_each_event_once(
    database: Database,
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
) -> None:
    """One that lost the job's lock goes on with batches that another takes, too."""
    events = [event() for _ in range(3)]
    send(intake, tenant_id, *events)
    inner: list[str] = []

    def meet(step: str) -> None:
        if step == "acknowledge" and not inner:
            # published, not acknowledged: the other is handed the same batch
            inner.append(step)
            batches = TrafficQueue(redis_client).read(10)
            assert [e for batch in batches for e in batch.events] == events

    run_traffic(open_lake(database, Path(lake.location), on_step=meet), redis_client, now())
    assert inner
    assert run_traffic(lake, redis_client, now()).snapshot is None
    assert ids(lake) == sorted(e.event_id for e in events)


def test_a_rebuild_keeps_what_postgres_does_not_have(
    database: Database,
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
) -> None:
    send(intake, tenant_id, event(), event(now() - timedelta(hours=40)))
    run_traffic(lake, redis_client, now())
    before = in_lake(lake)
    run_rebuild(lake, now())
    assert_frame_equal(in_lake(lake), before)
    # a tenant by itself, as after another timezone
    with selling(database, tenant_id) as work:
        work.append("orders_imported", "order", None, {})
    assert run_export(lake, now()).state == "published"
    assert_frame_equal(in_lake(lake), before)
    assert before.height == 2
    assert run_verify(lake, now()).differences == []


def test_another_server_keeps_the_events(
    database: Database,
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
) -> None:
    """A restore elsewhere: what it does not know as published is not thrown away."""
    send(intake, tenant_id, event())
    run_traffic(lake, redis_client, now())
    with database.exporter_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lake_snapshots SET system_identifier = 1")
    run_export(open_lake(database, Path(lake.location)), now())
    assert in_lake(lake).height == 1


@pytest.mark.parametrize("how", ["missing", "cut off", "overwritten"])
def test_a_damaged_file_costs_its_own_events_and_says_so(
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    lost, kept, new = event(), event(), event()
    send(intake, tenant_id, lost)
    run_traffic(lake, redis_client, now())
    (spoilt,) = map(Path, files(lake, tenant_id))
    send(intake, tenant_id, kept)
    run_traffic(lake, redis_client, now())
    content = spoilt.read_bytes()
    if how == "missing":
        spoilt.unlink()
    else:
        spoilt.write_bytes(content[:100] if how == "cut off" else b"\0" * len(content))
    send(intake, tenant_id, new)
    with caplog.at_level(logging.ERROR):
        assert run_traffic(lake, redis_client, now()).state == "published"
    assert f"1 rows of tenant {tenant_id} in traffic_events are lost" in caplog.text
    assert ids(lake) == sorted([kept.event_id, new.event_id])
    # the tenant's other facts stand
    assert run_verify(lake, now()).differences == []


@pytest.mark.parametrize("how", ["missing", "overwritten"])
def test_housekeeping_lets_go_of_a_damaged_file_and_joins_the_rest(
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    for _ in range(4):
        send(intake, tenant_id, event())
        run_traffic(lake, redis_client, now())
    before = in_lake(lake)
    spoilt = Path(files(lake, tenant_id)[0])
    gone = pl.read_parquet(spoilt, hive_partitioning=False)["event_id"][0]
    if how == "missing":
        spoilt.unlink()
    else:
        spoilt.write_bytes(b"\0" * spoilt.stat().st_size)
    with caplog.at_level(logging.ERROR):
        assert run_compact(lake, now()).state == "published"
    assert "are lost" in caplog.text
    assert len(files(lake, tenant_id)) == 1
    assert_frame_equal(in_lake(lake), before.filter(pl.col("event_id") != gone))


def test_events_are_kept_as_long_as_is_set(
    database: Database,
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
) -> None:
    present = now().replace(hour=12)
    ages = [timedelta(days=age) for age in (0, 29, 30, 31, 40)]
    for age in ages:
        send(intake, tenant_id, event(present - age), at=present - age)
    run_traffic(lake, redis_client, now())
    before = in_lake(lake)
    month = LakeContext(
        database.exporter_engine, lake.location, 200_000, traffic_retention=timedelta(days=30)
    )
    assert run_compact(month, present).state == "published"
    assert_frame_equal(
        in_lake(lake), before.filter(pl.col("occurred_at") >= present - timedelta(days=30))
    )
    # and once that is done nothing is written anew
    lying = files(lake, tenant_id)
    run_compact(month, present)
    assert files(lake, tenant_id) == lying
    assert in_lake(lake).height == 3
    assert before.height == 5


def test_what_cannot_be_read_is_kept_aside_and_the_rest_goes_on(
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fields: dict[Any, Any] = {"tenant": str(tenant_id), "count": 3}
    fields |= {"received_at": 1, "events": b"\xc1"}
    redis_client.xadd(STREAM, fields)
    redis_client.hset(WAITING, mapping={"all": 3, str(tenant_id): 3})
    send(intake, tenant_id, event())
    with caplog.at_level(logging.ERROR):
        run_traffic(lake, redis_client, now())
    assert "3 storefront events are kept aside" in caplog.text
    assert in_lake(lake).height == 1
    assert redis_client.xlen(UNREADABLE) == 1
    assert (redis_client.xlen(STREAM), redis_client.hgetall(WAITING)) == (0, {})


def test_a_run_takes_a_bounded_number_of_batches_and_tells_how_far_it_is_behind(
    lake: LakeContext, tenant_id: UUID, intake: TrafficIntake, redis_client: redis.Redis
) -> None:
    for _ in range(BATCHES_A_RUN + 1):
        send(intake, tenant_id, event())
    later = now() + timedelta(seconds=100)
    run_traffic(lake, redis_client, later)
    assert 99 < traffic_lag._value.get() < 160
    assert in_lake(lake).height == BATCHES_A_RUN
    run_traffic(lake, redis_client, later)
    run_traffic(lake, redis_client, later)
    assert traffic_lag._value.get() == 0
    assert in_lake(lake).height == BATCHES_A_RUN + 1
