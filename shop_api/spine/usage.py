"""What a process counted of its tenants' requests, written to Postgres: totals, and so exactly.

Belongs here: when they are written, and how. Does not: counting (metrics/usage.py), the facts made
of them (pipelines). A total is written over the one before, so that one whose commit was not
answered is written again without counting twice. A process that is killed takes with it what it
counted since it wrote last.
"""

import logging
import threading
from collections import defaultdict
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.deadlines import deadline
from shop_api.db.json import encode_json
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.clock import format_instant
from shop_api.kernel.errors import DomainError
from shop_api.metrics.tally import tally
from shop_api.metrics.usage import Usage, UsageCounts, UsageKey

# For all tenants of one time; what is not written by then is with the next.
WRITE_SECONDS = 5.0
# At the end of a process, which has other things to end too.
LAST_WRITE_SECONDS = 2.0

WRITE = """
INSERT INTO api_usage (tenant_id, hour, method, route, status_class, process_id, requests, refusals,
    cache_hits, request_bytes, response_bytes, duration_microseconds)
SELECT %(tenant_id)s, hour, method, route, status_class, %(process_id)s, requests, refusals,
    cache_hits, request_bytes, response_bytes, duration_microseconds
FROM jsonb_to_recordset(%(totals)s::jsonb) AS t (hour timestamptz, method text, route text,
    status_class text, requests bigint, refusals bigint, cache_hits bigint, request_bytes bigint,
    response_bytes bigint, duration_microseconds bigint)
ON CONFLICT (tenant_id, hour, method, route, status_class, process_id) DO UPDATE SET
    requests = excluded.requests, refusals = excluded.refusals, cache_hits = excluded.cache_hits,
    request_bytes = excluded.request_bytes, response_bytes = excluded.response_bytes,
    duration_microseconds = excluded.duration_microseconds, xid = excluded.xid
"""

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

    def write(self, seconds: float = WRITE_SECONDS) -> bool:
        """Write all totals that have grown, a tenant at a time; whether that went well."""
        by_tenant: defaultdict[UUID, dict[UsageKey, Usage]] = defaultdict(dict)
        with self._writing:
            for place, total in self._counts.unwritten().items():
                by_tenant[place.tenant_id][place] = total
            try:
                with deadline.within(seconds):
                    for tenant_id, totals in by_tenant.items():
                        self._write_tenant(tenant_id, totals)
            except (DBAPIError, PoolTimeoutError, DomainError) as error:
                if not self._is_cut_off:
                    logger.warning("usage is not written, it waits: %s", type(error).__name__)
                self._is_cut_off = True
                return False
        self._is_cut_off = False
        return True

    def _write_tenant(self, tenant_id: UUID, totals: dict[UsageKey, Usage]) -> None:
        statement = Statement(
            WRITE,
            {
                "tenant_id": tenant_id,
                "process_id": self._counts.process_id,
                "totals": encode_json([_row(*entry) for entry in totals.items()]),
            },
        )
        with tenant_session(self._engine, tenant_id, first=(statement,)):
            pass
        self._counts.written(totals)

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self.write()
            except Exception:
                logger.exception("usage could not be written, it waits")


def _row(place: UsageKey, total: Usage) -> dict[str, Any]:
    row = {**place._asdict(), **total._asdict(), "hour": format_instant(place.hour)}
    del row["tenant"]
    return row
