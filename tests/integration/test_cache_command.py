"""`shop-api cache purge`, and what a process does for its kept answers beside requests."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
import redis
from click.testing import CliRunner, Result
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from shop_api.app import App
from shop_api.commands.cache import cache
from shop_api.db.deadlines import deadline
from shop_api.gateway.purges import can_match, record_purge
from shop_api.gateway.response_cache import ResponseCache
from shop_api.gateway.upkeep import LIST_TIME, MAX_LISTS, MAX_WARMED, RECENT, Upkeep
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange
from shop_api.spine.resources import CATALOGUE
from tests.factories.cache_stages import FIGURES, LIST, NOON, TENANT, Process, Start, plain, status
from tests.fixtures.api import Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import Database

PRODUCTS = "/api/v1/products"


def run(database: Database, redis_url: str, *arguments: str) -> Result:
    environment = {
        "DATABASE_URL": database.application_url,
        "SHOP_MIGRATOR_DATABASE_URL": database.migrator_url,
        "SHOP_EXPORTER_DATABASE_URL": database.exporter_url,
        "REDIS_URL": redis_url,
    }
    return CliRunner().invoke(cache, ["purge", *arguments], env=environment)


def outcome(shop: Shop) -> str:
    return shop.api.get(PRODUCTS).headers["Cache-Status"].removeprefix("shop-api; ")


def test_rows_written_by_hand_show_after_a_purge(
    app: App, shop: Shop, other_shop: Shop, database: Database, redis_url: str
) -> None:
    product = shop.product(name="Before")
    for _ in range(2):
        outcome(shop), outcome(other_shop)
    statement = "UPDATE products SET name = 'By hand' WHERE id = %s"
    with database.exporter_engine.connect() as connection:
        name = connection.engine.url.database
    database.server.execute(statement.replace("%s", f"'{product['id']}'"), str(name))
    assert outcome(shop).startswith("hit")
    assert run(database, redis_url, "--tenant", shop.slug, "/api/v1/search").exit_code == 0
    assert run(database, redis_url, "--tenant", other_shop.slug).exit_code == 0
    wait_until(lambda: not outcome(other_shop).startswith("hit"))
    assert outcome(shop).startswith("hit")
    told = run(database, redis_url, "--tenant", shop.slug, "/api/v1/products*")
    assert (told.exit_code, told.stderr) == (0, f"purged /api/v1/products* of {shop.slug}\n")
    wait_until(lambda: shop.api.get(PRODUCTS).json["data"][0]["name"] == "By hand")
    assert outcome(shop).startswith("hit")


def test_a_purge_says_when_it_cannot_be_told(database: Database, redis_url: str) -> None:
    refused = run(database, redis_url, "--tenant", f"nobody-{uuid4().hex[:8]}")
    assert (refused.exit_code, "there is no tenant" in refused.stderr) == (1, True)
    away = run(database, "redis://127.0.0.1:1")
    assert (away.exit_code, "nothing was purged" in away.stderr) == (1, True)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("/products*", "/api/v1/products*"),
        ("products", "/api/v1/products"),
        ("/api/products/?", "/api/v1/products/?"),
        ("/api/v1", "/api/v1/*"),
    ],
)
def test_a_pattern_that_matches_no_path_is_refused(
    database: Database, redis_url: str, pattern: str, meant: str
) -> None:
    refused = run(database, redis_url, pattern)
    assert refused.exit_code == 2
    assert f"paths begin with /api/v1/: did you mean '{meant}'?" in refused.stderr


@pytest.mark.parametrize("pattern", ["*", "*products*", "/api/*", "/api/v?/search", "/api/v1/x"])
def test_a_pattern_may_begin_as_paths_do_or_with_anything(pattern: str) -> None:
    assert can_match(pattern)


def tended(process: Process, deadline_seconds: float = 30.0) -> Upkeep:
    assert isinstance(process.stage, ResponseCache)
    return Upkeep(process.stage, deadline_seconds)


def test_figures_asked_for_of_late_are_made_again_after_a_snapshot(start_process: Start) -> None:
    processes = [start_process(), start_process()]
    for process in processes:
        for query in ("a=1", "a=2"):
            process.get(FIGURES, query)
        process.get(LIST)
    assert [tended(process).warm(NOON) for process in processes] == [0, 0]
    for process in processes:
        process.lake_version = "snapshot 2"
        process.make = lambda _: plain("new")
        process.made.clear()
    assert [tended(process).warm(NOON) for process in processes] == [2, 2]
    # the second took what the first had made
    assert [len(process.made) for process in processes] == [2, 0]
    for process in processes:
        found = process.get(FIGURES, "a=1")
        assert status(found).startswith("hit")
        assert found.body == plain("new").body


def test_lists_asked_last_are_made_again_after_a_snapshot_and_not_after_each_write(
    start_process: Start,
) -> None:
    process = start_process()
    upkeep, newest = tended(process), f"n={MAX_LISTS + 1}"
    for number in range(MAX_LISTS + 2):
        process.get(LIST, f"n={number}")

    def warmed(at: datetime) -> int:
        process.versions.touch({(TENANT, CATALOGUE)})
        process.make = lambda _: plain(f"as of {at}")
        return upkeep.warm(at)

    assert [warmed(NOON), warmed(NOON)] == [0, 0]
    process.lake_version = "snapshot 2"
    assert warmed(NOON) == MAX_LISTS
    # what the snapshot says of products is written to them after it
    later = NOON + LIST_TIME / 2
    assert [warmed(later), upkeep.warm(later)] == [MAX_LISTS, 0]
    found = process.get(LIST, newest)
    assert status(found).startswith("hit")
    assert found.body == plain(f"as of {later}").body
    assert status(process.get(LIST, "n=0")).startswith("fwd=stale")
    assert warmed(NOON + LIST_TIME) == 0


def test_what_nobody_asks_for_any_more_is_not_made_again(start_process: Start) -> None:
    process = start_process()
    process.get(FIGURES, at=NOON)
    later = NOON + RECENT / 2
    process.lake_version = "snapshot 2"
    assert tended(process).warm(later) == 1
    process.lake_version = "snapshot 3"
    # to make it again was no question
    assert tended(process).warm(NOON + RECENT + timedelta(seconds=1)) == 0
    assert len(process.made) == 2


def test_upkeep_is_bounded_and_gives_up_what_is_refused(start_process: Start) -> None:
    process = start_process()
    for number in range(MAX_WARMED + 5):
        process.get(FIGURES, f"n={number}")

    def refuse(_: Exchange) -> Answer:
        raise DomainError(ErrorKind.UNAVAILABLE, "lake_not_ready", "Not yet.")

    process.lake_version, process.make = "snapshot 2", refuse
    upkeep = tended(process)
    assert [upkeep.warm(NOON) for _ in range(3)] == [MAX_WARMED, 5, 0]


def test_what_is_made_again_or_given_up_keeps_its_place_behind_later_questions(
    start_process: Start,
) -> None:
    process, minute = start_process(), timedelta(minutes=1)
    for number, query in enumerate(("first", "second", "third")):
        process.get(FIGURES, query, at=NOON + number * minute)
    upkeep, refused = tended(process), "third"

    def make(exchange: Exchange) -> Answer:
        if exchange.environ["QUERY_STRING"] == refused:
            raise DomainError(ErrorKind.UNAVAILABLE, "lake_not_ready", "Not yet.")
        return plain("new")

    process.lake_version, process.make = "snapshot 2", make
    assert [upkeep.warm(NOON + 3 * minute) for _ in range(2)] == [3, 0]
    process.lake_version = "snapshot 3"
    # without the third, which nobody has asked for since, and the first, which is too long ago
    assert upkeep.warm(NOON + RECENT + minute / 2) == 1
    refused = ""
    process.get(FIGURES, "third", at=NOON + RECENT)
    process.lake_version = "snapshot 4"
    assert upkeep.warm(NOON + RECENT + minute / 2) == 2


@contextmanager
def away(_: Database) -> Iterator[Engine]:
    yield create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")


@contextmanager
def busy(database: Database) -> Iterator[Engine]:
    engine = create_engine(database.application_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    try:
        with engine.connect():
            yield engine
    finally:
        engine.dispose()


@contextmanager
def defective(database: Database) -> Iterator[Engine]:
    engine = create_engine(database.application_url)
    event.listen(engine, "engine_connect", lambda c: c.exec_driver_sql("SELECT nothing_such"))
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.mark.parametrize(("open_engine", "tried"), [(away, 1), (busy, 1), (defective, 3)])
def test_lists_that_postgres_fails_hide_no_figures(
    start_process: Start,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    open_engine: Callable[[Database], AbstractContextManager[Engine]],
    tried: int,
) -> None:
    process = start_process()
    upkeep = tended(process)
    process.get(FIGURES)
    for number in range(3):
        process.get(LIST, f"n={number}")
    assert upkeep.warm(NOON) == 0
    process.versions.touch({(TENANT, CATALOGUE)})
    process.lake_version = "snapshot 2"
    process.made.clear()
    with open_engine(database) as engine:

        def make(exchange: Exchange) -> Answer:
            if exchange.path == LIST:
                engine.connect().close()
            return plain("new")

        process.make = make
        # the lists were asked for after the figures
        assert upkeep.warm(NOON) == tried + 1
        assert process.made == [LIST] * tried + [FIGURES]
        upkeep.warm(NOON)
    told = [(record.levelname, record.exc_info is None) for record in caplog.records]
    assert told == ([("WARNING", True)] if tried == 1 else [("ERROR", False)] * tried)
    # those that were not tried are made once it is back
    process.make = lambda _: plain("back")
    assert upkeep.warm(NOON) == (1 if tried == 1 else 0)
    assert upkeep._is_away is False


def test_a_postgres_that_hangs_is_waited_for_no_longer_than_by_a_request(
    start_process: Start, database: Database
) -> None:
    process = start_process()
    upkeep = tended(process, deadline_seconds=0.5)
    process.get(LIST)
    assert upkeep.warm(NOON) == 0
    process.versions.touch({(TENANT, CATALOGUE)})
    process.lake_version = "snapshot 2"
    ended: list[str] = []
    with database.exporter_engine.connect() as connection:

        def make(_: Exchange) -> Answer:
            try:
                connection.exec_driver_sql("SELECT pg_sleep(10)")
            except OperationalError as error:
                ended.append(type(error.orig).__name__)
                raise
            return plain("late")

        process.make = make
        started = time.monotonic()
        assert upkeep.warm(NOON) == 1
        assert (ended, time.monotonic() - started < 5) == (["QueryCanceled"], True)
        assert deadline.at is None


def test_a_purge_does_not_wait_for_what_is_made_again(
    start_process: Start, redis_client: redis.Redis
) -> None:
    process = start_process()
    upkeep, goes_on, at = tended(process), threading.Event(), utc_now()
    process.get(FIGURES, at=at)

    def make(_: Exchange) -> Answer:
        assert goes_on.wait(20)
        return plain("late")

    process.make = make
    upkeep.start()
    try:
        process.lake_version = "snapshot 2"
        wait_until(lambda: len(process.made) == 2)
        purge = record_purge(redis_client, TENANT, None)
        wait_until(lambda: process.purges.epoch(TENANT, LIST) == f"{purge.id} ", 3)
    finally:
        goes_on.set()
        upkeep.close()


def test_a_look_asks_for_a_tenant_s_snapshot_once_and_forgets_who_is_gone(
    start_process: Start,
) -> None:
    process = start_process()
    for number in range(5):
        process.get(LIST, f"n={number}")
        process.get(FIGURES, f"n={number}")
    upkeep, asked = tended(process), list[UUID]()

    def lake_version(tenant_id: UUID) -> str:
        asked.append(tenant_id)
        return "snapshot 1"

    upkeep._cache.lake_version = lake_version
    upkeep.warm(NOON)
    assert asked == [TENANT]
    assert list(upkeep._snapshots) == [TENANT.int]
    upkeep.warm(NOON + RECENT)
    assert (asked, upkeep._snapshots) == ([TENANT], {})


@pytest.mark.parametrize("is_lost", [False, True])
def test_purges_outlive_what_redis_loses(
    start_process: Start,
    redis_client: redis.Redis,
    database: Database,
    redis_url: str,
    is_lost: bool,
) -> None:
    process = start_process()
    process.get(FIGURES)
    assert run(database, redis_url).exit_code == 0
    process.purges.refresh()
    if is_lost:
        redis_client.flushall()
        process.purges.refresh()
    assert status(process.get(FIGURES)).startswith("fwd=stale")
