"""Bytes of bodies held at once: never more than there is room for, none lost, nobody waits long."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.gateway.body_memory import SMALL_BYTES, WAIT_SECONDS, BodyMemory
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
