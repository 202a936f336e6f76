"""A machine that runs workers only is asked for its metrics at a port of theirs."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fixtures.processes import (
    answers,
    free_port,
    process_environment,
    running,
    wait_until,
)
from tests.fixtures.stores import Database

KEY = "the-metrics-key-of-at-least-32-characters"


@pytest.fixture(scope="module")
def port(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The one port of two workers."""
    folder = tmp_path_factory.mktemp("workers")
    found = free_port()
    settings = database.settings(folder, redis_url)
    environment = process_environment(settings, worker_port=found, metrics_key=KEY)
    environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    with ExitStack() as stack:
        for number in range(2):
            log = folder / f"{number}.log"
            stack.enter_context(running(["-m", "shop_api.worker"], environment, log))
        wait_until(lambda: answers(f"http://127.0.0.1:{found}/health/live"), 30)
        wait_until(lambda: 'processes_running{process="worker"} 2.0' in scrape(found), 30)
        yield found


def scrape(port: int, key: str | None = KEY) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


def test_any_worker_tells_the_metrics_of_all(port: int) -> None:
    for _ in range(8):
        assert 'processes_running{process="worker"} 2.0' in scrape(port)
    wait_until(lambda: "job_runs_total" in scrape(port))


@pytest.mark.parametrize("key", [None, "", "another-key-of-at-least-32-characters!"])
def test_only_the_metrics_key_opens_them(port: int, key: str | None) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        scrape(port, key)
    assert refused.value.code == 401
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_nothing_else_is_there(port: int) -> None:
    assert answers(f"http://127.0.0.1:{port}/", 404)
    assert answers(f"http://127.0.0.1:{port}/api/v1/products", 404)
