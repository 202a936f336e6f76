"""Reports that hang in Postgres take nothing from orders, on a real server with eight threads."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from shop_api.app import App
from tests.fixtures.api import Shop
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import Database

THREADS, LONG = 8, 4
HELD_SECONDS = 4.0


@pytest.fixture
def running_api(app: App, tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(app.services.settings, tmp_path / "api.log", api_threads=THREADS) as found:
        yield found


def place(server: ApiServer, shop: Shop, variant: str) -> float:
    body = {"lines": [{"variant_id": variant, "quantity": 1}]}
    heard = server.call("POST", "/api/v1/orders", body, token=shop.api.token)
    assert heard.status == 201, heard.body
    return heard.seconds


def test_orders_are_placed_while_reports_hang(
    running_api: ApiServer, shop: Shop, database: Database
) -> None:
    variant = shop.product(quantity=1000)["variants"][0]["id"]
    usual = sorted(place(running_api, shop, variant) for _ in range(20))
    with (
        psycopg.connect(database.server.url(database.name)) as lock,
        ThreadPoolExecutor(30) as pool,
    ):
        lock.execute("LOCK TABLE reports IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()

        def report(_: int) -> tuple[int, float]:
            heard = running_api.call("GET", "/api/v1/reports", token=shop.api.token)
            if heard.status == 503:
                assert heard.code == "server_busy"
                assert heard.headers["retry-after"] == "1"
            return heard.status, heard.seconds

        reports = [pool.submit(report, number) for number in range(30)]
        while sum(future.done() for future in reports) < 30 - LONG:
            assert time.monotonic() - started < HELD_SECONDS, "the surplus waits"
            time.sleep(0.01)
        during = sorted(place(running_api, shop, variant) for _ in range(20))
        reads = [
            running_api.call("GET", "/api/v1/products", token=shop.api.token) for _ in range(5)
        ]
        assert running_api.call("GET", "/api/v1/reports", token=shop.api.token).seconds < 0.1
        lock.rollback()
        outcomes = [future.result(10) for future in reports]
    assert [heard.status for heard in reads] == [200] * 5
    assert sorted(status for status, _ in outcomes) == [200] * LONG + [503] * (30 - LONG)
    # nobody but the first few waited, and they for a quarter of a second
    assert max(seconds for status, seconds in outcomes if status == 503) < 1.0
    assert during[10] < max(0.1, usual[10] * 3), (usual, during)
    assert running_api.call("GET", "/api/v1/reports", token=shop.api.token).status == 200
