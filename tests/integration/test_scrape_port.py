"""A machine that runs workers only is asked for its metrics at a port of theirs."""

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from shop_api.metrics.scrape_port import CONNECTION_LIMIT, REQUEST_SECONDS, ScrapePort
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


def test_a_key_without_its_scheme_opens_nothing(port: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
    for given in (KEY, f"Basic {KEY}"):
        request.add_header("Authorization", given)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == 401


def test_nothing_else_is_there(port: int) -> None:
    assert answers(f"http://127.0.0.1:{port}/", 404)
    assert answers(f"http://127.0.0.1:{port}/api/v1/products", 404)


@pytest.fixture
def own_port() -> Iterator[int]:
    """A port of this process."""
    found = free_port()
    server = ScrapePort("127.0.0.1", found, KEY)
    server.start()
    yield found
    server.stop()


def ask(port: int, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={"Authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    try:
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_a_head_is_answered_without_the_body_and_a_query_makes_no_difference(
    own_port: int,
) -> None:
    status, _, body = ask(own_port, "GET", "/metrics?x")
    assert (status, b"processes_running" in body) == (200, True)
    # by hand: the library reads no body after a HEAD
    with socket.create_connection(("127.0.0.1", own_port), timeout=10) as connection:
        connection.sendall(b"HEAD /health/live HTTP/1.1\r\n\r\n")
        with connection.makefile("rb") as answer:
            head = answer.read()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Length: 17\r\n" in head
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_not_allowed(own_port: int, method: str) -> None:
    status, headers, body = ask(own_port, method, "/metrics")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert body == b'{"code":"method_not_allowed"}'


def dribble(port: int, ended_after: list[float]) -> None:
    """Send a byte now and then, until the connection is closed."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(0.2)
        try:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nX: ")
            while time.monotonic() - started < 3 * REQUEST_SECONDS:
                connection.sendall(b"a")
                try:
                    if connection.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
        except ConnectionError:
            # closed, with bytes on their way
            pass
    ended_after.append(time.monotonic() - started)


def test_strangers_hold_a_few_threads_for_a_few_seconds(own_port: int) -> None:
    ended_after: list[float] = []
    idle = threading.active_count()
    clients = [
        threading.Thread(target=dribble, args=(own_port, ended_after), daemon=True)
        for _ in range(CONNECTION_LIMIT + 24)
    ]
    for client in clients:
        client.start()
    wait_until(lambda: len(ended_after) == 24, 3)
    assert threading.active_count() - idle == 2 * CONNECTION_LIMIT
    for client in clients:
        client.join(3 * REQUEST_SECONDS)
    assert sorted(ended_after)[24] >= REQUEST_SECONDS * 0.9
    assert max(ended_after) < REQUEST_SECONDS + 2
    assert answers(f"http://127.0.0.1:{own_port}/health/live")
    wait_until(lambda: threading.active_count() == idle, 3)
