"""Bytes of bodies held at once: never more than there is room for, none lost, nobody waits long."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.gateway.body_memory import PIECE_BYTES, SMALL_BYTES, WAIT_SECONDS, BodyMemory
from shop_api.kernel.errors import DomainError
from shop_api.metrics.definitions import REGISTRY

LIMIT = 30_000_000
LARGE = 10_000_000


def refusals() -> float:
    labels = {"place": "body_bytes"}
    return REGISTRY.get_sample_value("server_busy_refusals_total", labels) or 0.0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2 * LIMIT)), max_size=40))
def test_as_many_bytes_are_held_as_there_is_room_for(moves: list[tuple[bool, int]]) -> None:
    memory = BodyMemory(LIMIT, waiting_limit=0)
    held: list[tuple[ExitStack, int]] = []
    for leaves, size in moves:
        if leaves and held:
            held.pop(0)[0].close()
        counted = [size for _, size in held if size > SMALL_BYTES]
        fits = size <= SMALL_BYTES or not counted or sum(counted) + size <= LIMIT
        stack = ExitStack()
        if fits:
            stack.enter_context(memory.held(size))
            held.append((stack, size))
        else:
            with pytest.raises(DomainError) as refused:
                stack.enter_context(memory.held(size))
            assert (refused.value.code, refused.value.retry_after_seconds) == ("server_busy", 1)
        assert memory.held_bytes == sum(size for _, size in held if size > SMALL_BYTES)


def test_room_that_comes_free_is_given_to_who_waits() -> None:
    memory, seen = BodyMemory(LIMIT, waiting_limit=1), []

    def hold() -> None:
        with memory.held(LARGE):
            seen.append(memory.held_bytes)

    with ThreadPoolExecutor(1) as pool:
        with memory.held(LIMIT):
            waits = pool.submit(hold)
            while not memory.waiting:
                time.sleep(0.001)
        waits.result(5)
    assert seen == [LARGE]
    assert (memory.held_bytes, memory.waiting) == (0, 0)


def test_who_finds_no_room_is_refused_soon_and_beyond_a_few_at_once() -> None:
    memory = BodyMemory(LIMIT, waiting_limit=1)
    before = refusals()
    with memory.held(LIMIT), ThreadPoolExecutor(1) as pool:

        def ask() -> float:
            started = time.monotonic()
            with pytest.raises(DomainError, match="large bodies"), memory.held(LARGE):
                pass
            return time.monotonic() - started

        waits = pool.submit(ask)
        while not memory.waiting:
            time.sleep(0.001)
        assert max(ask() for _ in range(20)) < WAIT_SECONDS / 2
        assert waits.result(5) >= WAIT_SECONDS * 0.9
    assert refusals() - before == 21


def test_a_body_larger_than_the_room_has_its_turn_among_small_ones() -> None:
    memory, ended = BodyMemory(LIMIT, waiting_limit=2), threading.Event()

    def send_without_end() -> None:
        while not ended.is_set():
            try:
                with memory.held(100_000):
                    time.sleep(0.02)
            except DomainError:
                time.sleep(0.001)

    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(send_without_end)
        try:
            for _ in range(10):
                with memory.held(LIMIT + 1):
                    assert memory.held_bytes == LIMIT + 1
        finally:
            ended.set()


class Waiters:
    """Threads that want room, in the order they came, and the order they got it in."""

    def __init__(self, memory: BodyMemory, pool: ThreadPoolExecutor) -> None:
        self.memory = memory
        self.pool = pool
        self.admitted: list[str] = []

    def ask(self, name: str, size: int, tenant_id: UUID | None = None) -> None:
        """Come back when `name` waits."""
        count = self.memory.waiting

        def hold() -> None:
            with self.memory.held(size, tenant_id):
                self.admitted.append(name)

        self.pool.submit(hold)
        while self.memory.waiting == count:
            time.sleep(0.0001)


def test_nobody_overtakes_who_waits() -> None:
    memory = BodyMemory(LIMIT, waiting_limit=2)
    with ThreadPoolExecutor(2) as pool:
        waiters = Waiters(memory, pool)
        with memory.held(LIMIT - LARGE + 1):
            # not together with what comes next
            waiters.ask("first", LIMIT - LARGE + 2)
            # there would be room for it
            waiters.ask("second", LARGE - 1)
            with pytest.raises(DomainError), memory.held(LARGE - 1):
                pass
            assert waiters.admitted == []
    assert waiters.admitted == ["first", "second"]


def test_a_body_that_is_being_received_grows_before_others_come() -> None:
    memory = BodyMemory(LIMIT, waiting_limit=1)
    with ThreadPoolExecutor(1) as pool, memory.held(LARGE) as room, memory.held(LIMIT - 2 * LARGE):
        waiters = Waiters(memory, pool)
        waiters.ask("newcomer", LARGE + 1)
        memory.resize(room, 2 * LARGE)
        assert memory.held_bytes == LIMIT
        with pytest.raises(DomainError) as refused:
            memory.resize(room, 2 * LARGE + 1)
        assert refused.value.code == "server_busy"
        assert waiters.admitted == []
        memory.resize(room, SMALL_BYTES)
    assert waiters.admitted == ["newcomer"]
    assert memory.held_bytes == 0


def test_a_tenant_leaves_room_for_others() -> None:
    memory, one, other = BodyMemory(LIMIT, waiting_limit=2), uuid4(), uuid4()
    with memory.held(LARGE, one), memory.held(LARGE, one):
        with pytest.raises(DomainError), memory.held(SMALL_BYTES + 1, one):
            pass
        with memory.held(LARGE, other):
            assert memory.held_bytes == LIMIT
    with memory.held(LIMIT, one):
        assert memory.held_bytes == LIMIT


def test_who_waits_for_their_own_tenant_holds_up_no_other() -> None:
    memory, one, other = BodyMemory(LIMIT, waiting_limit=1), uuid4(), uuid4()
    with ThreadPoolExecutor(1) as pool:
        waiters = Waiters(memory, pool)
        with memory.held(2 * LARGE, one):
            waiters.ask("one", LARGE, one)
            with memory.held(LARGE, other):
                assert waiters.admitted == []
    assert waiters.admitted == ["one"]


class Slow:
    """Gives a piece at its leisure."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def read(self, size: int) -> bytes:
        time.sleep(self.seconds)
        return b"a" * size


@pytest.mark.parametrize(("size", "is_refused"), [(LIMIT, False), (LIMIT + 1, True)])
def test_a_body_that_keeps_all_others_out_must_come_fast(size: int, is_refused: bool) -> None:
    memory = BodyMemory(LIMIT, waiting_limit=0, piece_seconds=0.2)
    # some 250 KB a second
    stream, code = Slow(0.04), ""
    with memory.held(size) as room:
        try:
            for _ in range(12):
                assert len(memory.receive(room, stream, 10_000)) == 10_000
        except DomainError as error:
            code = error.code
    assert code == ("body_too_slow" if is_refused else "")


def test_who_sends_nothing_loses_what_they_hold_to_others() -> None:
    memory, forgotten = BodyMemory(LIMIT, waiting_limit=0, piece_seconds=0.1), threading.Event()

    def receive() -> str:
        with memory.held(LIMIT, None, forgotten.set) as room:
            try:
                memory.receive(room, Slow(0.4), PIECE_BYTES)
            except DomainError as error:
                return error.code
        return ""

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(receive)
        time.sleep(0.2)
        assert not forgotten.is_set()
        with memory.held(LARGE):
            assert forgotten.is_set()
            assert memory.held_bytes == LARGE
            assert slow.result(5) == "body_too_slow"
            assert memory.held_bytes == LARGE
    assert memory.held_bytes == 0


def test_many_threads_lose_no_byte() -> None:
    memory = BodyMemory(LIMIT, waiting_limit=16)
    most = 0
    lock = threading.Lock()

    def hold(_: int) -> None:
        nonlocal most
        with memory.held(LARGE):
            with lock:
                most = max(most, memory.held_bytes)
            time.sleep(0.0005)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(hold, range(200)))
    assert most == LIMIT
    assert memory.held_bytes == 0
