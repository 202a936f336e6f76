"""Runs on record: what started when, what it wrote of whom, how far behind it was, why it failed.

Belongs here: pipeline_runs with the share each tenant has in a run, and the metrics of runs. Does
not: running (runner.py).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, delete, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from pipelines.checks.failure import without_values
from shop_api.db.outages import describe
from shop_api.kernel.ids import new_id
from shop_api.metrics.definitions import (
    pipeline_lag,
    pipeline_rows,
    pipeline_run_duration,
    pipeline_runs_ended,
    pipeline_written_bytes,
)
from shop_api.models import lake_outages, lake_snapshots, pipeline_run_shares, pipeline_runs

ERROR_CHARACTERS = 2000
RECORDS_KEPT = timedelta(days=7)
# Of one tenant; a shop that sells all the time has a share in each run, 300 000 a week. These are
# of its last three hours then, in 0.7 MB; between two runs of the housekeeping 450 more come.
SHARES_KEPT = 5_000
# Of the tenants with a share since then: the housekeeping comes each quarter of an hour, and has
# seen to the others.
NEW_SHARES = timedelta(hours=1)
FORGET_SHARES = """
DELETE FROM pipeline_run_shares s USING (
    SELECT DISTINCT tenant_id FROM pipeline_run_shares WHERE started_at >= :new_since
) t CROSS JOIN LATERAL (
    SELECT o.started_at, o.run_id FROM pipeline_run_shares o WHERE o.tenant_id = t.tenant_id
    ORDER BY o.started_at DESC, o.run_id DESC OFFSET :kept
) over
WHERE (s.tenant_id, s.started_at, s.run_id) = (t.tenant_id, over.started_at, over.run_id)
"""


@dataclass(frozen=True)
class LastRun:
    """How a run ended; `attempt` counts from 1 and grows while runs fail in a row."""

    state: str
    attempt: int
    started_at: datetime


@dataclass(slots=True)
class Share:
    """What a run did of one tenant: what it wrote, or that it refused the tenant's data."""

    rows: int = 0
    size_bytes: int = 0
    files: int = 0
    state: Literal["succeeded", "refused", "failed"] = "succeeded"


@dataclass(slots=True)
class Run:
    """A run that goes on, and what there is to record of it at its end."""

    id: UUID
    name: str
    started_at: datetime
    # of the monotonic clock: `started_at` is what the run was told
    began: float
    # how long the oldest of what it takes in had waited when it began
    waited_seconds: float = 0.0
    # by table
    rows: dict[str, int] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    # what it had to leave out, in words for who runs the product
    error: str | None = None

    @property
    def duration(self) -> timedelta:
        """For how long it has run."""
        return timedelta(seconds=time.monotonic() - self.began)

    @property
    def lag(self) -> timedelta:
        """From the oldest of what it took in to the present."""
        return timedelta(seconds=max(0.0, self.waited_seconds)) + self.duration

    def undo(self) -> None:
        """All that it did is undone."""
        self.rows = {}
        self.shares = {tenant_id: Share(state="failed") for tenant_id in self.shares}

    def share(self, tenant_id: str) -> Share:
        """The share of a tenant, which it has from now on."""
        return self.shares.setdefault(tenant_id, Share())

    @property
    def counts(self) -> dict[str, int]:
        """Rows by table, and how many tenants were refused, if any."""
        refused = sum(share.state == "refused" for share in self.shares.values())
        return self.rows | ({"refused_tenants": refused} if refused else {})


def start(connection: Connection, name: str, now: datetime) -> Run:
    """Record a run as begun, and one that never ended as failed."""
    began = time.monotonic()
    columns = pipeline_runs.c
    connection.execute(
        update(pipeline_runs)
        .where(columns.name == name, columns.state == "running")
        .values(state="failed", error="interrupted", finished_at=now)
    )
    last = last_run(connection, name)
    attempt = last.attempt + 1 if last is not None and last.state == "failed" else 1
    run = Run(new_id(now), name, now, began)
    connection.execute(
        insert(pipeline_runs).values(
            id=run.id, name=name, state="running", attempt=attempt, started_at=now
        )
    )
    connection.commit()
    return run


def last_run(connection: Connection, name: str) -> LastRun | None:
    """The last run called `name`."""
    columns = pipeline_runs.c
    row = connection.execute(
        select(columns.state, columns.attempt, columns.started_at)
        .where(columns.name == name)
        .order_by(columns.number.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else LastRun(row.state, row.attempt, row.started_at)


def succeed(connection: Connection, run: Run) -> None:
    """In the open transaction: record the run as done."""
    _end(connection, run, "succeeded", run.error)


def fail(connection: Connection, run: Run, error: BaseException) -> None:
    """Record why the run ended."""
    is_of_store = isinstance(error, (SQLAlchemyError, psycopg.Error))
    told = without_values(error)
    text = describe(error) if is_of_store else f"{type(error).__name__}: {told}"
    connection.rollback()
    _end(connection, run, "failed", text)
    connection.commit()


def _end(connection: Connection, run: Run, state: str, error: str | None) -> None:
    shares = run.shares.values()
    duration = run.duration
    values: dict[str, Any] = {
        "state": state,
        "counts": run.counts,
        "rows_written": sum(share.rows for share in shares),
        "bytes_written": sum(share.size_bytes for share in shares),
        "files_written": sum(share.files for share in shares),
        "lag_microseconds": run.lag // timedelta(microseconds=1),
        "duration_microseconds": duration // timedelta(microseconds=1),
        "error": None if error is None else error[:ERROR_CHARACTERS],
        "finished_at": run.started_at + duration,
    }
    connection.execute(update(pipeline_runs).where(pipeline_runs.c.id == run.id).values(**values))
    if run.shares:
        connection.execute(
            insert(pipeline_run_shares),
            [
                {
                    "tenant_id": UUID(tenant_id),
                    "run_id": run.id,
                    "started_at": run.started_at,
                    "state": share.state,
                    "rows_written": share.rows,
                    "bytes_written": share.size_bytes,
                    "files_written": share.files,
                }
                for tenant_id, share in run.shares.items()
            ],
        )


@contextmanager
def recorded(connection: Connection, name: str, now: datetime) -> Iterator[Run]:
    """A run on record. The block ends it with `succeed`; if it raises, the run has failed."""
    run = start(connection, name, now)
    try:
        yield run
    except BaseException as error:
        fail(connection, run, error)
        pipeline_runs_ended.labels(name, "failed").inc()
        raise
    pipeline_runs_ended.labels(name, "succeeded").inc()
    pipeline_run_duration.labels(name).observe(run.duration.total_seconds())
    pipeline_lag.labels(name).observe(run.lag.total_seconds())
    pipeline_written_bytes.labels(name).inc(sum(share.size_bytes for share in run.shares.values()))
    for table, count in run.rows.items():
        pipeline_rows.labels(name, table).inc(count)


@contextmanager
def job_recorded(engine: Engine, name: str, now: datetime, as_of: datetime) -> Iterator[Run]:
    """A run on record that writes by other transactions, from figures as of that instant."""
    with engine.connect() as connection, recorded(connection, name, now) as run:
        run.waited_seconds = (now - as_of).total_seconds()
        yield run
        succeed(connection, run)
        connection.commit()


def forget_old(connection: Connection, now: datetime) -> None:
    """Delete records, snapshots and outages that nobody reads any more; the newest of each stay,
    and of each tenant's shares as many as are kept."""
    oldest = now - RECORDS_KEPT
    for table, order, moment in (
        (pipeline_runs, pipeline_runs.c.number, pipeline_runs.c.started_at),
        (lake_snapshots, lake_snapshots.c.id, lake_snapshots.c.created_at),
        (lake_outages, lake_outages.c.id, lake_outages.c.ended_at),
    ):
        newest = select(order).order_by(order.desc()).limit(1).scalar_subquery()
        connection.execute(delete(table).where(moment < oldest, order < newest))
    connection.execute(delete(pipeline_run_shares).where(pipeline_run_shares.c.started_at < oldest))
    over = {"kept": SHARES_KEPT, "new_since": now - NEW_SHARES}
    connection.execute(text(FORGET_SHARES), over)
    connection.commit()
