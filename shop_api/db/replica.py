"""The read replica: how far it has come, looked at twice a second by a thread of its own.

Belongs here: whether it may serve now, and what it has replayed. Does not: which reads need what
(read_routing.py), running them (tenancy.py). Positions are those of Postgres's write-ahead log, in
bytes. The lag is measured without the replica's clock: it has what the primary had written when it
was asked, and so is no further behind than since then.
"""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

import psycopg
from sqlalchemy import Engine

from shop_api.db.outages import describe
from shop_api.metrics.definitions import replica_lag
from shop_api.metrics.tally import tally

logger = logging.getLogger(__name__)

CHECK_SECONDS = 0.5
# A sight older than this counts no more: whoever looks hangs, as the replica does.
STALE_SECONDS = 2.5
MAX_SAMPLES = 600

WRITTEN = """
SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint, pg_postmaster_start_time()
"""
REPLAYED = """
SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
        ELSE pg_current_wal_insert_lsn() END, '0/0')::bigint,
    pg_postmaster_start_time(), pg_is_in_recovery()
"""
OPTIONS = {
    "autocommit": True,
    "connect_timeout": 2,
    "application_name": "shop-api replica watch",
    # a server that is cut off without a word
    "tcp_user_timeout": 5000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}


class NoReplica(Exception):
    """A server of its own, which goes on from another past."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the replica was found at; instants are monotonic seconds."""

    position: int
    # it has all that was written before this
    caught_up_at: float
    serves_until: float


class Lag:
    """Since when the replica lacks something, from what both servers say again and again."""

    def __init__(self) -> None:
        # (when, what was written by then), oldest first
        self._samples: deque[tuple[float, int]] = deque()

    def caught_up_at(self, now: float, written: int, replayed: int) -> float | None:
        """Before when all that was written is replayed; None: before the first that is known."""
        samples = self._samples
        if len(samples) >= MAX_SAMPLES:
            del samples[1]
        samples.append((now, written))
        while len(samples) > 1 and samples[1][1] <= replayed:
            samples.popleft()
        first_at, first_written = samples[0]
        return first_at if first_written <= replayed else None


class Replica:
    """An engine on the replica, and whether to use it. Its thread starts when first asked."""

    def __init__(
        self, engine: Engine, primary_url: str, replica_url: str, lag_limit_seconds: float
    ) -> None:
        self.engine = engine
        self.lag_limit_seconds = lag_limit_seconds
        self._urls = primary_url, replica_url
        self._sight: Sight | None = None
        # the last time it was seen to lack nothing, or when it was first looked for
        self._caught_up_at: float | None = None
        # why it serves nothing, as far as it is logged
        self._trouble: str | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def serves(self, position: int = 0) -> bool:
        """Whether it has replayed `position` and is not too far behind."""
        if self._thread is None:
            self._start()
        sight = self._sight
        return (
            sight is not None
            and sight.position >= position
            and time.monotonic() < sight.serves_until
        )

    @property
    def lag_seconds(self) -> float | None:
        """How far behind it is at most; None when that is not known."""
        sight = self._sight
        return None if sight is None else time.monotonic() - sight.caught_up_at

    @property
    def unseen_seconds(self) -> float:
        """How long ago it was last known to lack nothing: it grows on while nobody reaches it."""
        caught_up_at = self._caught_up_at
        return 0.0 if caught_up_at is None else time.monotonic() - caught_up_at

    def lost(self) -> None:
        """A request could not reach it: none tries before it is seen again."""
        self._sight = None

    def close(self) -> None:
        """End the thread and the pool."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self.engine.dispose()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="replica-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        self._caught_up_at = time.monotonic()
        tally.watch(self._tell)
        while not self._stopped.is_set():
            try:
                self._watch()
            except psycopg.Error as error:
                self._miss(f"cannot be reached: {describe(error)}")
            except NoReplica:
                self._miss("is no replica of DATABASE_URL, but a server of its own")
            self._stopped.wait(CHECK_SECONDS)

    def _watch(self) -> None:
        primary_url, replica_url = self._urls
        lag = Lag()
        with (
            psycopg.connect(primary_url, **OPTIONS) as primary,  # type: ignore[arg-type]
            psycopg.connect(replica_url, **OPTIONS) as replica,  # type: ignore[arg-type]
        ):
            while not self._stopped.is_set():
                self._look(primary, replica, lag)
                self._stopped.wait(CHECK_SECONDS)

    def _look(
        self,
        primary: psycopg.Connection[tuple[int, object]],
        replica: psycopg.Connection[tuple[int, object, bool]],
        lag: Lag,
    ) -> None:
        now = time.monotonic()
        (written, primary_start), (replayed, replica_start, is_replica) = (
            primary.execute(WRITTEN).fetchall()[0],
            replica.execute(REPLAYED).fetchall()[0],
        )
        if not is_replica and replica_start != primary_start:
            raise NoReplica
        caught_up_at = lag.caught_up_at(now, written, replayed)
        if caught_up_at is None or now - caught_up_at > self.lag_limit_seconds:
            self._miss(f"is more than {self.lag_limit_seconds:g} s behind")
        elif self._trouble is not None:
            logger.info("the replica serves reads again")
            self._trouble = None
        if caught_up_at is None:
            return
        self._caught_up_at = caught_up_at
        serves_until = min(now + STALE_SECONDS, caught_up_at + self.lag_limit_seconds)
        self._sight = Sight(replayed, caught_up_at, serves_until)

    def _tell(self) -> None:
        if not self._stopped.is_set():
            replica_lag.set(self.unseen_seconds)

    def _miss(self, trouble: str) -> None:
        self._sight = None
        if trouble != self._trouble:
            logger.warning("the replica serves no reads: it %s", trouble)
            self._trouble = trouble
