"""What waits to be counted, added once a second by a thread of its own, or many together.

Belongs here: the thread, what it adds, and what it looks at (pools). Does not: which metrics there
are (definitions.py). The thread starts with the first that waits or is watched.
"""

import atexit
import logging
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence

from shop_api.kernel.clock import utc_now
from shop_api.metrics import definitions, kinds
from shop_api.metrics.usage import Usage, usage

FLUSH_SECONDS = 1.0
# Requests of one place that are added by the request that completes them: what waits for long goes
# out of the processor's caches, and takes from a hot answer what it needs there.
TOGETHER = 256

logger = logging.getLogger(__name__)

# method, endpoint, status: as many as there are endpoints, whatever clients send
Place = tuple[str, str, int]
# bytes of the request and of the response, the tenant's id as a number (0: none), whether it was
# answered from a cache, seconds
Measured = tuple[int, int, int, bool, float]
NO_LENGTH = -1
REFUSED = 429


class Tally:
    """Everything of this process that waits to be added, and its thread."""

    def __init__(self) -> None:
        self._requests: dict[Place, deque[Measured]] = {}
        self._watches: list[Callable[[], None]] = []
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None

    def count_request(self, place: Place, measured: Measured) -> None:
        """Count a request that has been answered."""
        waiting = self._requests.get(place)
        if waiting is None:
            # for good: who has it may add to it at any time
            waiting = self._requests.setdefault(place, deque())
            if self._thread is None:
                self._start()
        waiting.append(measured)
        if len(waiting) >= TOGETHER and self._flushing.acquire(blocking=False):
            try:
                self._add(place, waiting)
                self._add_counts()
            finally:
                self._flushing.release()

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
            for place, waiting in list(self._requests.items()):
                self._add(place, waiting)
            self._add_counts()

    @staticmethod
    def _add(place: Place, waiting: deque[Measured]) -> None:
        # those that come meanwhile wait for the next time
        taken = [waiting.popleft() for _ in range(len(waiting))]
        if not taken:
            return
        method, endpoint, status = place
        received, sent, tenants, _, seconds = zip(*taken, strict=True)
        sizes = Counter(sent)
        del sizes[NO_LENGTH]
        definitions.api_requests.labels(method, endpoint, str(status)).inc(len(taken))
        labels = (method, endpoint)
        definitions.api_request_duration.labels(*labels).observe_all(list(seconds))
        definitions.api_request_size.labels(*labels).observe_counted(Counter(received))
        definitions.api_response_size.labels(*labels).observe_counted(sizes)
        if len(set(tenants)) == 1:
            _add_usage(place, tenants[0], taken)
            return
        by_tenant: defaultdict[int, list[Measured]] = defaultdict(list)
        for measured in taken:
            by_tenant[measured[2]].append(measured)
        for tenant, theirs in by_tenant.items():
            _add_usage(place, tenant, theirs)

    @staticmethod
    def _add_counts() -> None:
        take = kinds.waiting.popleft
        for counter, count in Counter([take() for _ in range(len(kinds.waiting))]).items():
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


def _add_usage(place: Place, tenant: int, taken: Sequence[Measured]) -> None:
    """Add a tenant's requests; a stream's length is not known, and counts as nothing."""
    if not tenant:
        return
    method, endpoint, status = place
    received, sent, _, hits, seconds = zip(*taken, strict=True)
    total = Usage(
        requests=len(taken),
        refusals=len(taken) if status == REFUSED else 0,
        cache_hits=sum(hits),
        request_bytes=sum(received),
        response_bytes=sum(sent) + sent.count(NO_LENGTH),
        duration_microseconds=round(sum(seconds) * 1_000_000),
    )
    usage.add(utc_now(), (tenant, method, endpoint, f"{status // 100}xx"), total)


tally = Tally()
atexit.register(tally.flush)
