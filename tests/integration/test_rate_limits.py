"""Sliding windows on a real Redis, and the leases of several processes on them.

The oracle is the sliding window of the `limits` library, which counts every request by itself.
"""

import threading
from fractions import Fraction
from types import SimpleNamespace
from uuid import uuid4

import pytest
import redis
from hypothesis import example, given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.storage import memory as oracle_module
from limits.strategies import SlidingWindowCounterRateLimiter

from shop_api.db.request_redis import RequestRedis
from shop_api.db.sliding_windows import SlidingWindows, Want
from shop_api.gateway.leases import Lease, Leases
from shop_api.kernel.rate_limits import Quota

START = 1_800_000_000.0
PROCESSES = 4


class Oracle:
    """The library's limiter at a time of ours.

    It counts in whatever numbers its clock gives: in fractions it is exact, while its floats are a
    hair beside a whole share at most times.
    """

    def __init__(self, limit: int) -> None:
        self.now = Fraction(START)
        self._clock = SimpleNamespace(time=lambda: self.now)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._item = RateLimitItemPerMinute(limit)

    def admits(self, now: float) -> bool:
        self.now = Fraction(round(now * 1000), 1000)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(oracle_module, "time", self._clock)
            return self._limiter.hit(self._item, "someone")


class Process:
    """One of the processes that count together."""

    def __init__(self, redis_url: str, *quotas: Quota, scope: str = "") -> None:
        self.leases = [Lease(scope or uuid4().hex, quota) for quota in quotas]
        self.door = Leases(SlidingWindows(RequestRedis(redis_url)))

    def admits(self, now: float) -> bool:
        if self.door.take_here(self.leases, now):
            return True
        return self.door.take(self.leases, now) is None


# (seconds since the last, which process, how many at once)
BURSTS = st.lists(
    st.tuples(
        st.floats(0, 70).map(lambda seconds: round(seconds, 3)),
        st.integers(0, PROCESSES - 1),
        st.integers(1, 120),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(limit=st.integers(1, 60), bursts=BURSTS)
@example(51, [(0.0, 0, 3), (1.938, 0, 48), (69.0, 0, 11)])  # 70.938 + 0.827 as floats
@example(60, [(0.0, 0, 60), (61.0, 0, 70)])  # a whole share in the middle of a window
def test_a_window_without_leases_is_that_of_the_library(
    redis_url: str, limit: int, bursts: list[tuple[float, int, int]]
) -> None:
    windows, oracle, now = SlidingWindows(RequestRedis(redis_url)), Oracle(limit), START
    want = Want(uuid4().hex, Quota("requests", limit, 60), 1)
    for pause, _, count in bursts:
        now += pause
        for _ in range(min(count, 70)):
            (share,) = windows.take([want], now)
            assert (share.taken == 1) == oracle.admits(now)
            if share.taken == 0:
                # after the time it names there is one, and just before it there is none
                assert windows_free(windows, want, now + share.wait_seconds)
                assert not windows_free(windows, want, now + share.wait_seconds - 0.002)


def windows_free(windows: SlidingWindows, want: Want, now: float) -> bool:
    """Whether one could be taken at that time; takes none."""
    none = Want(want.scope, want.quota, 0)
    (share,) = windows.take([none], now)
    return share.free > 0


@settings(max_examples=30, deadline=None)
@given(limit=st.integers(1, 1500), bursts=BURSTS)
def test_four_processes_together_pass_the_limit_by_a_twentieth_at_most(
    redis_url: str, limit: int, bursts: list[tuple[float, int, int]]
) -> None:
    scope = uuid4().hex
    quota = Quota("requests", limit, 60)
    processes = [Process(redis_url, quota, scope=scope) for _ in range(PROCESSES)]
    oracle, now, admitted, expected = Oracle(limit), START, 0, 0
    for pause, which, count in bursts:
        now += pause / 10
        for _ in range(count):
            admitted += processes[which].admits(now)
            expected += oracle.admits(now)
            assert admitted <= expected + limit * 0.05


@pytest.mark.parametrize("limit", [100, 1_000, 5_000])
def test_a_flood_gets_the_limit_and_little_else(redis_url: str, limit: int) -> None:
    """Asked evenly by four processes, three times as often as allowed, for three minutes."""
    scope = uuid4().hex
    processes = [
        Process(redis_url, Quota("requests", limit, 60), scope=scope) for _ in range(PROCESSES)
    ]
    oracle, admitted, expected = Oracle(limit), 0, 0
    for index in range(limit * 9):
        now = START + index * 20 / limit
        admitted += processes[index % PROCESSES].admits(now)
        expected += oracle.admits(now)
        assert admitted <= expected + limit * 0.05
    # and what was taken in advance is not lost to those who pay for it
    assert admitted >= expected * 0.95


def test_a_hot_quota_asks_redis_rarely(redis_url: str, redis_client: redis.Redis) -> None:
    process = Process(redis_url, Quota("requests", 50_000, 60), Quota("burst", 5_000, 1))
    calls = script_calls(redis_client)
    assert all(process.admits(START + index / 5_000) for index in range(4_000))
    assert script_calls(redis_client) - calls <= 4_000 / 25


def script_calls(client: redis.Redis) -> int:
    found = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})
    return int(found["calls"])


def test_one_that_is_used_up_takes_nothing_of_the_others(redis_url: str) -> None:
    wide, narrow = Quota("requests", 50_000, 60), Quota("mutations", 3, 60)
    process = Process(redis_url, wide, narrow)
    for _ in range(3):
        assert process.admits(START)
    used = left(process)
    for index in range(50):
        assert process.door.take(process.leases, START + index / 50) is process.leases[1]
    assert left(process) == used
    assert process.leases[1].wait_seconds > 0


def left(process: Process) -> int:
    """Of its first quota."""
    return process.leases[0].free + process.leases[0].remaining


def test_threads_of_a_process_take_no_more_in_advance_than_one(redis_url: str) -> None:
    process = Process(redis_url, Quota("requests", 10_000, 60))
    admitted: list[bool] = []

    def ask() -> None:
        admitted.extend(process.admits(START) for _ in range(1_500))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # some may be refused while the last that was taken in advance is on its way
    assert 9_900 <= sum(admitted) <= 10_000


def test_a_limit_that_is_raised_or_lowered_holds_at_once(redis_url: str) -> None:
    scope = uuid4().hex
    before = Process(redis_url, Quota("requests", 5, 60), scope=scope)
    assert [before.admits(START) for _ in range(7)] == [True] * 5 + [False] * 2
    raised = Process(redis_url, Quota("requests", 8, 60), scope=scope)
    assert [raised.admits(START) for _ in range(4)] == [True] * 3 + [False]
    lowered = Process(redis_url, Quota("requests", 2, 60), scope=scope)
    assert not lowered.admits(START)


def test_without_redis_nobody_is_refused() -> None:
    process = Process("redis://127.0.0.1:1", Quota("requests", 2, 60))
    assert all(process.admits(START) for _ in range(20))


def test_a_clock_that_is_set_back_shuts_nobody_out(redis_url: str) -> None:
    process = Process(redis_url, Quota("requests", 2, 60))
    assert [process.admits(START) for _ in range(3)] == [True, True, False]
    assert process.admits(START - 3_600)
