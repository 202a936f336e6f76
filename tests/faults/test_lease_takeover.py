"""A worker process of a real api is killed while it makes an answer that others wait for: a waiter
in another process takes over within the lease.
"""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from shop_api.app import App
from shop_api.gateway.redis_answers import LEASE_SECONDS
from tests.fixtures.api import Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import Database

SEARCH = "/api/v1/search?q=lamp"


def leases(client: redis.Redis) -> dict[Any, Any]:
    """Who makes what, by the name of each lease."""
    return {name: client.get(name) for name in client.scan_iter("lease:*")}


def test_a_waiter_of_another_process_takes_over(
    app: App, shop: Shop, database: Database, redis_client: redis.Redis, tmp_path: Path
) -> None:
    shop.product(name="Lamp")
    settings = app.services.settings
    with (
        api_server(settings, tmp_path / "holder.log") as holder,
        api_server(settings, tmp_path / "waiter.log") as waiter,
        psycopg.connect(database.server.url(database.name)) as lock,
        ThreadPoolExecutor(5) as pool,
    ):

        def search(server: ApiServer) -> tuple[int, bytes]:
            heard = server.call("GET", SEARCH, token=shop.api.token)
            return heard.status, heard.body

        lock.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
        lost = pool.submit(search, holder)
        wait_until(lambda: len(leases(redis_client)) == 1)
        held = leases(redis_client)
        waiting = [pool.submit(search, waiter) for _ in range(4)]
        # the holder lives, and renews
        time.sleep(LEASE_SECONDS * 1.5)
        assert leases(redis_client) == held
        assert not any(future.done() for future in (lost, *waiting))
        killed = holder.worker()
        killed.kill()
        lock.rollback()
        since = time.monotonic()
        answers = {future.result(20) for future in waiting}
        assert time.monotonic() - since < LEASE_SECONDS + 1.0
        assert [status for status, _ in answers] == [200]
        assert b"Lamp" in answers.pop()[1]
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            lost.result(20)
        assert not leases(redis_client)
        # another process stands in for the killed one, and is given the answer that was made
        wait_until(holder.is_alive, 20)
        assert holder.worker().pid != killed.pid
        heard = holder.call("GET", SEARCH, token=shop.api.token)
        assert heard.headers["cache-status"].startswith("shop-api; hit; ")
        assert heard.headers["cache-status"].endswith("; detail=redis")
