"""Runs on record: what started when, what it wrote, why it failed.

Belongs here: pipeline_runs. Does not: running (runner.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from shop_api.db.outages import describe
from shop_api.models import lake_snapshots, pipeline_runs

ERROR_CHARACTERS = 2000
RECORDS_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class LastRun:
    """How a run ended; `attempt` counts from 1 and grows while runs fail in a row."""

    state: str
    attempt: int
    finished_at: datetime | None


def start(connection: Connection, name: str, now: datetime) -> int:
    """Record a run as begun, and one that never ended as failed."""
    columns = pipeline_runs.c
    connection.execute(
        update(pipeline_runs)
        .where(columns.name == name, columns.state == "running")
        .values(state="failed", error="interrupted", finished_at=now)
    )
    last = last_run(connection, name)
    attempt = last.attempt + 1 if last is not None and last.state == "failed" else 1
    run_id = connection.execute(
        insert(pipeline_runs)
        .values(name=name, state="running", attempt=attempt, started_at=now)
        .returning(columns.id)
    ).scalar_one()
    connection.commit()
    return int(run_id)


def last_run(connection: Connection, name: str) -> LastRun | None:
    """The last run called `name`."""
    columns = pipeline_runs.c
    row = connection.execute(
        select(columns.state, columns.attempt, columns.finished_at)
        .where(columns.name == name)
        .order_by(columns.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else LastRun(row.state, row.attempt, row.finished_at)


def succeed(
    connection: Connection,
    run_id: int,
    counts: Mapping[str, int],
    now: datetime,
    error: str | None = None,
) -> None:
    """In the open transaction: record the run as done; `error` tells what it had to leave out."""
    text = None if error is None else error[:ERROR_CHARACTERS]
    connection.execute(
        update(pipeline_runs)
        .where(pipeline_runs.c.id == run_id)
        .values(state="succeeded", counts=dict(counts), error=text, finished_at=now)
    )


def fail(connection: Connection, run_id: int, error: BaseException, now: datetime) -> None:
    """Record why the run ended."""
    is_of_store = isinstance(error, (SQLAlchemyError, psycopg.Error))
    text = describe(error) if is_of_store else f"{type(error).__name__}: {error}"
    connection.rollback()
    connection.execute(
        update(pipeline_runs)
        .where(pipeline_runs.c.id == run_id)
        .values(state="failed", error=text[:ERROR_CHARACTERS], finished_at=now)
    )
    connection.commit()


def forget_old(connection: Connection, now: datetime) -> None:
    """Delete records and snapshots that nobody reads any more; the newest of both stay."""
    for table, moment in (
        (pipeline_runs, pipeline_runs.c.started_at),
        (lake_snapshots, lake_snapshots.c.created_at),
    ):
        newest_id = select(table.c.id).order_by(table.c.id.desc()).limit(1).scalar_subquery()
        connection.execute(delete(table).where(moment < now - RECORDS_KEPT, table.c.id < newest_id))
    connection.commit()
