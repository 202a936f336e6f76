"""The memory of bodies: how many bytes of them a process holds at once.

Belongs here: counting bytes, waiting for them in turn, and taking them from who sends too slowly.
Does not: limits of one body (body_size.py), how many threads wait for bodies (body_readers.py).

A body is held from its first byte until its request is answered, and what is read from it takes
several times its size. Eight of 10 MB at once would have a process grow beyond its budget, and the
C library keeps what it was given. Small bodies count for nothing: the threads bound them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

from shop_api.gateway.refusal import server_busy
from shop_api.kernel.errors import DomainError, ErrorKind

SMALL_BYTES = 65_536
# How much is received at a time. The server gives a piece when it is whole: no sooner can anybody
# know how fast it comes.
PIECE_BYTES = 65_536
# As long as a few bodies on a fast network take to be received and answered.
WAIT_SECONDS = 0.25
# A body larger than all the room waits until those before it are answered.
OVERSIZED_WAIT_SECONDS = 5.0
# It keeps all others out while it comes: 100 MB for three minutes at most.
OVERSIZED_BYTES_PER_SECOND = 500_000
# What the bodies of one tenant may hold together: a third is left for the other tenants.
TENANT_RATIO = 2 / 3


class Stream(Protocol):
    """What a body is read from."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes; fewer at the end only."""


class Room:
    """What one body holds. `forget` lets go of what was received when it is taken from it."""

    def __init__(self, tenant_id: UUID | None, forget: Callable[[], None]) -> None:
        self.tenant_id = tenant_id
        self.forget = forget
        self.size = 0
        self.wanted = 0
        # since when a piece is waited for; None: none is
        self.piece_began_at: float | None = None
        # since when it is larger than all the room there is, and what came since
        self.oversized_at: float | None = None
        self.oversized_received = 0
        self.is_lost = False


class BodyMemory:
    """`limit_bytes` of bodies at once; a single larger one has its turn when no other is held.

    `waiting_limit` requests, and one with a body larger than all the room, wait for a moment, each
    in its thread; others are refused at once. Nobody is let in before one who waits, except what
    waits for other bodies of its own tenant to go.
    """

    def __init__(self, limit_bytes: int, waiting_limit: int, piece_seconds: float = 10.0) -> None:
        self.limit_bytes = limit_bytes
        self.waiting_limit = waiting_limit
        self.piece_seconds = piece_seconds
        self.held_bytes = 0
        self._rooms: set[Room] = set()
        # bodies that hold some already stand before those that hold none
        self._queue: deque[Room] = deque()
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @contextmanager
    def held(
        self, size: int, tenant_id: UUID | None = None, forget: Callable[[], None] = lambda: None
    ) -> Iterator[Room]:
        """Hold a body of `size` bytes through the block; 503 when there is no room for it soon."""
        room = Room(tenant_id, forget)
        if size > SMALL_BYTES:
            self.resize(room, size)
        try:
            yield room
        finally:
            if room.size:
                self.resize(room, 0)

    def resize(self, room: Room, size: int) -> None:
        """Have a body hold `size` bytes; 503 when there is no room for that soon."""
        with self._lock:
            if size <= room.size:
                self._give(room, size)
                self._admit()
            elif not self._take(room, size):
                raise server_busy("body_bytes", "Too many large bodies are being received.")

    def receive(self, room: Room, stream: Stream, size: int) -> bytes:
        """Wait for the next `size` bytes of a body; 408 when they come too slowly."""
        with self._lock:
            room.piece_began_at = time.monotonic()
        try:
            piece = stream.read(size)
        finally:
            with self._lock:
                is_slow = self._is_slow(room, time.monotonic())
                room.piece_began_at = None
        if is_slow:
            raise body_too_slow()
        room.oversized_received += len(piece)
        return piece

    def _take(self, room: Room, size: int) -> bool:
        room.wanted = size
        if room.size:
            self._queue.appendleft(room)
        else:
            self._queue.append(room)
        self._admit()
        if room.size < size and self._take_from_slow():
            self._admit()
        if room.size < size and self._may_wait(room):
            self._freed.wait_for(lambda: room.size == size, self._wait_seconds(room))
        if room.size < size:
            self._queue.remove(room)
            # who stood behind it
            self._admit()
        return room.size == size

    def _admit(self) -> None:
        """Give room to those whose turn it is."""
        is_full = False
        for room in list(self._queue):
            if self._is_over_share(room):
                continue
            if self._fits(room) and (room.size or not is_full):
                self._queue.remove(room)
                self._give(room, room.wanted)
                self._freed.notify_all()
            else:
                is_full = True

    def _give(self, room: Room, size: int) -> None:
        self.held_bytes += size - room.size
        room.size = size
        if size:
            self._rooms.add(room)
        else:
            self._rooms.discard(room)
        if size > self.limit_bytes and room.oversized_at is None:
            room.oversized_at, room.oversized_received = time.monotonic(), 0

    def _fits(self, room: Room) -> bool:
        others = self.held_bytes - room.size
        return others == 0 or others + room.wanted <= self.limit_bytes

    def _is_over_share(self, room: Room) -> bool:
        """Whether its tenant's other bodies leave it no room; a single one may be larger."""
        if room.tenant_id is None:
            return False
        others = sum(
            held.size
            for held in self._rooms
            if held is not room and held.tenant_id == room.tenant_id
        )
        return others > 0 and others + room.wanted > self.limit_bytes * TENANT_RATIO

    def _is_oversized(self, room: Room) -> bool:
        return room.wanted > self.limit_bytes

    def _may_wait(self, room: Room) -> bool:
        is_oversized = self._is_oversized(room)
        alike = sum(self._is_oversized(waiting) == is_oversized for waiting in self._queue)
        return alike <= (min(1, self.waiting_limit) if is_oversized else self.waiting_limit)

    def _wait_seconds(self, room: Room) -> float:
        return OVERSIZED_WAIT_SECONDS if self._is_oversized(room) else WAIT_SECONDS

    def _is_slow(self, room: Room, now: float) -> bool:
        if room.is_lost:
            return True
        if room.piece_began_at is None:
            return False
        if now - room.piece_began_at > self.piece_seconds:
            return True
        if room.oversized_at is None:
            return False
        # the first seconds are free: a connection gathers speed
        seconds = now - room.oversized_at - self.piece_seconds
        return room.oversized_received < seconds * OVERSIZED_BYTES_PER_SECOND

    def _take_from_slow(self) -> bool:
        """Whether bodies that come too slowly lost what they held. Their threads still wait: they
        are told when the server gives them a piece."""
        now = time.monotonic()
        slow = [room for room in self._rooms if self._is_slow(room, now)]
        for room in slow:
            room.is_lost = True
            room.forget()
            self._give(room, 0)
        return bool(slow)


def body_too_slow() -> DomainError:
    """The refusal of a body that keeps others out for too long."""
    return DomainError(
        ErrorKind.TIMED_OUT,
        "body_too_slow",
        "The body came too slowly. Send it again over a faster connection, or in smaller parts.",
        retry_after_seconds=1,
    )
