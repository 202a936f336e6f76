"""Connections that are never finished, and requests that are far too large, against a real server:
each is answered or cut off, others are served meanwhile, and nothing is kept of any of them.
"""

import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from shop_api.app import App
from tests.fixtures.api import Shop
from tests.fixtures.processes import wait_until
from tests.fixtures.servers import ApiServer, api_server

PRODUCTS = "/api/v1/products"
THREADS = 8
# more than granian's own limit, beyond which it would accept nobody
HALVES = 1_500
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def running_api(app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One server for all: each of them must leave it as it was for the next."""
    log = tmp_path_factory.mktemp("server") / "api.log"
    with api_server(app.services.settings, log, api_threads=THREADS) as found:
        yield found


def connect(server: ApiServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def send_raw(server: ApiServer, data: bytes) -> bytes:
    """What is answered to these bytes, of which the server may not want to hear all."""
    with connect(server) as connection:
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(data)
        return connection.recv(65_536)


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
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        for _ in range(HALVES):
            connection = stack.enter_context(connect(running_api))
            connection.sendall(b"GET /api/v1/products HTTP/1.1\r\nHost: shop\r\nX-Slow: ")
        wait_until(lambda: count_clients(running_api) >= HALVES, 30)
        assert_serves(running_api, shop)
    wait_until(lambda: count_clients(running_api) == 0, 30)


# what Flask would take for POST is none to it
@pytest.mark.parametrize("method", ["POST", "post"])
def test_half_a_body_leaves_threads_and_is_let_go(
    running_api: ApiServer, shop: Shop, method: str
) -> None:
    assert_serves(running_api, shop)
    head = (
        f"{method} /api/v1/customers HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
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


def head(*lines: bytes, target: bytes = b"/health/live") -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: shop", *lines, b"", b""])


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (head(target=b"/" + b"a" * 8_200), {b"414"}),
        (head(target=b"/?" + b"a" * 60_000), {b"414"}),
        (head(target=b"/" + b"a" * 100_000), {b"414", b"431"}),
        (head(target=b"/" + b"a" * 4 * MEGABYTE), {b"414", b"431"}),
        (head(b"X-Large: " + b"a" * 60_000), {b"200"}),
        (head(b"X-Large: " + b"a" * 100_000), {b"200", b"431"}),
        (head(b"X-Large: " + b"a" * 132_000), {b"431"}),
        (head(b"X-Large: " + b"a" * 200_000), {b"431"}),
        (head(b"X-Large: " + b"a" * 4 * MEGABYTE), {b"431"}),
        (head(*(b"X-%d: 1" % number for number in range(90))), {b"200"}),
        (head(*(b"X-%d: 1" % number for number in range(150))), {b"431"}),
        (head(*[b"X-Many: 1"] * 10_000), {b"431"}),
        (head(b"Content-Length: -1"), {b"400"}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + b"\x00" * 200, {b"400"}),
    ],
    ids=[
        "path",
        "query",
        "large_path",
        "huge_path",
        "long_header",
        "longer_header",
        "longest_header",
        "large_header",
        "huge_header",
        "headers",
        "many_headers",
        "very_many_headers",
        "length",
        "tls",
    ],
)
def test_a_bomb_is_refused(
    running_api: ApiServer, shop: Shop, data: bytes, statuses: set[bytes]
) -> None:
    answer = send_raw(running_api, data)
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    assert answer.split(b" ", 2)[1] in statuses, answer[:200]
    assert_serves(running_api, shop)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head(b"X-Large: " + b"a" * 132_000), b"431"),
        (head(*(b"X-%d: 1" % number for number in range(101))), b"431"),
        (head(target=b"/" + b"a" * 70_000), b"414"),
    ],
    ids=["header", "headers", "url"],
)
def test_what_the_server_refuses_has_no_body_and_nothing_of_the_product(
    running_api: ApiServer, data: bytes, status: bytes
) -> None:
    answer = send_raw(running_api, data)
    lines, _, body = answer.partition(b"\r\n\r\n")
    assert lines.split(b" ", 2)[1] == status, answer[:200]
    assert body == b""
    names = {line.partition(b":")[0].lower() for line in lines.split(b"\r\n")[1:]}
    assert names <= {b"connection", b"content-length", b"date"}


def test_a_long_url_is_told_as_a_problem_and_not_given_back(running_api: ApiServer) -> None:
    heard = running_api.call("GET", "/" + "%20" * 15_000)
    assert (heard.status, heard.code) == (414, "url_too_long")
    assert heard.headers["content-type"] == "application/problem+json"
    assert len(heard.body) < 4_000


def test_a_chunk_that_is_none_is_cut_off(running_api: ApiServer, shop: Shop) -> None:
    lines = b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    answer = send_raw(running_api, lines)
    assert not answer or answer.startswith(b"HTTP/1.1 4"), answer[:200]
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
