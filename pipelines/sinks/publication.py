"""The row that publishes a snapshot, and the lock under which alone the lake is written.

Belongs here: lake_snapshots, lake_partitions, the advisory lock. Does not: Delta commits
(delta.py).

A snapshot is published on the connection that holds the lock, so a worker that lost its connection,
and with it the lock, cannot publish.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError

from pipelines.frames import Grain
from pipelines.sources.spine import Position
from shop_api.db.outages import describe
from shop_api.models import lake_partitions, lake_snapshots

# Key of the advisory lock: "lake" in ASCII.
LOCK_KEY = 0x6C616B65
# Readers LISTEN here; the payload is the snapshot's id.
CHANNEL = "lake"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """The newest snapshot: what readers see."""

    id: int
    versions: Mapping[str, int]
    position: Position


class LockLostError(Exception):
    """Another worker published meanwhile: this run's snapshot is not the next one."""


@contextmanager
def try_writer_lock(engine: Engine) -> Iterator[Connection | None]:
    """The connection that holds the lake's lock; None while another holds it."""
    with engine.connect() as connection:
        statement = text("SELECT pg_try_advisory_lock(:key)")
        is_held = connection.execute(statement, {"key": LOCK_KEY}).scalar()
        connection.commit()
        try:
            yield connection if is_held else None
        finally:
            _let_go(connection)


@contextmanager
def writer_lock(engine: Engine) -> Iterator[Connection]:
    """The same, waiting while another holds it."""
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        connection.commit()
        try:
            yield connection
        finally:
            _let_go(connection)


def _let_go(connection: Connection) -> None:
    """Give the lock back, then close the connection for good.

    With the connection alone the lock would go only when its server process has noticed, some
    milliseconds later: a run that comes next would find the lake busy.
    """
    try:
        if not connection.invalidated:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
    except DBAPIError as error:
        logger.warning("the lake's lock goes with its connection: %s", describe(error))
    finally:
        connection.invalidate()


def newest(connection: Connection) -> Published | None:
    """The newest snapshot, None when nothing was ever published."""
    columns = lake_snapshots.c
    row = connection.execute(
        select(
            columns.id,
            columns.versions,
            columns.xid,
            columns.transactions,
            columns.system_identifier,
            columns.as_of,
        )
        .order_by(columns.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    position = Position(row.xid, row.transactions, row.system_identifier, row.as_of)
    return Published(row.id, row.versions, position)


def publish(
    connection: Connection,
    previous: Published | None,
    versions: Mapping[str, int],
    position: Position,
    grains: Mapping[str, Grain],
    held_tenants: int,
    now: datetime,
) -> int:
    """In the open transaction: make `versions` the lake that readers see; answers its id.

    `held_tenants`: how many are in quarantine.
    """
    current = newest(connection)
    if (current and current.id) != (previous and previous.id):
        raise LockLostError(f"snapshot {current and current.id} was published meanwhile")
    snapshot_id = connection.execute(
        insert(lake_snapshots)
        .values(
            as_of=position.as_of,
            versions=dict(versions),
            xid=position.xid,
            transactions=position.transactions,
            system_identifier=position.system_identifier,
            held_tenants=held_tenants,
        )
        .returning(lake_snapshots.c.id)
    ).scalar_one()
    if grains:
        statement = upsert(lake_partitions).values(
            [{"tenant_id": t, "grain": grain, "updated_at": now} for t, grain in grains.items()]
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id"],
                set_={"grain": statement.excluded.grain, "updated_at": now},
            )
        )
    connection.execute(
        text("SELECT pg_notify(:channel, :payload)"),
        {"channel": CHANNEL, "payload": str(snapshot_id)},
    )
    return int(snapshot_id)


def advance(
    connection: Connection, published: Published, position: Position, held_tenants: int
) -> None:
    """In the open transaction: the same snapshot holds at a later instant, no file changed."""
    connection.execute(
        update(lake_snapshots)
        .where(lake_snapshots.c.id == published.id)
        .values(
            as_of=position.as_of,
            xid=position.xid,
            transactions=position.transactions,
            system_identifier=position.system_identifier,
            held_tenants=held_tenants,
        )
    )
