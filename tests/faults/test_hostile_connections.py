"""Connections that are never finished, and requests that are far too large, against a real server:
each is answered or cut off, others are served meanwhile, and nothing is kept of any of them.
"""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from shop_api.app import App
from tests.fixtures.api import Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.servers import ApiServer, api_server

PRODUCTS = "/api/v1/products"
THREADS = 8
HALVES = 200
MEGABYTE = 1_000_000


@pytest.fixture
def running_api(app: App, tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(app.services.settings, tmp_path / "api.log", api_threads=THREADS) as found:
        yield found


def connect(server: ApiServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def send_raw(server: ApiServer, data: bytes) -> bytes:
    """What is answered to these bytes, until the server has no more to say."""
    with connect(server) as connection:
        try:
            connection.sendall(data)
            return connection.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):
            return b""


def assert_serves(server: ApiServer, shop: Shop) -> None:
    for _ in range(5):
        heard = server.call("GET", PRODUCTS, token=shop.api.token, timeout_seconds=5)
        assert heard.status == 200, heard.body
        assert heard.seconds < 1.0


def count_clients(server: ApiServer) -> int:
    """Connections the server has not let go of."""
    connections = server.worker().net_connections("tcp")
    return sum(bool(c.raddr) and c.laddr.port == server.port for c in connections)


def test_half_a_header_holds_no_thread_and_its_connection_is_let_go(
    running_api: ApiServer, shop: Shop
) -> None:
    assert_serves(running_api, shop)
    with ExitStack() as stack:
        for _ in range(HALVES):
            connection = stack.enter_context(connect(running_api))
            connection.sendall(b"GET /api/v1/products HTTP/1.1\r\nHost: shop\r\nX-Slow: ")
        wait_until(lambda: count_clients(running_api) >= HALVES, 30)
        assert_serves(running_api, shop)
    wait_until(lambda: count_clients(running_api) == 0, 30)


def test_half_a_body_leaves_threads_and_is_let_go(running_api: ApiServer, shop: Shop) -> None:
    assert_serves(running_api, shop)
    head = (
        "POST /api/v1/customers HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {shop.api.token}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    with ExitStack() as stack:
        for _ in range(THREADS * 3):
            stack.enter_context(connect(running_api)).sendall(head.encode())
        time.sleep(1.0)
        assert_serves(running_api, shop)
    wait_until(lambda: count_clients(running_api) == 0, 30)
    made = running_api.call("POST", "/api/v1/customers", {"first_name": "A"}, token=shop.api.token)
    assert made.status == 201


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: shop\r\n\r\n", {b"414", b"401"}),
        (b"GET /" + b"a" * 4 * MEGABYTE + b" HTTP/1.1\r\nHost: shop\r\n\r\n", {b"414", b"431"}),
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\nX-Large: " + b"a" * 4 * MEGABYTE + b"\r\n\r\n",
            {b"400", b"431"},
        ),
        (
            b"GET / HTTP/1.1\r\nHost: shop\r\n" + b"X-Many: 1\r\n" * 10_000 + b"\r\n",
            {b"400", b"431"},
        ),
        (b"GET / HTTP/1.1\r\nHost: shop\r\nContent-Length: -1\r\n\r\n", {b"400"}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + b"\x00" * 200, {b"400"}),
        (b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {b"4"}),
    ],
    ids=["url", "huge_url", "huge_header", "many_headers", "length", "tls", "chunks"],
)
def test_a_bomb_is_refused_or_cut_off(
    running_api: ApiServer, shop: Shop, data: bytes, statuses: set[bytes]
) -> None:
    answer = send_raw(running_api, data)
    told = answer.split(b" ", 2)[1] if answer.startswith(b"HTTP/1.1 ") else None
    # closed without a word, or refused
    assert told is None or any(told.startswith(status) for status in statuses), answer[:200]
    assert_serves(running_api, shop)


def test_large_bodies_are_refused_or_read(running_api: ApiServer, shop: Shop) -> None:
    largest = b'{"name": "' + b"a" * (10 * MEGABYTE - 12) + b'"}'
    assert len(largest) == 10 * MEGABYTE

    def send(body: bytes) -> tuple[int, str]:
        try:
            heard = running_api.call("POST", PRODUCTS, body, token=shop.api.token)
        except (BrokenPipeError, ConnectionResetError):
            # refused before it was read, and the connection with it
            return 503, "server_busy"
        return heard.status, heard.code

    with ThreadPoolExecutor(THREADS) as pool:
        answers = set(pool.map(send, [largest] * THREADS * 2))
    assert answers <= {(422, "validation_failed"), (503, "server_busy")}
    head = (
        f"POST {PRODUCTS} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {shop.api.token}\r\n"
        f"Content-Length: {len(largest) + 1}\r\n\r\n"
    )
    assert send_raw(running_api, head.encode()).startswith(b"HTTP/1.1 413 ")
    assert_serves(running_api, shop)
