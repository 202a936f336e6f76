"""A closed-loop HTTP client: a fixed number of connections, each with its requests outstanding.

Belongs here: sending prepared requests to loopback for a bounded time and counting answers. Does
not: what is asked (the benchmarks).
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
ANSWER_TIMEOUT_SECONDS = 30.0
# A pipeline moves every few milliseconds; one that does not is stuck.
STALL_SECONDS = 3.0


@dataclass(frozen=True)
class Load:
    """What a run counted."""

    answers: int
    seconds: float
    # answers by status
    statuses: dict[int, int]

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds


def request(
    method: str, path: str, token: str | None = None, body: bytes = b"", key: str | None = None
) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: */*"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if key:
        lines.append(f"Idempotency-Key: {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), timeout=ANSWER_TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> tuple[int, bytes]:
        """The next answer: status and body."""
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
        head = self.buffer[:end]
        status = int(head[9:12])
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r", 1)[0]) if at >= 0 else 0
        while len(self.buffer) < end + 4 + length:
            self._fill()
        body = self.buffer[end + 4 : end + 4 + length]
        self.buffer = self.buffer[end + 4 + length :]
        return status, body

    def skip(self, size: int) -> None:
        """Read `size` bytes of answers whose length is known, without looking at them."""
        missing = size - len(self.buffer)
        self.buffer = b""
        while missing > 0:
            data = self.socket.recv(min(1_048_576, missing))
            if not data:
                raise ConnectionError("the server closed the connection")
            missing -= len(data)

    def _fill(self) -> None:
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data


@contextmanager
def connections(port: int, count: int) -> Iterator[list[Connection]]:
    """Open connections, closed at the end."""
    opened = [Connection(port) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.socket.close()


def run_load(port: int, next_request: Callable[[], bytes], *, clients: int, seconds: float) -> Load:
    """Keep `clients` requests outstanding for `seconds`."""
    statuses: dict[int, int] = {}
    answers = 0
    with connections(port, clients) as opened:
        for connection in opened:
            connection.send(next_request())
        started = time.perf_counter()
        deadline = started + seconds
        while time.perf_counter() < deadline:
            for connection in opened:
                status, _ = connection.read()
                statuses[status] = statuses.get(status, 0) + 1
                answers += 1
                connection.send(next_request())
        elapsed = time.perf_counter() - started
        for connection in opened:
            connection.read()
    return Load(answers, elapsed, statuses)


def run_pipelined(
    port: int, data: bytes, *, clients: int, depth: int, seconds: float
) -> Load | None:
    """The same request over and over, `depth` outstanding per connection; None when it stalled.

    The answers must have one length: then the client only counts bytes, and costs a tenth of the
    server it measures.
    """
    with connections(port, clients) as opened:
        opened[0].send(data)
        status, _ = opened[0].read()
        opened[0].send(data)
        length = _answer_length(opened[0])
        for connection in opened:
            connection.socket.settimeout(STALL_SECONDS)
            connection.send(data * depth)
        answers = 0
        started = time.perf_counter()
        deadline = started + seconds
        try:
            while time.perf_counter() < deadline:
                for connection in opened:
                    connection.skip(length * depth)
                    answers += depth
                    connection.send(data * depth)
            elapsed = time.perf_counter() - started
            for connection in opened:
                connection.skip(length * depth)
        except TimeoutError:
            return None
    return Load(answers, elapsed, {status: answers})


def _answer_length(connection: Connection) -> int:
    received = connection.buffer
    while b"\r\n\r\n" not in received:
        received += connection.socket.recv(262_144)
    connection.buffer = received
    size_of_head = received.find(b"\r\n\r\n") + 4
    _, body = connection.read()
    return size_of_head + len(body)
