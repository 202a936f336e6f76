"""What a process counted of its tenants' requests, written to Postgres: totals, and so exactly.

Belongs here: when they are written, and how. Does not: counting (metrics/usage.py), the facts made
of them (pipelines). A total is written over the one before, so that one whose commit was not
answered is written again without counting twice. A process that is killed takes with it what it
counted since it wrote last.
"""

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.deadlines import deadline
from shop_api.db.json import encode_json
from shop_api.db.outages import describe
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import run_for_tenants
from shop_api.kernel.clock import format_instant
from shop_api.kernel.errors import DomainError
from shop_api.metrics.tally import tally
from shop_api.metrics.usage import MAX_UNWRITTEN, Usage, UsageCounts, UsageKey

# For all tenants of one time; what is not written by then is with the next.
WRITE_SECONDS = 5.0
# At the end of a process, which has other things to end too.
LAST_WRITE_SECONDS = 2.0
# Of one transaction, rounded up to a whole tenant. More of them save little: most of the time is
# Postgres's.
BATCH_TOTALS = 1000

# How long an hour is written after its beginning. Later its rows may have been put together with
# those of other processes (usage_fold.py), and a total written anew would count a second time.
WRITABLE = timedelta(days=1)

WRITE = """
WITH totals AS (
    SELECT hour, hour < now() - %(writable)s::interval AS is_late, method, route, status_class,
        process_id, requests, refusals, cache_hits, request_bytes, response_bytes,
        duration_microseconds
    FROM jsonb_to_recordset(%(totals)s::jsonb) AS t (hour timestamptz, method text, route text,
        status_class text, process_id uuid, requests bigint, refusals bigint, cache_hits bigint,
        request_bytes bigint, response_bytes bigint, duration_microseconds bigint)
), written AS (
    INSERT INTO api_usage (tenant_id, hour, method, route, status_class, process_id, requests,
        refusals, cache_hits, request_bytes, response_bytes, duration_microseconds)
    SELECT %(tenant_id)s, hour, method, route, status_class, process_id, requests, refusals,
        cache_hits, request_bytes, response_bytes, duration_microseconds
    FROM totals WHERE NOT is_late
    ON CONFLICT (tenant_id, hour, method, route, status_class, process_id) DO UPDATE SET
        requests = excluded.requests, refusals = excluded.refusals,
        cache_hits = excluded.cache_hits, request_bytes = excluded.request_bytes,
        response_bytes = excluded.response_bytes,
        duration_microseconds = excluded.duration_microseconds, xid = excluded.xid
)
SELECT DISTINCT hour FROM totals WHERE is_late
"""

# What Postgres refuses for what it is, however often it is tried: a sum beyond bigint.
REFUSED_VALUES = (DataError, IntegrityError)

# Why usage is lost.
NO_ROOM = f"it waited with {MAX_UNWRITTEN} other totals"
TOO_LATE = "it waited for over a day"

# The totals of a transaction; those of a tenant are next to each other.
Batch = dict[UsageKey, Usage]

logger = logging.getLogger(__name__)


class UsageWriter:
    """Writes a process's totals from a thread of its own."""

    def __init__(self, engine: Engine, counts: UsageCounts, interval_seconds: float) -> None:
        self._engine = engine
        self._counts = counts
        self._interval = interval_seconds
        self._stopped = threading.Event()
        self._writing = threading.Lock()
        self._is_cut_off = False
        # requests, by why they are
        self._lost: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def close(self) -> None:
        """Write what is left, and end the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=WRITE_SECONDS)
        tally.flush()
        self.write(LAST_WRITE_SECONDS)
        self._tell_loss()

    def write(self, seconds: float = WRITE_SECONDS) -> bool:
        """Write the totals that have grown, those that wait longest first; whether all are."""
        with self._writing:
            try:
                with deadline.within(seconds):
                    self._write_all()
            except (DBAPIError, PoolTimeoutError, DomainError) as error:
                if not self._is_cut_off:
                    logger.warning("usage is not written, it waits: %s", describe(error))
                self._is_cut_off = True
                return False
            finally:
                self._counts.let_go()
            self._is_cut_off = False
        return True

    def _write_all(self) -> None:
        is_any_written = False
        try:
            for batch in _batches(self._counts.unwritten()):
                self._write_batch(batch)
                is_any_written = True
        except DBAPIError:
            # the first had all the time there is: the others come before it the next time
            if not is_any_written:
                self._counts.postpone(batch)
            raise
        finally:
            if is_any_written:
                self._tell_loss()

    def _write_batch(self, batch: Batch) -> None:
        try:
            late_hours = self._send(batch)
        except REFUSED_VALUES as error:
            self._take_apart(batch, error)
            return
        late = {place: total for place, total in batch.items() if place.hour in late_hours}
        self._counts.written({p: total for p, total in batch.items() if p not in late})
        self._lost[TOO_LATE] += self._counts.give_up(late)

    def _take_apart(self, batch: Batch, error: DBAPIError) -> None:
        """Write by halves what Postgres refused as a whole, down to the totals it refuses."""
        entries = list(batch.items())
        if len(entries) == 1:
            ((place, _),) = entries
            reason = f"Postgres refuses it of tenant {UUID(int=place.tenant)}: {describe(error)}"
            self._lost[reason] += self._counts.give_up(batch)
            return
        middle = len(entries) // 2
        for half in (entries[:middle], entries[middle:]):
            self._write_batch(dict(half))

    def _send(self, batch: Batch) -> set[datetime]:
        """Write all of it or nothing; the hours that are over for so long that theirs is not."""
        answers = run_for_tenants(
            self._engine,
            [
                _statement(UUID(int=tenant), dict(totals))
                for tenant, totals in groupby(batch.items(), lambda entry: entry[0].tenant)
            ],
        )
        return {row.hour for rows in answers for row in rows}

    def _tell_loss(self) -> None:
        self._lost[NO_ROOM] += self._counts.take_lost_requests()
        for reason, requests in (+self._lost).items():
            logger.error("usage of %d requests is lost: %s", requests, reason)
        self._lost.clear()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self.write()
            except Exception:
                logger.exception("usage could not be written, it waits")


def _batches(totals: dict[UsageKey, Usage]) -> Iterator[Batch]:
    """All totals, in the order of the first of each tenant."""
    by_tenant: defaultdict[int, dict[UsageKey, Usage]] = defaultdict(dict)
    for place, total in totals.items():
        by_tenant[place.tenant][place] = total
    batch: Batch = {}
    for theirs in by_tenant.values():
        batch |= theirs
        if len(batch) >= BATCH_TOTALS:
            yield batch
            batch = {}
    if batch:
        yield batch


def _statement(tenant_id: UUID, totals: Batch) -> tuple[UUID, Statement]:
    values = {
        "tenant_id": tenant_id,
        "writable": WRITABLE,
        "totals": encode_json([_row(*entry) for entry in totals.items()]),
    }
    return tenant_id, Statement(WRITE, values)


def _row(place: UsageKey, total: Usage) -> dict[str, Any]:
    return {
        "hour": format_instant(place.hour),
        "process_id": UUID(int=place.process),
        "method": place.method,
        "route": place.route,
        "status_class": place.status_class,
        **total._asdict(),
    }
