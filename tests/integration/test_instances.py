"""Which processes run, as they say themselves; and health that answers soon, whatever hangs."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from shop_api.app import App, create_app
from shop_api.domains.operations.service import EXTENSION, KEPT_SECONDS, LIMIT_SECONDS
from shop_api.stack.instances import INSTANCES, Heartbeat, list_instances
from shop_api.stack.redis import start_redis
from tests.fixtures.api import METRICS_KEY, PLATFORM_KEY, AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.copies import SERVE, Copy
from tests.fixtures.processes import running, wait_until
from tests.fixtures.servers import api_server
from tests.fixtures.stores import Database, store_folder

READY = "/health/ready"


def test_a_process_is_registered_until_it_ends(redis_url: str, redis_client: redis.Redis) -> None:
    beats = [Heartbeat(redis_url, kind, lambda: {"n": 1}) for kind in ("api", "worker")]
    for beat in beats:
        beat.start()
    wait_until(lambda: len(list_instances(redis_client)) == 2)
    first, second = list_instances(redis_client)
    assert (first.kind, second.kind) == ("api", "worker")
    assert (first.pid, first.state) == (os.getpid(), {"n": 1})
    assert 0 <= first.heartbeat_age_seconds < 5
    beats[0].stop()
    assert [found.id for found in list_instances(redis_client)] == [second.id]
    # one that dies says nothing more
    redis_client.delete(f"instance:{second.id}")
    assert list_instances(redis_client) == []
    assert redis_client.scard(INSTANCES) == 0
    beats[1].stop()


def test_the_public_is_told_the_status_alone(api: ApiClient, shop: Shop) -> None:
    for client in (api, shop.api, api.with_token(METRICS_KEY)):
        answered = client.get(READY)
        assert (answered.status, answered.json) == (200, {"status": "ready"})


def test_an_operator_is_told_what_stands_how(api: ApiClient, redis_url: str) -> None:
    beat = Heartbeat(redis_url, "worker", lambda: {"relay_caught_up_at": "2026-01-01T00:00:00Z"})
    beat.start()
    operator = api.with_token(PLATFORM_KEY)
    try:
        wait_until(lambda: operator.get(READY).json["instance_counts"]["worker"]["count"] == 1)
        told = operator.get(READY).json
    finally:
        beat.stop()
    assert set(told["dependencies"]) == {"postgres", "redis", "lake", "relay"}
    assert told["dependencies"]["postgres"]["status"] == "ready"
    # nothing was published
    assert told["dependencies"]["lake"]["status"] == "unavailable"
    assert told["dependencies"]["relay"]["lag_seconds"] > 0
    (instance,) = (found for found in told["instances"] if found["kind"] == "worker")
    assert instance["pid"] == os.getpid()


@pytest.fixture
def own_redis() -> Iterator[str]:
    with store_folder() as folder:
        server = start_redis(folder)
        yield server.url
        server.stop()


def test_health_answers_soon_when_redis_hangs(
    database: Database, tmp_path: Path, own_redis: str
) -> None:
    app = create_app(database.settings(tmp_path, own_redis))
    api = ApiClient(app, AnswerChecker(app))
    assert api.get(READY).json == {"status": "ready"}
    with redis.Redis.from_url(own_redis) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(KEPT_SECONDS)
        started = time.monotonic()
        answered = api.get(READY)
        assert time.monotonic() - started < 0.5
        assert (answered.status, answered.json) == (200, {"status": "degraded"})
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: bool(api.get(READY).json["status"] == "ready"))
    app.close()


def test_health_answers_soon_when_postgres_hangs(
    app: App, api: ApiClient, database: Database
) -> None:
    assert api.get(READY).status == 200
    with psycopg.connect(database.server.url(database.name)) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'shop-api health'"
        ).fetchall()
    pids = [pid for (pid,) in found]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(KEPT_SECONDS)
        started = time.monotonic()
        answered = api.get(READY)
        assert (answered.status, answered.json) == (503, {"status": "unavailable"})
        assert answered.headers["Retry-After"] == "1"
        assert time.monotonic() - started < LIMIT_SECONDS + 2.5
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    time.sleep(KEPT_SECONDS)
    assert api.get(READY).status == 200
    assert app.flask.extensions[EXTENSION].find().postgres_seconds < LIMIT_SECONDS


def test_an_api_process_takes_its_name_off_when_it_is_told_to_end(
    app: App, tmp_path: Path, redis_client: redis.Redis
) -> None:
    with api_server(app.services.settings, tmp_path / "api.log") as server:
        wait_until(lambda: bool(list_instances(redis_client)))
        (instance,) = list_instances(redis_client)
        assert (instance.kind, instance.pid) == ("api", server.worker().pid)
    # all that a killed one would leave is its record
    assert list_instances(redis_client) == []


def test_all_kinds_of_a_copy_are_registered(tmp_path: Path) -> None:
    with store_folder() as folder:
        copy = Copy(folder)
        environment = {**copy.environment, "SHOP_PLATFORM_KEY": PLATFORM_KEY}
        with running(SERVE, environment, copy.log):
            copy.wait_ready()
            client = redis.Redis.from_url(f"unix://{folder}/redis/redis.sock")
            wait_until(lambda: len(list_instances(client)) == 3)
            kinds = {found.kind for found in list_instances(client)}
            assert kinds == {"api", "realtime", "worker"}
            (worker,) = (found for found in list_instances(client) if found.kind == "worker")
            wait_until(lambda: has_caught_up(client), 15)
            assert worker.version == "0.1.0"
            client.close()


def has_caught_up(client: redis.Redis) -> bool:
    states = [found.state for found in list_instances(client) if found.kind == "worker"]
    return any(state.get("relay_caught_up_at") for state in states)


def test_a_shop_may_not_see_instances(api: ApiClient) -> None:
    told = open_shop(api).api.get(READY).json
    assert set(told) == {"status"}
