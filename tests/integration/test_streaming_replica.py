"""Reads on a real streaming replica: whoever wrote sees it, and a replica too far behind serves
nothing, however it lags, dies and comes back.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis
from sqlalchemy import event

from shop_api.app import App, create_app
from shop_api.db.replica import CHECK_SECONDS, Lag
from shop_api.metrics.definitions import REGISTRY
from shop_api.metrics.tally import tally
from shop_api.spine.resources import Touch
from shop_api.spine.unit_of_work import Origin, unit_of_work
from tests.factories.rows import NOW
from tests.fixtures.api import AnswerChecker, Answered, ApiClient, Shop, open_shop
from tests.fixtures.processes import wait_until
from tests.fixtures.realtime import relaying
from tests.fixtures.replicas import StreamingReplica, streaming_replica
from tests.fixtures.stores import Database, Server

LAG_LIMIT_SECONDS = 1.5
CUSTOMERS = "/api/v1/customers"
# more than a mutation waits for Redis, and less than a replica may lag
PAUSE_MILLISECONDS = 380


@pytest.fixture(scope="module")
def replica(server: Server, database: Database) -> Iterator[StreamingReplica]:
    # of a server that has this module's database
    assert database.name
    with streaming_replica(server) as found:
        yield found


@contextmanager
def application(
    database: Database,
    redis_url: str,
    folder: Path,
    replica: StreamingReplica,
    lag_seconds: float = LAG_LIMIT_SECONDS,
) -> Iterator[App]:
    settings = database.settings(
        folder,
        redis_url,
        database_read_url=replica.url(database.name, "shop_app"),
        replica_lag_seconds=lag_seconds,
        cache_bytes=0,
    )
    app = create_app(settings)
    try:
        yield app
    finally:
        app.close()


@pytest.fixture
def app(
    database: Database,
    redis_url: str,
    redis_client: redis.Redis,
    tmp_path: Path,
    replica: StreamingReplica,
) -> Iterator[App]:
    assert redis_client.ping()
    with application(database, redis_url, tmp_path, replica) as found:
        wait_until(lambda: serves(found), 40)
        yield found


@pytest.fixture
def other_app(
    database: Database, redis_url: str, tmp_path: Path, replica: StreamingReplica, app: App
) -> Iterator[App]:
    """Another process, which knows of the first what Redis tells it."""
    assert app
    with application(database, redis_url, tmp_path, replica) as found:
        wait_until(lambda: serves(found), 40)
        yield found


def serves(app: App) -> bool:
    assert app.services.reads is not None
    return app.services.reads.replica.serves()


class Reads:
    """Counts what an application asks of its replica."""

    def __init__(self, app: App) -> None:
        self.count = 0
        assert app.services.reads is not None
        engine = app.services.reads.replica.engine
        event.listen(engine, "before_cursor_execute", self._add)

    def _add(self, *_: object) -> None:
        self.count += 1

    @contextmanager
    def expected(self, *, on_replica: bool) -> Iterator[None]:
        before = self.count
        yield
        assert (self.count > before) is on_replica


def client(app: App, shop: Shop) -> ApiClient:
    return ApiClient(app, AnswerChecker(app), shop.api.token)


def make_shop(app: App) -> Shop:
    return open_shop(ApiClient(app, AnswerChecker(app)))


def make_customer(api: ApiClient) -> Answered:
    made = api.post(CUSTOMERS, {"first_name": "Ada"})
    assert made.status == 201
    return made


def sees(api: ApiClient, made: Answered, **options: object) -> bool:
    return api.get(f"{CUSTOMERS}/{made.json['id']}", **options).status == 200


def is_caught_up(app: App, made: Answered) -> bool:
    assert app.services.reads is not None
    return app.services.reads.replica.serves(int(made.headers["X-Read-Position"], 16))


def told_lag() -> float:
    """The metric, as Prometheus would be told now."""
    tally.flush()
    return REGISTRY.get_sample_value("replica_lag_seconds") or 0.0


def test_reads_are_served_by_the_replica_once_it_has_what_was_written(app: App) -> None:
    shop, reads = make_shop(app), Reads(app)
    made = make_customer(shop.api)
    wait_until(lambda: is_caught_up(app, made))
    with reads.expected(on_replica=True):
        assert sees(shop.api, made)


def test_a_replica_that_has_not_replayed_a_write_is_not_asked_by_its_tenant(
    app: App, other_app: App, replica: StreamingReplica
) -> None:
    shop, stranger = make_shop(app), make_shop(app)
    before = make_customer(shop.api)
    wait_until(lambda: is_caught_up(app, before) and is_caught_up(other_app, before))
    replica.pause()
    try:
        made = make_customer(shop.api)
        for found in (app, other_app):
            reads = Reads(found)
            with reads.expected(on_replica=False):
                assert sees(client(found, shop), made)
            # nobody else waits for it
            with reads.expected(on_replica=True):
                assert client(found, stranger).get(CUSTOMERS).status == 200
    finally:
        replica.resume()
    wait_until(lambda: is_caught_up(other_app, made))
    with Reads(other_app).expected(on_replica=True):
        assert sees(client(other_app, shop), made)


def test_what_a_writer_without_redis_wrote_is_told_by_the_relay(
    app: App,
    other_app: App,
    replica: StreamingReplica,
    database: Database,
    redis_url: str,
    tmp_path: Path,
) -> None:
    shop, stranger = make_shop(app), make_shop(app)
    path = f"{CUSTOMERS}/{make_customer(shop.api).json['id']}"
    routing, reader = other_app.services.reads, client(other_app, shop)
    assert routing is not None
    nobody = f"unix://{tmp_path}/no-redis.sock"
    with (
        application(database, nobody, tmp_path, replica) as cut_off,
        relaying(database.exporter_url, redis_url, app.services.waker.positions) as relay,
    ):
        # until the relay has told of these events, too
        wait_until(lambda: relay.is_leading and relay.caught_up_at is not None)
        wait_until(lambda: routing.replica_for(shop.tenant_id, None) is not None)
        replica.pause()
        try:
            changed = client(cut_off, shop).patch(path, {"first_name": "Grace"})
            assert changed.status == 200
            wait_until(lambda: reader.get(path).json["first_name"] == "Grace", 1)
            # the process that reads has Redis, and a replica for others, all the while
            with Reads(other_app).expected(on_replica=True):
                assert client(other_app, stranger).get(CUSTOMERS).status == 200
        finally:
            replica.resume()


def test_without_a_relay_the_writer_tells_once_redis_is_back(
    database: Database,
    replica: StreamingReplica,
    redis_client: redis.Redis,
    redis_url: str,
    tmp_path: Path,
) -> None:
    with (
        application(database, redis_url, tmp_path, replica, 10.0) as writer,
        application(database, redis_url, tmp_path, replica, 10.0) as other,
    ):
        wait_until(lambda: serves(writer) and serves(other), 40)
        shop, stranger = make_shop(writer), make_shop(writer)
        made = make_customer(shop.api)
        reader, path = client(other, shop), f"{CUSTOMERS}/{made.json['id']}"
        wait_until(lambda: is_caught_up(other, made))
        replica.pause()
        try:
            redis_client.execute_command("CLIENT", "PAUSE", PAUSE_MILLISECONDS, "ALL")
            assert shop.api.patch(path, {"first_name": "Grace"}).status == 200
            wait_until(lambda: reader.get(path).json["first_name"] == "Grace", 4)
            with Reads(other).expected(on_replica=True):
                assert client(other, stranger).get(CUSTOMERS).status == 200
        finally:
            replica.resume()


def test_a_token_is_honoured_whatever_redis_knows(
    app: App, other_app: App, replica: StreamingReplica, redis_client: redis.Redis
) -> None:
    shop = make_shop(app)
    before = make_customer(shop.api)
    wait_until(lambda: is_caught_up(other_app, before))
    replica.pause()
    try:
        made = make_customer(shop.api)
        redis_client.flushall()
        api, reads = client(other_app, shop), Reads(other_app)
        token = {"X-Read-Position": made.headers["X-Read-Position"]}
        for sent in (token, {"X-Read-Position": "damaged"}, {"X-Read-Position": "f" * 16}):
            with reads.expected(on_replica=False):
                assert sees(api, made, headers=sent)
        with reads.expected(on_replica=True):
            assert api.get(CUSTOMERS, headers={"X-Read-Position": "1"}).status == 200
    finally:
        replica.resume()


def test_a_replica_too_far_behind_serves_nothing_until_it_has_caught_up(
    app: App, replica: StreamingReplica
) -> None:
    shop, stranger = make_shop(app), make_shop(app)
    reads = Reads(app)
    replica.pause()
    try:
        made = make_customer(shop.api)
        wait_until(lambda: not serves(app), LAG_LIMIT_SECONDS + 4 * CHECK_SECONDS)
        with reads.expected(on_replica=False):
            assert stranger.api.get(CUSTOMERS).status == 200
        assert told_lag() >= LAG_LIMIT_SECONDS
    finally:
        replica.resume()
    wait_until(lambda: is_caught_up(app, made))
    with reads.expected(on_replica=True):
        assert stranger.api.get(CUSTOMERS).status == 200
    assert told_lag() < LAG_LIMIT_SECONDS


def test_a_quiet_primary_is_no_lag(app: App) -> None:
    for _ in range(10):
        time.sleep(LAG_LIMIT_SECONDS / 5)
        assert serves(app)


def test_a_replica_killed_and_back_costs_nobody_an_answer(
    app: App, replica: StreamingReplica
) -> None:
    shop = make_shop(app)
    made = make_customer(shop.api)
    wait_until(lambda: is_caught_up(app, made))
    assert sees(shop.api, made)
    replica.kill()
    ends_at = time.monotonic() + 1.0
    while time.monotonic() < ends_at:
        assert sees(shop.api, made)
    wait_until(lambda: not serves(app))
    # it grows on while nobody reaches the replica
    wait_until(lambda: told_lag() > LAG_LIMIT_SECONDS)
    replica.start()
    wait_until(lambda: is_caught_up(app, made), 20)
    with Reads(app).expected(on_replica=True):
        assert sees(shop.api, made)


def test_without_redis_only_those_read_from_it_who_say_what_they_must_see(
    database: Database, tmp_path: Path, replica: StreamingReplica, app: App
) -> None:
    shop = make_shop(app)
    made = make_customer(shop.api)
    nobody = f"unix://{tmp_path}/no-redis.sock"
    with application(database, nobody, tmp_path, replica) as cut_off:
        wait_until(lambda: serves(cut_off) and is_caught_up(cut_off, made))
        api, reads = client(cut_off, shop), Reads(cut_off)
        with reads.expected(on_replica=False):
            assert sees(api, made)
        with reads.expected(on_replica=True):
            token = {"X-Read-Position": made.headers["X-Read-Position"]}
            assert sees(api, made, headers=token)


def test_a_position_is_never_before_its_commit(
    database: Database, replica: StreamingReplica, app: App
) -> None:
    tenant_id = make_shop(app).tenant_id
    replayed = "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint"
    written = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
    exact = 0
    count = "SELECT count(*) FROM events WHERE tenant_id = %s AND request_id = %s"
    with (
        psycopg.connect(replica.url(database.name), autocommit=True) as connection,
        psycopg.connect(database.server.url(database.name), autocommit=True) as primary,
    ):
        for number in range(200):
            origin = Origin(tenant_id, "system:test", f"{number}-{uuid4()}", NOW)
            with unit_of_work(database.engine, app.services.waker, origin) as work:
                work.append("thing_done", "thing", None, {})
            assert work.position is not None
            exact += work.position == primary.execute(written).fetchall()[0][0]
            while connection.execute(replayed).fetchall()[0][0] < work.position:
                pass
            found = connection.execute(count, (tenant_id, origin.request_id)).fetchall()
            assert found == [(1,)], number
    # not always did another write (autovacuum, say) come between the commit and the question: where
    # none did, the position is the end of the commit itself
    assert exact >= 20


def test_what_was_written_is_known_before_its_version_is(
    app: App, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a reader keeps, under the new version, what a replica had before."""
    waker = app.services.waker
    shop, versions, wake = make_shop(app), waker.versions, waker.wake
    known: list[int] = []
    touch = versions.touch
    woken_at: list[int] = []

    def look(touched: set[Touch]) -> None:
        known.append(int(redis_client.get(f"position:{shop.tenant_id}") or 0))
        touch(touched)

    def look_and_wake() -> None:
        woken_at.append(int(redis_client.get(f"position:{shop.tenant_id}") or 0))
        wake()

    monkeypatch.setattr(versions, "touch", look)
    # the relay, which tells the same, does not wait for who waits for Redis
    monkeypatch.setattr(waker, "wake", look_and_wake)
    product = shop.product()
    made = shop.api.patch(f"/api/v1/products/{product['id']}", {"name": "Other"})
    assert len(known) == 2
    assert known[-1] == int(made.headers["X-Read-Position"], 16)
    assert woken_at[-1] == known[0]


def test_a_lag_is_known_from_what_was_written_when() -> None:
    lag = Lag()
    # behind from the first: nobody knows since when
    assert lag.caught_up_at(1.0, 100, 90) is None
    assert lag.caught_up_at(2.0, 110, 99) is None
    assert lag.caught_up_at(3.0, 120, 110) == 2.0
    for second in range(4, 5_000):
        assert lag.caught_up_at(float(second), 120 + second, 119) == 2.0
    assert len(lag._samples) <= 601
    assert lag.caught_up_at(5_000.0, 6_000, 6_000) == 5_000.0


def test_a_server_that_is_no_replica_serves_nothing(
    app: App, replica: StreamingReplica, caplog: pytest.LogCaptureFixture
) -> None:
    """The last of the module: it ends the replication."""
    shop = make_shop(app)
    wait_until(lambda: serves(app))
    replica.execute("SELECT pg_promote()")
    wait_until(lambda: not serves(app) and "a server of its own" in caplog.text)
    made = make_customer(shop.api)
    with Reads(app).expected(on_replica=False):
        assert sees(shop.api, made)
    time.sleep(2 * CHECK_SECONDS)
    assert not serves(app)
