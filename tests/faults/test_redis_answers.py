"""Answers that processes share, when one of them is killed and when Redis stops or hangs."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.runner import run_export
from shop_api.app import App, create_app
from shop_api.gateway.redis_answers import LEASE_SECONDS
from shop_api.gateway.response_cache import digest_of, key_of
from shop_api.kernel.api_versions import NEWEST
from shop_api.stack.redis import EmbeddedRedis, start_redis
from tests.factories.cache_stages import FIGURES, NOON, READER, Start
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import Database, store_folder

PRODUCTS, DASHBOARD = "/api/v1/products", "/api/v1/analytics/dashboard"
REQUESTS = 1000


@pytest.fixture
def own_redis() -> Iterator[EmbeddedRedis]:
    """A Redis that a test may stop."""
    with store_folder() as folder:
        server = start_redis(folder)
        yield server
        server.stop()


def client(app: App, shop: Shop) -> ApiClient:
    return ApiClient(app, shop.api.checker, shop.api.token)


def status(answered: Any) -> str:
    return str(answered.headers["Cache-Status"]).removeprefix("shop-api; ")


def test_a_killed_holder_is_replaced_within_its_lease(start_process: Start, redis_url: str) -> None:
    process = start_process(wait_seconds=20.0)
    digest = digest_of(key_of(READER, NEWEST, FIGURES, ""))
    command = [sys.executable, "-m", "tests.faults.lease_holder", redis_url, digest, "snapshot 1"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder,
        ThreadPoolExecutor(4) as pool,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        asked = [pool.submit(process.get, FIGURES) for _ in range(4)]
        # the holder lives, and renews
        time.sleep(LEASE_SECONDS * 1.5)
        assert not any(future.done() for future in asked)
        holder.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        bodies = {future.result().body for future in asked}
        assert time.monotonic() - killed < LEASE_SECONDS + 1.0
    assert len(bodies) == 1
    assert process.made == [FIGURES]
    assert status_of_kept(process.get(FIGURES, at=NOON)) == "hit"


def status_of_kept(answer: Any) -> str:
    found = dict(answer.headers)["Cache-Status"]
    return str(found).split("; ")[1]


@pytest.mark.parametrize("fault", ["hangs", "stops"])
def test_writes_while_redis_is_away_show_when_it_is_back(
    database: Database, own_redis: EmbeddedRedis, tmp_path: Path, fault: str
) -> None:
    settings = database.settings(
        tmp_path, own_redis.url, credential_cache_seconds=60.0, cache_keeps_first=True
    )
    writer, reader = create_app(settings), create_app(settings)
    try:
        shop = open_shop(ApiClient(writer, AnswerChecker(writer)))
        ours, theirs = client(writer, shop), client(reader, shop)
        shop.product(name="Before")
        for api in (ours, theirs):
            api.get(PRODUCTS)
            assert status(api.get(PRODUCTS)).startswith("hit")
        go_on = take_away(own_redis, fault)
        assert status(theirs.get(PRODUCTS)) == "fwd=bypass; detail=unavailable"
        started = time.monotonic()
        shop.product(name="Meanwhile")
        assert "Meanwhile" in names(ours)
        assert "Meanwhile" in names(theirs)
        assert time.monotonic() - started < 3.0
        go_on()
        # the writer tells what it owes before it reads a version
        wait_until(lambda: status(ours.get(PRODUCTS)).startswith(("fwd=stale", "fwd=miss", "hit")))
        assert "Meanwhile" in names(ours)
        wait_until(lambda: "unavailable" not in status(theirs.get(PRODUCTS)))
        assert "Meanwhile" in names(theirs)
        wait_until(lambda: status(theirs.get(PRODUCTS)).startswith("hit"))
    finally:
        writer.close()
        reader.close()


def take_away(server: EmbeddedRedis, fault: str) -> Callable[[], None]:
    """Let Redis hang or stop; what brings it back."""
    assert server.process is not None
    process = server.process
    if fault == "hangs":
        process.send_signal(signal.SIGSTOP)
        return lambda: process.send_signal(signal.SIGCONT)
    folder = server.socket.parent.parent
    server.stop()
    return lambda: start_again(folder)


def start_again(folder: Path) -> None:
    start_redis(folder)


def names(api: ApiClient) -> list[str]:
    return [product["name"] for product in api.get(PRODUCTS).json["data"]]


def test_a_thousand_cold_dashboards_are_computed_once(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    """Two processes' worth of threads, all asking before the first is answered."""
    lake = new_lake(database, tmp_path / "lake")
    settings = database.settings(
        tmp_path,
        redis_url,
        lake_url=lake.location,
        credential_cache_seconds=60.0,
        shared_waiting_limit=REQUESTS,
    )
    apps = [create_app(settings) for _ in range(2)]
    computed: list[str] = []
    try:
        shop = open_shop(ApiClient(apps[0], AnswerChecker(apps[0])))
        variant = shop.product(quantity=100)["variants"][0]["id"]
        assert shop.order((variant, 1)).status == 201
        assert run_export(lake, datetime.now(UTC)).snapshot is not None
        for app in apps:
            count_answers(app, computed)
        readers = [client(app, shop) for app in apps]
        begin = threading.Barrier(REQUESTS)

        def ask(number: int) -> tuple[int, bytes]:
            begin.wait()
            answered = readers[number % 2].get(DASHBOARD)
            return answered.status, answered.body

        with ThreadPoolExecutor(REQUESTS) as pool:
            outcomes = set(pool.map(ask, range(REQUESTS)))
    finally:
        for app in apps:
            app.close()
    assert [status for status, _ in outcomes] == [200]
    assert len(computed) == 1


def count_answers(app: App, computed: list[str]) -> None:
    """Note each time figures are computed."""
    compute = app.lake.answer

    def counted(*arguments: Any, **options: Any) -> Any:
        computed.append("dashboard")
        return compute(*arguments, **options)

    app.lake.answer = counted  # type: ignore[method-assign]
