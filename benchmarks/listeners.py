"""Any number of WebSocket clients in one process of their own, that listen and note what they get.

Belongs here: opening them, when each got what, and what went wrong. Does not: what is sent to them,
budgets (the benchmarks).

They speak just enough of the protocol: a server's frames have no mask, and what is the same for all
is parsed once, so that they cost a fraction of what sends to them.
"""

import json
import multiprocessing
import resource
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.load import LOOPBACK

# that shake hands at once: the others would wait in the backlog of the listening socket
OPENING_AT_ONCE = 64
# one address has 28 000 ports to another; each of the others of the loopback has as many
LISTENERS_PER_ADDRESS = 4_000
# beside those of the sockets
SPARE_FILES = 500
START_SECONDS = 180.0
ANSWER_SECONDS = 30.0
POLL_SECONDS = 0.25
TEXT, CLOSE, PING = 0x81, 0x88, 0x89
# empty, and masked with zeros
PONG = b"\x8a\x80\x00\x00\x00\x00"
HANDSHAKE = (
    "GET /ws?ticket={} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def allow_open_files(sockets: int) -> None:
    """Let this process, and those it starts, have so many sockets open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if resource.RLIM_INFINITY != hard < sockets + SPARE_FILES:
        raise RuntimeError(
            f"{sockets:,} sockets need {sockets + SPARE_FILES:,} open files, and this system lets"
            f" a process have {hard:,}: raise `ulimit -Hn`, or set SHOP_BENCH_SOCKETS lower"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(slots=True)
class Heard:
    """An event, and when it came to each of those who got it, in seconds since 1970."""

    message: dict[str, Any]
    came_at: list[float] = field(default_factory=list)


@dataclass
class Notes:
    """What all listeners got so far, by event, and what went wrong, by what it was."""

    heard: dict[int, Heard] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)


class Crowd:
    """The listeners, for who measures."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def notes(self) -> Notes:
        """All that they noted."""
        self._pipe.send(None)
        if not self._pipe.poll(ANSWER_SECONDS):
            raise RuntimeError("the process of the listeners does not answer")
        notes: Notes = self._pipe.recv()
        return notes

    def wait_until(self, is_enough: Callable[[Notes], bool], timeout_seconds: float) -> Notes:
        """The notes once they are enough, or when the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while not is_enough(notes := self.notes()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return notes


@contextmanager
def listening(port: int, tickets: list[str]) -> Iterator[Crowd]:
    """A listener for each ticket, once all were greeted or refused."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=listen, args=(theirs, port, tickets), daemon=True)
    process.start()
    try:
        if not ours.poll(START_SECONDS):
            raise RuntimeError("the sockets do not open")
        ours.recv()
        yield Crowd(ours)
    finally:
        process.terminate()
        process.join()


def listen(pipe: Connection, port: int, tickets: list[str]) -> None:
    """Open all, say so, and answer with the notes whenever asked."""
    allow_open_files(len(tickets))
    notes = Notes()
    waiting = deque(enumerate(tickets))
    opening: set[Listener] = set()
    is_open = False
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            while waiting and len(opening) < OPENING_AT_ONCE:
                listener = Listener(port, *waiting.popleft(), notes)
                opening.add(listener)
                selector.register(listener.socket, selectors.EVENT_READ, listener)
            if not is_open and not opening:
                is_open = True
                pipe.send(notes)
            for key, _ in selector.select():
                if key.data is None:
                    pipe.recv()
                    pipe.send(notes)
                    continue
                if not key.data.read():
                    selector.unregister(key.fileobj)
                    opening.discard(key.data)
                elif key.data.is_greeted:
                    opening.discard(key.data)


class Listener:
    """One WebSocket."""

    __slots__ = ("_buffer", "_is_upgraded", "_last_id", "_notes", "is_greeted", "socket")

    def __init__(self, port: int, number: int, ticket: str, notes: Notes) -> None:
        source = f"127.0.0.{2 + number // LISTENERS_PER_ADDRESS}"
        self.socket = socket.create_connection(
            (LOOPBACK, port), timeout=ANSWER_SECONDS, source_address=(source, 0)
        )
        self.socket.sendall(HANDSHAKE.format(ticket).encode())
        self.socket.setblocking(False)
        self.is_greeted = False
        self._is_upgraded = False
        self._buffer = b""
        self._last_id = 0
        self._notes = notes

    def read(self) -> bool:
        """Note what came; False when it is over."""
        try:
            piece = self.socket.recv(65_536)
        except OSError as error:
            return self._fail(type(error).__name__)
        came_at = time.time()
        if not piece:
            return self._fail("closed")
        self._buffer += piece
        if not self._is_upgraded:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return True
            if b" 101 " not in head[:16]:
                return self._fail(head.split(b"\r\n")[0].decode())
            self._is_upgraded, self._buffer = True, rest
        while (frame := self._next_frame()) is not None:
            kind, payload = frame
            if kind == PING:
                self.socket.send(PONG)
            elif kind == CLOSE:
                return self._fail(f"closed with {int.from_bytes(payload[:2], 'big')}")
            elif kind == TEXT:
                self._note(payload, came_at)
            else:
                return self._fail(f"frame {kind:x}")
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size:
            return None
        self._buffer = buffer[start + size :]
        return buffer[0], buffer[start : start + size]

    def _note(self, payload: bytes, came_at: float) -> None:
        if not self.is_greeted:
            self.is_greeted = True
            self._last_id = json.loads(payload)["id"]
            return
        heard = self._notes.heard
        id_ = int(payload[6 : payload.index(b",")]) if payload[6:7] != b"n" else 0
        if not id_:
            return
        if id_ <= self._last_id:
            self._notes.errors["out of order"] += 1
        self._last_id = id_
        if id_ not in heard:
            heard[id_] = Heard(json.loads(payload))
        heard[id_].came_at.append(came_at)

    def _fail(self, what: str) -> bool:
        self._notes.errors[what] += 1
        self.socket.close()
        return False
