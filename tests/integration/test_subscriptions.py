"""A tenant has as many connections open as its plan allows, however many processes serve them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
import websocket
from click.testing import CliRunner
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop_api.app import App
from shop_api.cli import main
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import SCOPES
from shop_api.kernel.rate_limits import PLAN_LIMITS
from shop_api.realtime.subscriptions import LEASE_SECONDS, LEASES, Subscriptions
from shop_api.stack.redis import EmbeddedRedis, start_redis
from tests.fixtures.api import PLATFORM_KEY, Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.realtime import Realtime, Socket, realtime_process
from tests.fixtures.stores import Database, store_folder

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

ALL = frozenset(SCOPES)
FREE = PLAN_LIMITS["free"]


@pytest.fixture(scope="module")
def processes(
    app: App, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Realtime, Realtime]]:
    """Two realtime processes on the same stores."""
    folder = tmp_path_factory.mktemp("realtime")
    with (
        realtime_process(app.services.settings, folder / "one") as one,
        realtime_process(app.services.settings, folder / "other") as other,
    ):
        yield one, other


def greeting(socket: Socket) -> str:
    type_: str = socket.receive()["type"]
    return type_


def opened(realtime: Realtime, tenant_id: UUID, limits: Any = FREE) -> Socket:
    socket = Socket(realtime.port, realtime.ticket(tenant_id, ALL, limits))
    assert greeting(socket) == "connected"
    return socket


def refusal(realtime: Realtime, tenant_id: UUID, limits: Any = FREE) -> tuple[int, str]:
    """The close code and reason of a connection that is one too many."""
    socket = Socket(realtime.port, realtime.ticket(tenant_id, ALL, limits))
    opcode, data = socket.client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE, data
    return int.from_bytes(data[:2], "big"), data[2:].decode()


def is_admitted(realtime: Realtime, tenant_id: UUID, kept: list[Socket]) -> bool:
    socket = Socket(realtime.port, realtime.ticket(tenant_id, ALL, FREE))
    opcode, _ = socket.client.recv_data()
    if opcode == websocket.ABNF.OPCODE_CLOSE:
        return False
    kept.append(socket)
    return True


def test_one_more_than_the_plan_has_is_refused_in_any_process(
    processes: tuple[Realtime, Realtime], tenant_id: UUID
) -> None:
    one, other = processes
    sockets = [opened(one, tenant_id), opened(other, tenant_id), opened(one, tenant_id)]
    for process in processes:
        code, reason = refusal(process, tenant_id)
        assert code == 4429
        assert "at most 3 connections" in reason
        assert "policy subscriptions" in reason
    # those that are open go on, and what closes is free for another at the next renewal
    for socket in sockets:
        socket.send(type="ping")
        assert greeting(socket) == "pong"
    sockets.pop().close()
    kept: list[Socket] = []
    wait_until(lambda: is_admitted(other, tenant_id, kept), 2)
    assert refusal(one, tenant_id)[0] == 4429
    for socket in [*sockets, *kept]:
        socket.close()


def test_many_at_once_are_no_more_than_allowed(
    processes: tuple[Realtime, Realtime], tenant_id: UUID
) -> None:
    kept: list[Socket] = []
    with ThreadPoolExecutor(12) as pool:
        outcomes = list(
            pool.map(lambda n: is_admitted(processes[n % 2], tenant_id, kept), range(24))
        )
    assert sum(outcomes) == 3
    for socket in kept:
        socket.close()


def test_each_tenant_has_its_own(
    processes: tuple[Realtime, Realtime], tenant_id: UUID, other_shop: Shop
) -> None:
    sockets = [opened(processes[0], tenant_id) for _ in range(3)]
    sockets.append(opened(processes[0], other_shop.tenant_id))
    for socket in sockets:
        socket.close()


def test_a_killed_process_holds_no_place(
    processes: tuple[Realtime, Realtime], app: App, tenant_id: UUID, tmp_path: Path
) -> None:
    survivor = processes[0]
    with realtime_process(app.services.settings, tmp_path / "log") as dying:
        sockets = [opened(dying, tenant_id) for _ in range(3)]
        assert refusal(survivor, tenant_id)[0] == 4429
        os.killpg(dying.pid, signal.SIGKILL)
    started = time.monotonic()
    kept: list[Socket] = []
    wait_until(lambda: is_admitted(survivor, tenant_id, kept), LEASE_SECONDS + 1)
    assert time.monotonic() - started <= LEASE_SECONDS + 1
    for socket in kept:
        socket.close()
    assert len(sockets) == 3


def test_a_process_that_ends_in_order_gives_up_its_lease(
    processes: tuple[Realtime, Realtime], app: App, tenant_id: UUID, tmp_path: Path
) -> None:
    with redis.Redis.from_url(str(processes[0].settings.redis_url)) as client:
        others = set(client.zrange(LEASES, 0, -1))
        with realtime_process(app.services.settings, tmp_path / "log") as ending:
            socket = opened(ending, tenant_id)
            assert len(set(client.zrange(LEASES, 0, -1)) - others) == 1
        assert set(client.zrange(LEASES, 0, -1)) <= others
    socket.close()


def test_the_platform_changes_how_many(
    processes: tuple[Realtime, Realtime], shop: Shop, database: Database
) -> None:
    one, other = processes
    tenants = shop.api.with_token(PLATFORM_KEY)
    path = f"/api/v1/tenants/{shop.tenant_id}"

    def connect(realtime: Realtime) -> Socket:
        ticket = shop.api.post("/api/v1/realtime/tickets").json["ticket"]
        return Socket(realtime.port, ticket)

    changed = tenants.patch(path, {"plan": "free", "rate_limits": {"subscriptions": 1}})
    assert changed.status == 200, changed.body
    sockets = [connect(one)]
    assert greeting(sockets[0]) == "connected"
    assert connect(other).close_code() == 4429
    environment = {
        "DATABASE_URL": database.application_url,
        "REDIS_URL": str(one.settings.redis_url),
        "SHOP_EXPORTER_DATABASE_URL": database.exporter_url,
    }
    command = ["tenant", "limits", shop.slug, "--limit", "subscriptions=2"]
    result = CliRunner().invoke(main, command, env=environment)
    assert result.exit_code == 0, result.output
    sockets.append(connect(other))
    assert greeting(sockets[1]) == "connected"
    assert connect(one).close_code() == 4429
    for socket in sockets:
        socket.close()


@contextmanager
def held(process: Subscriptions, tenant_id: UUID, limit: int, count: int) -> Iterator[list[bool]]:
    """Whether each of `count` listeners was let in, for as long as they stay."""
    with ExitStack() as stack:
        yield [stack.enter_context(process.hold(tenant_id, limit)) for _ in range(count)]


def test_a_redis_that_forgot_is_told_again(redis_url: str) -> None:
    tenant_id = uuid4()
    with redis.Redis.from_url(redis_url) as client:
        one, other = (Subscriptions(client, new_id(utc_now())) for _ in range(2))
        for process in (one, other):
            process.renew()
        with held(one, tenant_id, 2, 2) as admitted:
            assert admitted == [True, True]
            client.delete(f"subscriptions:{tenant_id}", "subscriptions:leases")
            for process in (one, other):
                process.renew()
            with held(other, tenant_id, 2, 1) as refused:
                assert refused == [False]
                assert other._counts == {}
        # seen by others once it is told, and what has no listeners is not remembered
        one.renew()
        with held(other, tenant_id, 2, 3) as again:
            assert again == [True, True, False]
        other.renew()
        assert client.hgetall(f"subscriptions:{tenant_id}") == {}
        assert (one._counts, other._counts) == ({}, {})


def test_without_redis_each_process_counts_its_own_and_tells_it_later() -> None:
    tenant_id = uuid4()
    with store_folder() as folder:
        server = start_redis(folder)
        with redis.Redis.from_url(server.url, retry=Retry(NoBackoff(), 0)) as client:
            one, other = (Subscriptions(client, new_id(utc_now())) for _ in range(2))
            other.renew()
            server.stop()
            with held(one, tenant_id, 2, 3) as admitted:
                assert admitted == [True, True, False]
                with held(other, tenant_id, 2, 1) as own:
                    assert own == [True]
                server = start_redis(folder)
                for process in (one, other):
                    process.renew()
                with held(other, tenant_id, 2, 1) as refused:
                    assert refused == [False]
        server.stop()


@pytest.fixture
def own_redis() -> Iterator[EmbeddedRedis]:
    with store_folder() as folder:
        found = start_redis(folder)
        yield found
        found.stop()


HUNG_TIMEOUT_SECONDS = 0.5


def hasty(server: EmbeddedRedis) -> redis.Redis:
    """A client as the realtime process counts with, with half its patience."""
    return RequestRedis(server.url, HUNG_TIMEOUT_SECONDS).client


def test_what_could_not_be_told_is_told_at_the_next_renewal(own_redis: EmbeddedRedis) -> None:
    tenants = [uuid4() for _ in range(5)]
    keys = [f"subscriptions:{tenant_id}" for tenant_id in tenants]
    with redis.Redis.from_url(own_redis.url) as client, ExitStack() as stack:
        process = Subscriptions(client, uuid4())
        process.renew()
        for tenant_id in tenants:
            assert stack.enter_context(process.hold(tenant_id, 3))
        client.flushall()
        # no hash: one of the figures cannot be written
        client.set(keys[1], "of another kind")
        with pytest.raises(redis.RedisError):
            process.renew()
        client.delete(*keys)
        process.renew()
        assert [list(client.hgetall(key).values()) for key in keys] == [[b"1"]] * 5


def test_a_renewal_that_was_done_unheard_loses_no_count(own_redis: EmbeddedRedis) -> None:
    tenant_id = uuid4()
    with redis.Redis.from_url(own_redis.url) as client:
        process = Subscriptions(hasty(own_redis), uuid4())
        process.renew()
        with held(process, tenant_id, 1, 1):
            client.flushall()
            assert own_redis.process is not None
            own_redis.process.send_signal(signal.SIGSTOP)
            with pytest.raises(redis.TimeoutError):
                process.renew()
            # it does what it was asked meanwhile
            own_redis.process.send_signal(signal.SIGCONT)
            wait_until(lambda: client.zcard(LEASES) == 1)
            process.renew()
            with held(Subscriptions(client, uuid4()), tenant_id, 1, 1) as beside:
                assert beside == [False]


def test_a_hung_redis_holds_up_nobody_for_longer_than_one_timeout(
    own_redis: EmbeddedRedis,
) -> None:
    process, tenant_id = Subscriptions(hasty(own_redis), uuid4()), uuid4()
    process.renew()
    assert own_redis.process is not None

    def seconds_of(act: Callable[[], object]) -> float:
        started = time.monotonic()
        act()
        return time.monotonic() - started

    with ThreadPoolExecutor(20) as pool, ExitStack() as entered, ExitStack() as stopped:
        leaving = entered.enter_context(ExitStack())
        for _ in range(20):
            assert leaving.enter_context(process.hold(tenant_id, 100))
        own_redis.process.send_signal(signal.SIGSTOP)
        stopped.callback(own_redis.process.send_signal, signal.SIGCONT)
        assert seconds_of(leaving.close) < HUNG_TIMEOUT_SECONDS / 2
        holds = [process.hold(tenant_id, 15) for _ in range(20)]

        def enter_all() -> None:
            admitted = list(pool.map(entered.enter_context, holds))
            assert sum(admitted) == 15

        assert seconds_of(enter_all) < HUNG_TIMEOUT_SECONDS * 2
        with pytest.raises(redis.TimeoutError):
            process.renew()
        assert seconds_of(process.close) < HUNG_TIMEOUT_SECONDS * 2
        stopped.close()
        process.renew()
        with redis.Redis.from_url(own_redis.url) as client:
            told = client.hgetall(f"subscriptions:{tenant_id}")
            assert list(told.values()) == [b"15"]
