"""One answer for all who ask the same at the same time.

Belongs here: who makes it, who waits and how long. Does not: where it is kept (response_cache.py,
redis_answers.py), which reads share (their policy).

In a process the first who asks leads a flight and the others wait for it; among processes the
leaders hold a lease in Redis, and those who have none look for the answer there. Only those wait
together who read the same version before they came: nobody is given what is older than their own
question. What is no plain success is not shared: those who waited ask themselves, one by one.
"""

import threading
import time
from dataclasses import dataclass, field

from shop_api.gateway.redis_answers import Asked, RedisAnswers, State
from shop_api.gateway.refusal import server_busy
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, CacheGrant, CacheSlot, Exchange, Stage
from shop_api.metrics.definitions import (
    request_deduplication_hits,
    request_deduplication_misses,
    request_deduplication_wait,
)

# How often a leader without the lease looks for the answer of whoever has it.
POLL_MIN_SECONDS = 0.005
POLL_MAX_SECONDS = 0.05
# A flight this young may hold all threads; an older one only so many, or nobody else is served.
BRIEF_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class Flight:
    """An answer that is being made in this process."""

    started: float
    done: threading.Event = field(default_factory=threading.Event)
    # once it is done: the answer, None when it cannot be shared
    answer: Answer | None = None
    route: str | None = None


class SingleFlight:
    """Runs reads that share their answers once."""

    def __init__(
        self, forward: Stage, shared: RedisAnswers, wait_seconds: float, waiting_limit: int
    ) -> None:
        self.forward = forward
        self.shared = shared
        self.wait_seconds = wait_seconds
        self.waiting_limit = waiting_limit
        self._flights: dict[tuple[str, str, str], Flight] = {}
        self._lock = threading.Lock()
        self._waiting = 0

    def __call__(self, exchange: Exchange) -> Answer:
        slot = exchange.cache_slot
        if slot is None or not slot.policy.is_shared:
            return self.forward(exchange)
        place = (slot.digest, slot.epoch, slot.version)
        deadline = time.monotonic() + self.wait_seconds
        while True:
            flight, leads = self._join(place)
            if leads:
                return self._lead(flight, place, exchange, slot, deadline)
            if slot.meanwhile is not None:
                return slot.meanwhile
            answer = self._wait_for(flight, exchange, deadline)
            if answer is not None:
                return answer

    def _join(self, place: tuple[str, str, str]) -> tuple[Flight, bool]:
        """The flight to a place, and whether it begins with this request."""
        with self._lock:
            flight = self._flights.get(place)
            if flight is not None:
                return flight, False
            flight = self._flights[place] = Flight(time.monotonic())
            return flight, True

    def _lead(
        self,
        flight: Flight,
        place: tuple[str, str, str],
        exchange: Exchange,
        slot: CacheSlot,
        deadline: float,
    ) -> Answer:
        try:
            # the flight before may have ended since this request looked
            found = None if slot.meanwhile else slot.find()
            if found is not None:
                exchange.cache_status = "hit"
                return found
            answer, grant = self._obtain(exchange, slot, deadline)
            if grant is not None:
                # a copy: the stages outside add to the headers
                flight.answer = Answer(200, list(answer.headers), answer.body)
                flight.route = exchange.route
            return answer
        finally:
            with self._lock:
                del self._flights[place]
            flight.done.set()

    def _obtain(
        self, exchange: Exchange, slot: CacheSlot, deadline: float
    ) -> tuple[Answer, CacheGrant | None]:
        """The answer another process has made or makes, else one made here; with the leave to share
        it."""
        pause, started = POLL_MIN_SECONDS, time.monotonic()
        while True:
            asked = self.shared.find_or_claim(slot, slot.meanwhile_until or exchange.started_at)
            if asked.state is State.FOUND:
                if pause > POLL_MIN_SECONDS:
                    count_shared(time.monotonic() - started)
                return self._take(asked, exchange, slot)
            if asked.state is State.CLAIMED:
                with self.shared.held(slot, asked.lease):
                    return self._make(exchange, slot)
            if asked.state is State.AWAY:
                request_deduplication_misses.inc()
                answer = self.forward(exchange)
                return answer, slot.keep(answer)
            if slot.meanwhile is not None:
                return slot.meanwhile, None
            if time.monotonic() > deadline:
                raise waited_too_long()
            time.sleep(pause)
            pause = min(pause * 2, POLL_MAX_SECONDS)

    def _make(self, exchange: Exchange, slot: CacheSlot) -> tuple[Answer, CacheGrant | None]:
        request_deduplication_misses.inc()
        answer = self.forward(exchange)
        grant = slot.keep(answer)
        if grant is not None:
            self.shared.store(slot, answer, grant, exchange.route, exchange.started_at)
        return answer, grant

    @staticmethod
    def _take(
        asked: Asked, exchange: Exchange, slot: CacheSlot
    ) -> tuple[Answer, CacheGrant | None]:
        assert asked.answer is not None
        exchange.cache_status = "redis"
        exchange.route = asked.route
        exchange.cache_grant = asked.grant
        return asked.answer, slot.keep(asked.answer)

    def _wait_for(self, flight: Flight, exchange: Exchange, deadline: float) -> Answer | None:
        """What a flight brings; None when that is nothing to share."""
        now = time.monotonic()
        with self._lock:
            is_crowded = self._waiting >= self.waiting_limit
            self._waiting += 1
        try:
            until = min(deadline, flight.started + BRIEF_SECONDS) if is_crowded else deadline
            if not flight.done.wait(max(0.0, until - now)):
                raise too_many_wait() if is_crowded else waited_too_long()
        finally:
            with self._lock:
                self._waiting -= 1
        if flight.answer is None:
            return None
        count_shared(time.monotonic() - now)
        exchange.cache_status = "collapsed"
        exchange.route = flight.route
        return Answer(200, list(flight.answer.headers), flight.answer.body)


def count_shared(waited_seconds: float) -> None:
    """A request was answered with what another one got."""
    request_deduplication_hits.inc()
    request_deduplication_wait.observe(waited_seconds)


def waited_too_long() -> DomainError:
    """408: another request for the same is still at it."""
    return DomainError(
        ErrorKind.TIMED_OUT,
        "waited_too_long",
        "Another request for the same is still running. Try again shortly.",
        retry_after_seconds=1,
    )


def too_many_wait() -> DomainError:
    """503: those who wait would leave no thread to anybody else."""
    detail = "Too many requests wait for the same answer."
    return server_busy("shared_answer", detail, "too_many_waiting")
