"""A collector of spans that is gone, or hangs: no request waits for it, and none fails.

The api runs as a process of its own, and ends as one.
"""

import signal
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from shop_api.settings import Settings
from tests.fixtures.collector import collecting
from tests.fixtures.processes import free_port
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import Database

PRODUCTS = "/api/v1/products"
REQUESTS = 300


@pytest.fixture
def settings(database: Database, redis_url: str, tmp_path: Path) -> Settings:
    return database.settings(tmp_path, redis_url)


@contextmanager
def hung_collector() -> Iterator[str]:
    """An endpoint that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def no_collector() -> Iterator[str]:
    """An endpoint where nobody listens."""
    yield f"http://127.0.0.1:{free_port()}"


def seconds_of_requests(server: ApiServer) -> list[float]:
    found = []
    for _ in range(REQUESTS):
        started = time.monotonic()
        # asks the database who this is
        status = server.call("GET", PRODUCTS, token="sk_nobody").status
        found.append(time.monotonic() - started)
        assert status in (401, 429)
    return found


@pytest.mark.parametrize("collector", [no_collector, hung_collector])
def test_requests_do_not_wait_for_the_collector(
    settings: Settings, tmp_path: Path, collector: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a queue that is full soon, and batches sent all the time
    small = {
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_BSP_MAX_QUEUE_SIZE": "64",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16",
    }
    for name, value in small.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "api.log"
    with (
        collector() as endpoint,  # type: ignore[operator]
        api_server(settings, log, otlp_endpoint=endpoint) as server,
    ):
        process = psutil.Process(server.pid)
        seconds = seconds_of_requests(server)
        # an export is given up after five seconds; these are not near one
        assert max(seconds) < 1
        assert statistics.median(seconds) < 0.05
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
        assert time.monotonic() - started < 6
    # told, and not with every request
    lines = [line for line in log.read_text().splitlines() if "opentelemetry" in line]
    assert len(lines) < REQUESTS / 4


def test_what_waits_is_sent_when_the_process_ends(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    with (
        collecting() as collector,
        api_server(settings, tmp_path / "api.log", otlp_endpoint=collector.endpoint) as server,
    ):
        process = psutil.Process(server.pid)
        assert server.call("GET", PRODUCTS, token="sk_nobody").status == 401
        assert collector.spans == []
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
        (refused,) = collector.wait_for("GET")
        assert refused.attributes["http.response.status_code"] == 401
