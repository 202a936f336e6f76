"""One run that writes the lake: lock, record, work, commit, publish, tell.

Belongs here: the order of these steps, which makes a crash at any of them harmless. Does not: the
work (incremental.py, rebuild.py, compaction.py) and when it runs (schedule.py).

Until the publishing row commits, readers stay on the snapshot before. A run that died leaves at
most Delta commits nobody reads; the next run takes them back and starts from the published state.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import polars as pl
from sqlalchemy import Connection

from analytics.lake import Snapshot
from pipelines.changeset import Changeset, begin
from pipelines.context import LakeContext
from pipelines.incremental import apply_changes
from pipelines.isolation import apart, apply_apart, refusals
from pipelines.mending import apply_mending
from pipelines.rebuild import rebuild_tenants
from pipelines.sinks import quarantine, run_record
from pipelines.sinks.delta import UnusableTableError
from pipelines.sinks.manifests import Changed
from pipelines.sinks.publication import (
    Published,
    advance,
    newest,
    publish,
    try_writer_lock,
    writer_lock,
)
from pipelines.sources.reader import Reader, one_instant
from pipelines.sources.spine import (
    Position,
    changes,
    is_any_unseen,
    oldest_wait_seconds,
    position,
)
from pipelines.sources.tenants import read_tenants
from shop_api.metrics.definitions import pipeline_as_of, pipeline_held_tenants

EXPORT = "lake_export"
REBUILD = "lake_rebuild"
# When nothing happens, the snapshot is still confirmed this often: `as_of` moves on.
CONFIRM_AFTER = timedelta(seconds=30)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `busy`: another worker writes the lake. `idle`: there was nothing to do."""

    state: Literal["published", "idle", "busy"]
    # what was published, or what stands
    snapshot: Snapshot | None = None
    tenant_ids: frozenset[UUID] = frozenset()
    # by table
    rows_written: dict[str, int] = field(default_factory=dict)


def run_export(context: LakeContext, now: datetime, *, waits: bool = False) -> Outcome:
    """Bring the lake up to the present instant: by what changed, or anew when that is not known.

    While another process writes the lake it is busy; one that waits has its turn after that.
    """
    with context.engine.connect() as connection:
        published = newest(connection)
        if (
            published is not None
            and not _missing(context, published)
            and not _is_outdated(context)
            and context.manifests.tells(_snapshot(published))
            and not is_any_unseen(connection, published.position, CONFIRM_AFTER)
        ):
            return Outcome("idle", _snapshot(published))
    if waits:
        context.on_step("wait for who writes the lake")
    lock = writer_lock if waits else try_writer_lock
    with lock(context.engine) as held:
        if held is None:
            return Outcome("busy")
        with one_instant(context.engine) as reader:
            outcome = export_at(context, held, reader, now)
    tell(context, outcome, now)
    return outcome


def export_at(context: LakeContext, held: Connection, reader: Reader, now: datetime) -> Outcome:
    """Bring the lake to the reader's instant, holding the writer lock."""
    published = newest(held)
    here = position(reader)
    if published is None or published.position.system_identifier != here.system_identifier:
        return rebuild_at(context, held, reader, now, EXPORT)
    if missing := _missing(context, published):
        logger.warning("rebuilding the lake, which is without %s", ", ".join(missing))
        return rebuild_at(context, held, reader, now, EXPORT)
    held_back = quarantine.read(held)
    todo = quarantine.with_due(changes(reader, published.position.transactions), held_back, now)
    if todo.is_empty() and not _is_outdated(context):
        held.rollback()
        with held.begin():
            advance(held, published, here, len(held_back))
        snapshot = Snapshot(published.id, here.as_of, published.versions)
        _tell_lake(context, held, published, snapshot)
        return Outcome("idle", snapshot)

    def work() -> Changeset:
        def attempt(of: pl.DataFrame) -> Changeset:
            changeset = begin(context, published.versions, now)
            apply_changes(changeset, reader, of, context.month_rows)
            return changeset

        try:
            return apply_mending(
                lambda of: apply_apart(attempt, of, held_back.keys()),
                lambda: begin(context, published.versions, now).damaged_tenant_ids,
                todo,
            )
        except UnusableTableError as error:
            logger.warning("rebuilding the lake: %s", error)
            return _all_anew(context, reader, now, published)

    waited_seconds = oldest_wait_seconds(reader, published.position.transactions)
    return write(context, held, EXPORT, here, now, work, waited_seconds)


def _missing(context: LakeContext, published: Published) -> list[str]:
    """Tables that the published lake is without: it was written by a release that had none."""
    return sorted(context.tables.keys() - published.versions.keys())


def _is_outdated(context: LakeContext) -> bool:
    """Whether any table lacks columns of its contract."""
    return any(table.lacks_columns() for table in context.tables.values())


def run_rebuild(context: LakeContext, now: datetime) -> Outcome:
    """All tenants from nothing; waits for a run that is under way."""
    with writer_lock(context.engine) as held, one_instant(context.engine) as reader:
        outcome = rebuild_at(context, held, reader, now)
    tell(context, outcome, now)
    return outcome


def rebuild_at(
    context: LakeContext, held: Connection, reader: Reader, now: datetime, name: str = REBUILD
) -> Outcome:
    """The lake of the reader's instant from nothing, holding the writer lock."""
    here = position(reader)
    published = newest(held)
    if published is not None and published.position.system_identifier != here.system_identifier:
        published = None
    return write(context, held, name, here, now, lambda: _all_anew(context, reader, now, published))


def _all_anew(
    context: LakeContext, reader: Reader, now: datetime, published: Published | None
) -> Changeset:
    """All tenants from nothing; those whose data is refused stay as `published`, if they can."""
    with context.engine.connect() as connection:
        held_back = set(quarantine.read(connection))

    def all_but(refused: Collection[str]) -> Changeset:
        if refused:
            changeset = _begin_beside(context, now, published, refused)
        else:
            changeset = begin(context, None, now)
        rebuild_tenants(changeset, reader, None, context.month_rows, refused)
        return changeset

    def alone(tenant_id: str) -> Changeset:
        changeset = begin(context, None, now)
        rebuild_tenants(changeset, reader, [tenant_id], context.month_rows)
        return changeset

    changeset = apart(all_but, alone, read_tenants(reader, None).keys())
    changeset.released = held_back - changeset.refused.keys()
    return changeset


def _begin_beside(
    context: LakeContext, now: datetime, published: Published | None, refused: Collection[str]
) -> Changeset:
    """A changeset on what is published; where that is not to be had, on nothing of the refused."""
    if published is not None:
        try:
            return begin(context, published.versions, now)
        except UnusableTableError as error:
            logger.warning("nothing is left of the tenants that are refused: %s", error)
    changeset = begin(context, None, now)
    for tenant_id in refused:
        changeset.remove_tenant(tenant_id, keeps_others=True)
    return changeset


def write(
    context: LakeContext,
    held: Connection,
    name: str,
    here: Position,
    now: datetime,
    work: Callable[[], Changeset],
    waited_seconds: float | None = None,
) -> Outcome:
    """Do the work, commit its tables and publish them together; the hooks are told by `tell`.

    `waited_seconds`: how long the oldest of what the run takes in has waited for it; None: what it
    writes is of the position's instant.
    """
    published = newest(held)
    held.rollback()
    with _recorded(context, held, name, now) as run:
        context.on_step(name)
        of_figures = (now - here.as_of).total_seconds()
        run.waited_seconds = of_figures if waited_seconds is None else waited_seconds
        changeset = work()
        versions = changeset.commit(here.xid)
        context.on_step("publish")
        with held.begin():
            run.rows, run.shares = changeset.rows_written, changeset.shares
            run.error = refusals(changeset)
            stands = None if published is None else published.position.as_of
            held_tenants = quarantine.update(
                held, changeset.refused, changeset.released, stands, now
            )
            run_record.succeed(held, run)
            is_idle = (
                changeset.is_empty and published is not None and versions == published.versions
            )
            if published is not None and is_idle:
                advance(held, published, here, held_tenants)
                snapshot_id = published.id
            else:
                snapshot_id = publish(
                    held, published, versions, here, changeset.grains, held_tenants, now
                )
    pipeline_held_tenants.set(held_tenants)
    context.on_step("published")
    snapshot = Snapshot(snapshot_id, here.as_of, versions)
    _tell_lake(context, held, published, snapshot, changeset)
    if is_idle:
        return Outcome("idle", snapshot)
    return Outcome(
        "published",
        snapshot,
        frozenset(UUID(tenant_id) for tenant_id in changeset.tenant_ids),
        changeset.rows_written,
    )


def _tell_lake(
    context: LakeContext,
    held: Connection,
    before: Published | None,
    after: Snapshot,
    changeset: Changeset | None = None,
) -> None:
    """Let the lake itself tell of what is published, for who reads it without Postgres."""
    changed = Changed(set(), lambda *_: ()) if changeset is None else changeset.changed()
    if changeset is not None:
        # their files stay, and of when these are is told
        changed.tenant_ids.update(changeset.refused, changeset.released)
    context.manifests.follow(held, None if before is None else _snapshot(before), after, changed)


def tell(context: LakeContext, outcome: Outcome, now: datetime) -> None:
    """Count what a run did, and tell the hooks of its snapshot, when the lock and the reader's
    transaction have ended: a slow hook holds up neither the next run nor Postgres' cleaning up."""
    if outcome.snapshot is not None:
        pipeline_as_of.set(outcome.snapshot.as_of.timestamp())
    if outcome.state != "published" or outcome.snapshot is None:
        return
    for hook in context.after_publish:
        try:
            hook(outcome.tenant_ids, now)
        except Exception:
            # the snapshot stands; what follows from it is the hook's to repeat
            logger.exception("after publishing lake snapshot %s", outcome.snapshot.id)


@contextmanager
def _recorded(
    context: LakeContext, held: Connection, name: str, now: datetime
) -> Iterator[run_record.Run]:
    """A run on record; when it fails, the tables are read anew next time."""
    with run_record.recorded(held, name, now) as run:
        try:
            yield run
        except BaseException:
            # nothing of it is published
            run.undo()
            for table in context.tables.values():
                table.forget()
            raise


def _snapshot(published: Published) -> Snapshot:
    return Snapshot(published.id, published.position.as_of, published.versions)
