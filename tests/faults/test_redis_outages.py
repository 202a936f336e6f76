"""Redis stopped, hung and back under a real api: orders and reads go on, and soon as fast again."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shop_api.app import App
from shop_api.db.request_redis import FAILURE_LIMIT, OPEN_SECONDS, TIMEOUT_SECONDS
from shop_api.stack.redis import EmbeddedRedis, start_redis
from tests.fixtures.api import Shop
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import store_folder


@pytest.fixture
def own_redis() -> Iterator[EmbeddedRedis]:
    with store_folder() as folder:
        found = start_redis(folder)
        yield found
        found.stop()


@pytest.fixture
def running_api(app: App, tmp_path: Path, own_redis: EmbeddedRedis) -> Iterator[ApiServer]:
    settings = app.services.settings.model_copy(update={"redis_url": own_redis.url})
    with api_server(settings, tmp_path / "api.log") as found:
        yield found


def work(server: ApiServer, shop: Shop, variant: str, count: int = 10) -> list[float]:
    """How long orders and reads took, which all succeed."""
    seconds = []
    body = {"lines": [{"variant_id": variant, "quantity": 1}]}
    for _ in range(count):
        placed = server.call("POST", "/api/v1/orders", body, token=shop.api.token)
        assert placed.status == 201, placed.body
        read = server.call("GET", "/api/v1/products", token=shop.api.token)
        assert read.status == 200, read.body
        seconds += [placed.seconds, read.seconds]
    return sorted(seconds)


def test_a_hung_redis_costs_a_little_and_then_nothing(
    running_api: ApiServer, shop: Shop, own_redis: EmbeddedRedis
) -> None:
    variant = shop.product(quantity=10_000)["variants"][0]["id"]
    usual = work(running_api, shop, variant)
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        during = work(running_api, shop, variant, 20)
        health = running_api.call("GET", "/health/ready")
        assert (health.status, health.json["status"]) == (200, "degraded")
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    # none waits longer than a few timeouts, and most for nothing
    assert during[-1] < FAILURE_LIMIT * TIMEOUT_SECONDS + 1.0
    assert during[len(during) // 2] < usual[-1] + 0.1, (usual, during)
    time.sleep(OPEN_SECONDS + 1.0)
    work(running_api, shop, variant)
    assert running_api.call("GET", "/health/ready").json["status"] == "ready"


def test_a_stopped_redis_is_gone_without_and_found_again(
    running_api: ApiServer, shop: Shop, own_redis: EmbeddedRedis
) -> None:
    variant = shop.product(quantity=10_000)["variants"][0]["id"]
    work(running_api, shop, variant, 2)
    folder = own_redis.socket.parent.parent
    own_redis.stop()
    work(running_api, shop, variant)
    again = start_redis(folder)
    try:
        time.sleep(OPEN_SECONDS + 1.0)
        work(running_api, shop, variant)
        assert running_api.call("GET", "/health/ready").json["status"] == "ready"
    finally:
        again.stop()
