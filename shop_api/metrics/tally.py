"""What waits to be counted, added once a second by a thread of its own.

Belongs here: the thread, what it adds, and what it looks at (pools). Does not: which metrics there
are (definitions.py). The thread starts with the first that waits or is watched.
"""

import atexit
import logging
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable

from shop_api.metrics import definitions, kinds

FLUSH_SECONDS = 1.0

logger = logging.getLogger(__name__)

# method, endpoint, status, bytes of the request and of the response, seconds
Request = tuple[str, str, int, int, int, float]
NO_LENGTH = -1


class _Endpoint:
    """What was measured of an endpoint's requests since the last time."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        # how many had that size
        self.received: Counter[int] = Counter()
        self.sent: Counter[int] = Counter()


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
        # most differ in their seconds only
        alike: defaultdict[tuple[str, str, int, int, int], list[float]] = defaultdict(list)
        take = self._requests.popleft
        # those that come meanwhile wait for the next time
        for _ in range(len(self._requests)):
            request = take()
            alike[request[:5]].append(request[5])
        endpoints: defaultdict[tuple[str, str], _Endpoint] = defaultdict(_Endpoint)
        for (method, endpoint, status, received, sent), seconds in alike.items():
            found = endpoints[method, endpoint]
            found.statuses[status] += len(seconds)
            found.seconds += seconds
            found.received[received] += len(seconds)
            if sent != NO_LENGTH:
                found.sent[sent] += len(seconds)
        for labels, found in endpoints.items():
            for status, count in found.statuses.items():
                definitions.api_requests.labels(*labels, str(status)).inc(count)
            definitions.api_request_duration.labels(*labels).observe_all(found.seconds)
            definitions.api_request_size.labels(*labels).observe_counted(found.received)
            definitions.api_response_size.labels(*labels).observe_counted(found.sent)

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
