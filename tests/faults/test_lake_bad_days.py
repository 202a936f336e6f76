"""Days when the lake cannot be written or read: readers keep what they have, nothing is lost."""

import logging
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from deltalake.exceptions import DeltaError
from polars.testing import assert_frame_equal
from sqlalchemy import select

from analytics.lake import Lake
from pipelines.context import LakeContext
from pipelines.runner import run_export, run_rebuild
from pipelines.verification import run_verify
from shop_api.app import App, create_app
from shop_api.models import pipeline_runs
from tests.factories.sales import cancel, day, place, selling
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.lake import everything, invoke, new_lake, now, open_lake, published
from tests.fixtures.stores import Database

DASHBOARD = "/api/v1/analytics/dashboard"


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake."""
    return new_lake(database, tmp_path / "lake")


def sell(database: Database, tenant_id: UUID, first_number: int, count: int = 5) -> list[UUID]:
    with selling(database, tenant_id) as work:
        return [place(work, first_number + n, day(n)) for n in range(count)]


@contextmanager
def full_disk(free_bytes: int) -> Iterator[None]:
    """No file of this process grows past so many bytes, as on a disk that has no more."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# Of the files of this run the first is too large, or only one of a later table.
@pytest.mark.parametrize("free_bytes", [0, 1_000, 9_000])
def test_a_full_disk_fails_the_run_and_nothing_else(
    database: Database, tenant_id: UUID, lake: LakeContext, free_bytes: int
) -> None:
    orders = sell(database, tenant_id, 1)
    run_export(lake, now())
    before, seen = published(lake), everything(lake)
    sell(database, tenant_id, 100, 60)
    with selling(database, tenant_id) as work:
        cancel(work, orders[2], day(90))

    with full_disk(free_bytes), pytest.raises((OSError, DeltaError), match="File too large"):
        run_export(lake, now())

    assert published(lake) == before
    for table, rows in everything(lake).items():
        assert_frame_equal(rows, seen[table])
    with database.exporter_engine.connect() as connection:
        states = connection.execute(
            select(pipeline_runs.c.state, pipeline_runs.c.error).order_by(pipeline_runs.c.id)
        ).all()
    assert [row.state for row in states] == ["succeeded", "failed"]
    assert "File too large" in states[-1].error
    assert run_export(lake, now()).state == "published"
    assert run_verify(lake, now()).differences == []


@pytest.mark.parametrize("step", ["lake_export", "commit order_lines", "publish"])
def test_postgres_gone_in_the_middle_of_a_run(
    database: Database, tenant_id: UUID, lake: LakeContext, step: str
) -> None:
    orders = sell(database, tenant_id, 1)
    run_export(lake, now())
    before, seen = published(lake), everything(lake)
    with selling(database, tenant_id) as work:
        cancel(work, orders[0], day(90))

    is_cut = threading.Event()
    is_cut.set()

    def cut_off(reached: str) -> None:
        if reached == step and is_cut.is_set():
            database.server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = '{database.name}' AND usename = 'shop_exporter'"
            )

    broken = open_lake(database, Path(lake.location), on_step=cut_off)
    with pytest.raises(Exception, match=r"terminat|connection is lost"):
        run_export(broken, now())

    assert published(lake) == before
    for table, rows in everything(lake).items():
        assert_frame_equal(rows, seen[table])
    with selling(database, tenant_id) as work:
        cancel(work, orders[1], day(91))
    is_cut.clear()
    assert run_export(broken, now()).state == "published"
    assert run_verify(lake, now()).differences == []


@pytest.fixture
def app(database: Database, redis_url: str, lake: LakeContext, tmp_path: Path) -> Iterator[App]:
    settings = database.settings(
        tmp_path / "data", redis_url, lake_url=lake.location, cache_bytes=0
    )
    built = create_app(settings)
    yield built
    built.close()


def follow(app: App, lake: LakeContext) -> None:
    deadline = time.monotonic() + 5
    while app.lake.snapshot().id < published(lake).id:
        assert time.monotonic() < deadline, "the new snapshot is not seen"
        time.sleep(0.005)


def sold(shop: Shop) -> None:
    product = shop.product("19.90")
    assert shop.order((product["variants"][0]["id"], 1)).status == 201


def spoil(lake: LakeContext, tenant_id: str, how: str) -> None:
    """The files of a tenant's orders as a bad disk may give them back, of the same size or not."""
    for name in Lake(lake.location).files("orders", published(lake), tenant_id):
        content = bytearray(Path(name).read_bytes())
        if how == "cut off":
            del content[100:]
        elif how == "zeros":
            content[:] = bytes(len(content))
        else:
            middle = range(8, len(content) // 2)
            content[8 : len(content) // 2] = bytes(content[at] ^ 0x55 for at in middle)
        Path(name).write_bytes(content)


@pytest.mark.parametrize("how", ["cut off", "zeros", "flipped"])
def test_a_damaged_file_is_told_of_one_tenant_alone_and_made_anew(
    database: Database, lake: LakeContext, app: App, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    client = ApiClient(app, AnswerChecker(app))
    good, bad = open_shop(client), open_shop(client)
    for shop in (good, bad):
        sold(shop)
    run_export(lake, datetime.now(UTC))
    follow(app, lake)
    before = bad.api.get(DASHBOARD)
    spoil(lake, str(bad.tenant_id), how)

    with caplog.at_level(logging.ERROR):
        answered = bad.api.get(DASHBOARD, query={"period": "30d", "compare": "none"})
    assert (answered.status, answered.code) == (503, "lake_damaged")
    assert answered.headers["Retry-After"] == "600"
    assert str(bad.tenant_id) in caplog.text
    assert lake.location not in answered.body.decode()
    told = good.api.get(DASHBOARD, query={"period": "30d", "compare": "none"})
    assert told.status == 200

    shown = invoke(database, lake, "verify")
    assert shown.exit_code == 1
    assert "readable" in shown.output
    assert run_rebuild(lake, datetime.now(UTC)).state == "published"
    assert run_verify(lake, datetime.now(UTC)).differences == []
    follow(app, lake)
    after = bad.api.get(DASHBOARD)
    assert after.json["revenue"]["total"] == before.json["revenue"]["total"]
    assert after.json["as_of"] > before.json["as_of"]
