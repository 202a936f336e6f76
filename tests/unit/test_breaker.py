"""The circuit breaker against a model, whatever is asked and told in whatever order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shop_api.kernel.breaker import Breaker


class BreakerMachine(RuleBasedStateMachine):
    """Every call that is allowed tells sometime how it went, or never does."""

    @initialize(limit=st.integers(1, 4), open_seconds=st.integers(1, 5))
    def start(self, limit: int, open_seconds: int) -> None:
        self.now = 0
        self.limit, self.open_seconds = limit, open_seconds
        self.breaker = Breaker(limit, open_seconds, lambda: self.now)
        self.failures = 0
        self.next_try: int | None = None

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        expected = self.next_try is None or self.now >= self.next_try
        assert self.breaker.allows() is expected
        if self.next_try is not None and expected:
            self.next_try = self.now + self.open_seconds
            # the others wait for the one that tries
            assert not self.breaker.allows()

    @rule()
    def succeed(self) -> None:
        self.breaker.succeeded()
        self.failures, self.next_try = 0, None

    @rule()
    def fail(self) -> None:
        self.breaker.failed()
        self.failures += 1
        if self.failures >= self.limit:
            self.next_try = self.now + self.open_seconds

    @invariant()
    def is_open_after_as_many_failures(self) -> None:
        assert self.breaker.is_open is (self.next_try is not None)
        assert self.breaker.is_open is (self.failures >= self.limit)


TestBreaker = BreakerMachine.TestCase


def test_one_of_many_threads_tries() -> None:
    breaker = Breaker(1, 0.05)
    breaker.failed()
    threads = 16
    ready = threading.Barrier(threads)

    def ask(_: int) -> bool:
        ready.wait()
        return breaker.allows()

    with ThreadPoolExecutor(threads) as pool:
        assert not any(pool.map(ask, range(threads)))
        threading.Event().wait(0.06)
        breaker.open_seconds = 60.0
        assert sum(pool.map(ask, range(threads))) == 1
    breaker.succeeded()
    assert breaker.allows()
    assert breaker.allows()


@pytest.mark.parametrize(("limit", "seconds"), [(0, 1.0), (1, 0.0)])
def test_a_breaker_that_never_closes_or_opens_is_refused(limit: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="opens after"):
        Breaker(limit, seconds)
