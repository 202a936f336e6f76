"""What many ask for at the same time, of several processes on one Redis."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from shop_api.gateway.redis_answers import LEASE_SECONDS
from shop_api.gateway.single_flight import BRIEF_SECONDS
from shop_api.kernel.errors import DomainError
from shop_api.kernel.exchange import Answer, Exchange
from shop_api.spine.resources import CATALOGUE
from tests.factories.cache_stages import DEAR, FIGURES, TENANT, Process, Start, plain, status


def slow(seconds: float, then: Callable[[Exchange], Answer]) -> Callable[[Exchange], Answer]:
    def make(exchange: Exchange) -> Answer:
        time.sleep(seconds)
        return then(exchange)

    return make


def all_at_once(processes: list[Process], path: str, count: int) -> list[Answer | DomainError]:
    """The outcomes of so many requests to each process, all begun before any is answered."""
    begin = threading.Barrier(len(processes) * count)

    def ask(process: Process) -> Answer | DomainError:
        begin.wait()
        try:
            return process.get(path)
        except DomainError as error:
            return error

    with ThreadPoolExecutor(len(processes) * count) as pool:
        return list(pool.map(ask, processes * count))


@pytest.mark.parametrize("path", [DEAR, FIGURES])
def test_what_many_ask_for_is_made_once(start_process: Start, path: str) -> None:
    processes = [start_process(make=slow(0.5, lambda e: plain(e.path))) for _ in range(3)]
    answers = all_at_once(processes, path, 20)
    assert {answer.body for answer in answers if isinstance(answer, Answer)} == {plain(path).body}
    assert sum(len(process.made) for process in processes) == 1
    told = [status(answer) for answer in answers if isinstance(answer, Answer)]
    assert len(told) == 60
    assert sum("fwd=miss; stored" in text for text in told) == 1
    assert sum("collapsed" in text for text in told) >= 50


def test_failures_are_nobody_else_s(start_process: Start) -> None:
    """Whoever waited asks alone, one after the other, and never twice at once."""
    running = [0, 0]
    lock = threading.Lock()

    def fail(_: Exchange) -> Answer:
        with lock:
            running[0] += 1
            running[1] = max(running)
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return Answer(503, [], b"{}")

    processes = [start_process(make=fail) for _ in range(2)]
    answers = all_at_once(processes, FIGURES, 5)
    assert [a.status for a in answers if isinstance(a, Answer)] == [503] * 10
    assert sum(len(process.made) for process in processes) == 10
    assert running[1] == 1


def test_who_waits_too_long_is_told(start_process: Start) -> None:
    process = start_process(make=slow(1.5, lambda e: plain(e.path)), wait_seconds=0.3)
    other = start_process(make=process.make, wait_seconds=0.3)
    outcomes = all_at_once([process, other], FIGURES, 3)
    refused = [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
    assert {error.code for error in refused} == {"waited_too_long"}
    assert len(refused) == 5
    assert len(process.made) + len(other.made) == 1


def test_waiting_leaves_threads_to_others(start_process: Start) -> None:
    seconds = BRIEF_SECONDS + 1.0
    process = start_process(make=slow(seconds, lambda e: plain(e.path)), waiting_limit=2)
    with ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        asked = [pool.submit(process.get, FIGURES) for _ in range(6)]
        time.sleep(BRIEF_SECONDS + 0.3)
        # three could not go on waiting: their threads are free
        assert sum(future.done() for future in asked) == 3
        late = time.monotonic()
        with pytest.raises(DomainError, match="too_many_waiting"):
            process.get(FIGURES)
        assert time.monotonic() - late < 0.2
        refused = [future for future in asked if future.exception() is not None]
        assert len(refused) == 3
        assert time.monotonic() - started >= seconds - 0.1
    assert len(process.made) == 1


def test_a_change_parts_those_who_came_before_from_those_after(start_process: Start) -> None:
    """Nobody is given what was read before their own question, if it changed before they came."""
    process = start_process()
    state = {"value": "old"}
    asked = threading.Event()

    def read_then_dawdle(_: Exchange) -> Answer:
        answer = plain(state["value"])
        asked.set()
        time.sleep(0.5)
        return answer

    process.make = read_then_dawdle
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(process.get, DEAR)
        assert asked.wait(5)
        state["value"] = "new"
        process.versions.touch({(TENANT, CATALOGUE)})
        after = pool.submit(process.get, DEAR)
        assert after.result().body == plain("new").body
        assert before.result().body == plain("old").body


def test_a_lease_is_held_while_its_holder_works(start_process: Start) -> None:
    seconds = LEASE_SECONDS + 1.0
    processes = [start_process(make=slow(seconds, lambda e: plain(e.path)), wait_seconds=20)]
    processes.append(start_process(make=processes[0].make, wait_seconds=20))
    answers = all_at_once(processes, FIGURES, 1)
    assert all(isinstance(answer, Answer) for answer in answers)
    assert sum(len(process.made) for process in processes) == 1
