"""The journal of an import: its row in `jobs`, which says how far it came and who holds it.

Belongs here: starting, resuming, renewing and finishing a job, and its rejects. Does not: the work
(importer.py) and asking for it over HTTP (domains/imports).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shop_api.bulk.fields import ENTITIES, WRITTEN_ALONE
from shop_api.bulk.rejects import RejectLog
from shop_api.db.outages import describe
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.clock import utc_now
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import Origin, UnitOfWork, unit_of_work
from shop_api.spine.waker import Waker

# Imports that run in the process that asked for them, and go on when they are asked for again.
FOLDER_IMPORT = "folder_import"
DEMO_SHOP = "demo_shop"
LOCAL_KINDS = (FOLDER_IMPORT, DEMO_SHOP)
LEASE_SECONDS = 60.0
RENEWAL_SECONDS = 5.0
STOP_POLL_SECONDS = 0.2
# what does not end of itself in this time is interrupted
STOP_GRACE_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far an import is: the step, the rows done in it, and the whole from 0 to 1."""

    step: str
    row_count: int
    ratio: float


class ImportCancelled(Exception):
    """Somebody asked for the import to stop; what it wrote stays."""


class ImportHandedOver(Exception):
    """The process is to end; another goes on after the last batch."""


@dataclass
class EntityCounts:
    """Rows of one entity; those refused are the reject log's."""

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0


Counts = dict[str, EntityCounts]


@dataclass
class Checkpoint:
    """What is written already: for each phase the place of its last row, and the counts so far."""

    position: dict[str, str] = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)
    # how often the job was taken up since it last got on
    attempts: int = 0


@dataclass
class Journal:
    """A job that is being worked on. `listener` hears of progress, for a terminal; `stopping` is
    set when the process is to end. No worker takes up a job that `is_local` when it breaks off."""

    engine: Engine
    waker: Waker
    origin: Origin
    job_id: UUID
    checkpoint: Checkpoint
    listener: Callable[[Progress], None] | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    is_local: bool = False
    is_closed: bool = False
    ratio: float = 0.0
    # of this run; None while those of a run before may be listed
    _listed_count: int | None = None
    _is_cancelled: threading.Event = field(default_factory=threading.Event)

    def save(
        self, work: UnitOfWork, phase: str, place: str, counts: Counts, rejects: RejectLog
    ) -> None:
        """Keep how far the import came and what it refused, in the batch's own transaction."""
        position = {**self.checkpoint.position, phase: place}
        self.checkpoint = Checkpoint(position, counts)
        work.connection.exec_driver_sql(
            "UPDATE jobs SET checkpoint = %(checkpoint)s, counts = %(counts)s,"
            " version = version + 1, progress_ratio = %(ratio)s, updated_at = %(now)s"
            " WHERE tenant_id = %(tenant_id)s AND id = %(job_id)s",
            {
                "checkpoint": _json(asdict(self.checkpoint)),
                "counts": _json(tell_counts(counts, rejects)),
                "ratio": round(self.ratio, 4),
                "now": utc_now(),
                "tenant_id": self.origin.tenant_id,
                "job_id": self.job_id,
            },
        )
        if self._listed_count is None:
            _delete_of_job(work, "job_rejects", self.job_id)
            self._listed_count = 0
        _write_rejects(work, self.job_id, rejects, self._listed_count)
        self._listed_count = len(rejects.kept)

    def report(self, progress: Progress) -> None:
        """Take note of progress; raises as `require_going_on`."""
        self.ratio = max(self.ratio, min(progress.ratio, 1.0))
        if self.listener:
            self.listener(progress)
        self.require_going_on()

    def require_going_on(self) -> None:
        """Raise ImportCancelled or ImportHandedOver when somebody asked for it."""
        if self._is_cancelled.is_set():
            raise ImportCancelled
        if self.stopping.is_set():
            raise ImportHandedOver

    @contextmanager
    def held(self, interrupt: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Renew the lease from a thread for as long as the block runs.

        A block that does not end of itself when `stopping` is set is interrupted.
        """
        ended = threading.Event()
        thread = threading.Thread(
            target=self._hold, args=(ended, interrupt), name="lease", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _hold(self, ended: threading.Event, interrupt: Callable[[], None]) -> None:
        renewed = time.monotonic()
        while not ended.wait(min(STOP_POLL_SECONDS, RENEWAL_SECONDS)):
            if self.stopping.is_set() and not ended.wait(STOP_GRACE_SECONDS):
                interrupt()
            if time.monotonic() >= renewed + RENEWAL_SECONDS:
                self._renew()
                renewed = time.monotonic()

    def _renew(self) -> None:
        try:
            with tenant_session(self.engine, self.origin.tenant_id) as session:
                row = session.connection.exec_driver_sql(
                    "UPDATE jobs SET lease_until = %s, progress_ratio = %s"
                    " WHERE tenant_id = %s AND id = %s RETURNING is_cancel_requested",
                    (
                        utc_now() + timedelta(seconds=LEASE_SECONDS),
                        round(self.ratio, 4),
                        self.origin.tenant_id,
                        self.job_id,
                    ),
                ).one()
        except DBAPIError as error:
            logger.warning("cannot renew the lease of job %s: %s", self.job_id, describe(error))
            return
        if row.is_cancel_requested:
            self._is_cancelled.set()

    def finish(self, state: str, counts: Counts, rejects: RejectLog, error: str | None) -> None:
        """Close the job: its state, counts and rejects, and its event."""
        now = utc_now()
        origin = Origin(self.origin.tenant_id, self.origin.actor, self.origin.request_id, now)
        plain = tell_counts(counts, rejects)
        with unit_of_work(self.engine, self.waker, origin) as work:
            work.connection.exec_driver_sql(
                "UPDATE jobs SET state = %(state)s, counts = %(counts)s, error = %(error)s,"
                " finished_at = %(now)s, updated_at = %(now)s, lease_until = NULL,"
                " version = version + 1,"
                " progress_ratio = CASE WHEN %(state)s = 'succeeded' THEN 1 ELSE progress_ratio END"
                " WHERE tenant_id = %(tenant_id)s AND id = %(job_id)s",
                {
                    "tenant_id": origin.tenant_id,
                    "job_id": self.job_id,
                    "state": state,
                    "counts": _json(plain),
                    "error": error,
                    "now": now,
                },
            )
            for table in ("job_files", "job_rejects"):
                _delete_of_job(work, table, self.job_id)
            _write_rejects(work, self.job_id, rejects, 0)
            data = {"job_id": str(self.job_id), "state": state, "counts": plain}
            work.append("import_finished", "job", self.job_id, data)
            work.audit(
                "import_finished", "job", self.job_id, {"state": "running"}, {"state": state}
            )
        self.is_closed = True


def tell_counts(counts: Counts, rejects: RejectLog) -> dict[str, dict[str, int | None]]:
    """The counts as a job and the command line show them, with the rows refused so far.

    What is written of an entity that goes with its product or order is not counted: None.
    """
    told: dict[str, dict[str, int | None]] = {}
    for name in ENTITIES:
        if name in counts or name in rejects.counts:
            told[name] = dict(asdict(counts.get(name, EntityCounts())))
            told[name]["rejected"] = rejects.counts.get(name, 0)
            if name not in WRITTEN_ALONE:
                told[name] |= dict.fromkeys(("created", "updated", "unchanged"))
    return told


def _delete_of_job(work: UnitOfWork, table: str, job_id: UUID) -> None:
    work.connection.exec_driver_sql(
        f"DELETE FROM {table} WHERE tenant_id = %s AND job_id = %s", (work.tenant_id, job_id)
    )


def _write_rejects(work: UnitOfWork, job_id: UUID, rejects: RejectLog, listed_count: int) -> None:
    """Append the rejects after the first `listed_count` to the job's."""
    new = rejects.kept[listed_count:]
    if new:
        work.connection.exec_driver_sql(
            'INSERT INTO job_rejects (tenant_id, job_id, position, file, row, "column", reason)'
            " SELECT %s, %s, %s + r.position, r.file, r.row, r.col, r.reason"
            " FROM unnest(%s::text[], %s::int[], %s::text[], %s::text[]) WITH ORDINALITY"
            " AS r (file, row, col, reason, position)",
            (
                work.tenant_id,
                job_id,
                listed_count,
                [reject.file for reject in new],
                [reject.row for reject in new],
                [reject.column for reject in new],
                [reject.reason for reject in new],
            ),
        )


def open_local_job(
    engine: Engine,
    waker: Waker,
    origin: Origin,
    kind: str,
    params: dict[str, Any],
    listener: Callable[[Progress], None] | None = None,
) -> Journal:
    """A job of this process for the same `params`: the one that was cut short, or a new one."""
    with unit_of_work(engine, waker, origin) as work:
        row = work.connection.exec_driver_sql(
            "UPDATE jobs SET state = 'running', error = NULL, lease_until = %(lease)s,"
            " finished_at = NULL, is_cancel_requested = false, version = version + 1,"
            " updated_at = %(now)s"
            " WHERE tenant_id = %(tenant_id)s AND id = (SELECT id FROM jobs"
            "   WHERE tenant_id = %(tenant_id)s AND kind = %(kind)s AND params = %(params)s::jsonb"
            "   AND state IN ('running', 'failed') ORDER BY created_at DESC, id DESC LIMIT 1)"
            " RETURNING id, checkpoint",
            {
                "tenant_id": origin.tenant_id,
                "kind": kind,
                "params": _json(params),
                "lease": origin.now + timedelta(seconds=LEASE_SECONDS),
                "now": origin.now,
            },
        ).first()
        job_id = row.id if row else insert_job(work, kind, params, state="running")
    checkpoint = read_checkpoint(row.checkpoint if row else {})
    return Journal(engine, waker, origin, job_id, checkpoint, listener, is_local=True)


def insert_job(work: UnitOfWork, kind: str, params: dict[str, Any], *, state: str) -> UUID:
    """A new job, waiting (`queued`) or in hand (`running`)."""
    job_id = new_id(work.now)
    is_running = state == "running"
    work.connection.exec_driver_sql(
        "INSERT INTO jobs (tenant_id, id, kind, state, params, actor, request_id, lease_until,"
        " started_at, created_at, updated_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            work.tenant_id,
            job_id,
            kind,
            state,
            _json(params),
            work.origin.actor,
            work.origin.request_id,
            work.now + timedelta(seconds=LEASE_SECONDS) if is_running else None,
            work.now if is_running else None,
            work.now,
            work.now,
        ),
    )
    work.audit("job_created", "job", job_id, None, {"kind": kind, "state": state})
    return job_id


def read_checkpoint(value: dict[str, Any]) -> Checkpoint:
    """The checkpoint kept in a job's row."""
    return msgspec.convert(value, Checkpoint)


def claim_job(
    engine: Engine, tenant_id: UUID, job_id: UUID, now: datetime
) -> dict[str, Any] | None:
    """Take a job that waits, or whose holder fell silent; None when another was quicker."""
    with tenant_session(engine, tenant_id) as session:
        row = session.connection.exec_driver_sql(
            "UPDATE jobs SET state = 'running', lease_until = %(lease)s, updated_at = %(now)s,"
            " started_at = COALESCE(started_at, %(now)s), version = version + 1, checkpoint ="
            " checkpoint || jsonb_build_object('attempts',"
            "   COALESCE((checkpoint->>'attempts')::int, 0) + 1)"
            " WHERE tenant_id = %(tenant_id)s AND id = (SELECT id FROM jobs"
            "   WHERE tenant_id = %(tenant_id)s AND id = %(job_id)s AND (state = 'queued'"
            "     OR state = 'running' AND lease_until < %(now)s) FOR UPDATE SKIP LOCKED)"
            " RETURNING params, checkpoint, actor, request_id",
            {
                "tenant_id": tenant_id,
                "job_id": job_id,
                "now": now,
                "lease": now + timedelta(seconds=LEASE_SECONDS),
            },
        ).first()
    return None if row is None else dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


# the checkpoint of a job whose last attempt is not counted
NO_ATTEMPT = (
    "checkpoint || jsonb_build_object("
    "'attempts', GREATEST(COALESCE((checkpoint->>'attempts')::int, 0) - 1, 0))"
)


def release_job(engine: Engine, tenant_id: UUID, job_id: UUID, retry_at: datetime) -> None:
    """Give a claimed job back, to be taken again from `retry_at` on: waiting is no attempt."""
    with tenant_session(engine, tenant_id) as session:
        session.connection.exec_driver_sql(
            f"UPDATE jobs SET lease_until = %s, checkpoint = {NO_ATTEMPT}"
            " WHERE tenant_id = %s AND id = %s",
            (retry_at, tenant_id, job_id),
        )


def hand_over_job(engine: Engine, tenant_id: UUID, job_id: UUID) -> None:
    """Put a claimed job back among those that wait: another worker goes on after its last batch."""
    with tenant_session(engine, tenant_id) as session:
        session.connection.exec_driver_sql(
            "UPDATE jobs SET state = 'queued', lease_until = NULL, updated_at = %s,"
            f" version = version + 1, checkpoint = {NO_ATTEMPT}"
            " WHERE tenant_id = %s AND id = %s AND state = 'running'",
            (utc_now(), tenant_id, job_id),
        )


def fail_abandoned_job(
    engine: Engine, waker: Waker, tenant_id: UUID, job_id: UUID, now: datetime
) -> None:
    """Close a local job whose process has ended; asked for again, it still goes on."""
    origin = Origin(tenant_id, "system:imports", f"job-{job_id}", now)
    with unit_of_work(engine, waker, origin) as work:
        counts = work.connection.exec_driver_sql(
            "UPDATE jobs SET state = 'failed', lease_until = NULL, finished_at = %(now)s,"
            " updated_at = %(now)s, version = version + 1,"
            " error = 'Its process ended. Run it again, and it goes on where it stopped.'"
            " WHERE tenant_id = %(tenant_id)s AND id = %(job_id)s AND state = 'running'"
            " AND lease_until < %(now)s RETURNING counts",
            {"tenant_id": tenant_id, "job_id": job_id, "now": now},
        ).scalar()
        if counts is not None:
            data = {"job_id": str(job_id), "state": "failed", "counts": counts}
            work.append("import_finished", "job", job_id, data)
            work.audit("import_finished", "job", job_id, {"state": "running"}, {"state": "failed"})


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
