"""Bursts of the largest bodies leave an api process within its memory, whatever they hold."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shop_api.app import App
from tests.fixtures.api import Shop
from tests.fixtures.servers import ApiServer, Heard, api_server

CUSTOMERS, IMPORTS, PRODUCTS = "/api/v1/customers", "/api/v1/imports", "/api/v1/products"
# twice as many as usual: enough to go beyond, if each held one of the largest
THREADS = 16
SENDERS = 24
BURSTS = 3
LARGEST = 10_000_000
GROWTH_BYTES = 200 << 20


@pytest.fixture
def running_api(app: App, tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(app.services.settings, tmp_path / "api.log", api_threads=THREADS) as found:
        yield found


def memory(server: ApiServer, field: str) -> int:
    """VmRSS (now) or VmHWM (the most there ever was) of the process that answers, in bytes."""
    for line in Path(f"/proc/{server.worker().pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def one_text() -> bytes:
    return b'{"name": "' + b"a" * (LARGEST - 12) + b'"}'


def empty_objects() -> bytes:
    return b'{"tags": [' + b"{}," * ((LARGEST - 20) // 3) + b"{}]}"


def unknown_fields() -> bytes:
    return b"{" + b",".join(b'"%d":1' % number for number in range(900_000)) + b"}"


def numbers() -> bytes:
    return b'{"tags": [' + b"1.5," * ((LARGEST - 20) // 4) + b"1]}"


def few_values() -> bytes:
    """As many values as are read, long ones."""
    item = b'"' + b"b" * 44 + b'",'
    return b'{"tags": [' + item * 199_000 + b'"b"]}'


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (one_text, (422, "validation_failed")),
        (empty_objects, (400, "too_many_values")),
        (unknown_fields, (400, "too_many_values")),
        (numbers, (400, "too_many_values")),
        (few_values, (422, "validation_failed")),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_bursts_of_large_bodies(
    running_api: ApiServer, shop: Shop, make: Callable[[], bytes], outcome: tuple[int, str]
) -> None:
    body = make()
    assert 0.9 * LARGEST < len(body) <= LARGEST
    for _ in range(20):
        assert ask(running_api, "GET", PRODUCTS, shop).status == 200
        assert ask(running_api, "POST", PRODUCTS, shop, b'{"name": 1}').status == 422
    rest = memory(running_api, "VmRSS")

    def send(_: int) -> tuple[int, str]:
        try:
            heard = ask(running_api, "POST", PRODUCTS, shop, body)
        except (BrokenPipeError, ConnectionResetError):
            # refused before it was read, and the connection with it
            return 503, "server_busy"
        return heard.status, heard.code

    with ThreadPoolExecutor(SENDERS) as pool:
        for _ in range(BURSTS):
            large = [pool.submit(send, number) for number in range(SENDERS)]
            # who sends little is not refused for it
            small = ask(running_api, "POST", CUSTOMERS, shop, b'{"first_name": "Ada"}')
            assert small.status == 201, small.body
            answers = [future.result(40) for future in large]
            assert outcome in answers
            assert set(answers) <= {outcome, (503, "server_busy")}
    growth = memory(running_api, "VmHWM") - rest
    assert growth < GROWTH_BYTES, f"{growth >> 20} MiB above {rest >> 20} MiB"


def ask(server: ApiServer, method: str, path: str, shop: Shop, body: bytes | None = None) -> Heard:
    return server.call(method, path, body, token=shop.api.token)
