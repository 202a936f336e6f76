"""What waits to be counted, added once a second by a thread of its own.

Belongs here: the thread, what it adds, and what it looks at (pools). Does not: which metrics there
are (definitions.py). The thread starts with the first that waits or is watched.
"""

import atexit
import logging
import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable

from shop_api.metrics import definitions, kinds

FLUSH_SECONDS = 1.0

logger = logging.getLogger(__name__)

# method, endpoint, status, seconds, bytes of the request, bytes of the response or -1
Request = tuple[str, str, int, float, int, int]


class _Distribution:
    """Observations of one histogram since the last flush."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class _EndpointTally:
    """What requests of one method and endpoint took and carried."""

    def __init__(self) -> None:
        self.seconds = _Distribution(definitions.DURATION_BUCKETS)
        self.received = _Distribution(definitions.SIZE_BUCKETS)
        self.sent = _Distribution(definitions.SIZE_BUCKETS)

    def add_to(self, method: str, endpoint: str) -> None:
        for distribution, histogram in (
            (self.seconds, definitions.api_request_duration),
            (self.received, definitions.api_request_size),
            (self.sent, definitions.api_response_size),
        ):
            child = histogram.labels(method, endpoint)
            child.add(distribution.counts, distribution.total)


class Tally:
    """Everything of this process that waits to be added, and its thread."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque()
        self._watches: list[Callable[[], None]] = []
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None

    def count_request(self, request: Request) -> None:
        """Count a request that has been answered."""
        self._requests.append(request)
        if self._thread is None:
            self._start()

    def watch(self, look: Callable[[], None]) -> None:
        """Call `look` before every flush, to set what is measured and not counted."""
        if look not in self._watches:
            self._watches.append(look)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Add all that waits now."""
        with self._flushing:
            for look in self._watches:
                look()
            self._add_requests()
            self._add_counts()

    def _add_requests(self) -> None:
        statuses: Counter[tuple[str, str, int]] = Counter()
        endpoints: dict[tuple[str, str], _EndpointTally] = {}
        take = self._requests.popleft
        # those that come meanwhile wait for the next time
        for _ in range(len(self._requests)):
            method, endpoint, status, seconds, received, sent = take()
            statuses[method, endpoint, status] += 1
            tally = endpoints.get((method, endpoint))
            if tally is None:
                tally = endpoints[method, endpoint] = _EndpointTally()
            tally.seconds.observe(seconds)
            tally.received.observe(received)
            if sent >= 0:
                tally.sent.observe(sent)
        for (method, endpoint, status), count in statuses.items():
            definitions.api_requests.labels(method, endpoint, str(status)).inc(count)
        for (method, endpoint), tally in endpoints.items():
            tally.add_to(method, endpoint)

    @staticmethod
    def _add_counts() -> None:
        take = kinds.waiting.popleft
        counts = Counter(take() for _ in range(len(kinds.waiting)))
        for counter, count in counts.items():
            counter.add(count)

    def _start(self) -> None:
        with self._flushing:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(FLUSH_SECONDS):
            try:
                self.flush()
            except Exception:
                logger.exception("metrics could not be added")


tally = Tally()
atexit.register(tally.flush)
