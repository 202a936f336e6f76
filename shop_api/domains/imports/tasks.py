"""Running queued imports in the worker.

Belongs here: finding, claiming and running jobs. Does not: the import (bulk/importer.py). A job
whose worker ends is handed over at once, one whose worker died is claimed by another when its lease
has passed; both go on after their last batch.
"""

import logging
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import OperationalError

from shop_api.bulk.importer import Summary, run_import
from shop_api.bulk.journal import (
    LOCAL_KINDS,
    ImportCancelled,
    ImportHandedOver,
    Journal,
    claim_job,
    fail_abandoned_job,
    hand_over_job,
    read_checkpoint,
    release_job,
)
from shop_api.bulk.locks import import_session
from shop_api.bulk.rejects import RejectLog
from shop_api.db.outages import describe
from shop_api.db.tenancy import tenant_session
from shop_api.domains.imports.repository import JobRepository
from shop_api.domains.imports.service import JOB_KIND, is_retried, stored_mapping
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError
from shop_api.spine.jobs import ScheduledJob, WorkerContext
from shop_api.spine.unit_of_work import Origin

INTERVAL_SECONDS = 1.0
RETRY_SECONDS = 15.0
ATTEMPT_LIMIT = 5
# jobs taken in one run; the next run takes the others
CLAIM_LIMIT = 20
# Two imports run at a time among all workers, of different tenants: a long one leaves room beside
# it. Each is a scheduled job, with a lock of its own.
SCHEDULE_NAMES = ("imports", "imports_beside")

FIND_OPEN = text(
    "SELECT j.tenant_id, j.id, j.kind FROM jobs j WHERE j.kind = ANY(:kinds)"
    " AND (j.state = 'queued' OR j.state = 'running' AND j.lease_until < :now)"
    " AND NOT EXISTS (SELECT FROM jobs r WHERE r.tenant_id = j.tenant_id AND r.kind = ANY(:kinds)"
    " AND r.state = 'running' AND r.lease_until >= :now)"
    " ORDER BY j.created_at LIMIT 1"
)

logger = logging.getLogger(__name__)


def jobs(context: WorkerContext) -> list[ScheduledJob]:
    """The schedule of this domain."""
    runner = ImportRunner(context)
    return [
        ScheduledJob(name, "imports", runner.run, interval_seconds=INTERVAL_SECONDS)
        for name in SCHEDULE_NAMES
    ]


@dataclass(frozen=True)
class ImportRunner:
    """Takes open import jobs, oldest first, of tenants that have none running."""

    context: WorkerContext

    def run(self, now: datetime) -> None:
        """Run every job that is open at `now`, until the worker is to end."""
        for _ in range(CLAIM_LIMIT):
            row = self._find_open(now)
            if row is None or self.context.stopping.is_set():
                return
            if row.kind in LOCAL_KINDS:
                fail_abandoned_job(
                    self.context.engine, self.context.waker, row.tenant_id, row.id, now
                )
                continue
            claimed = claim_job(self.context.engine, row.tenant_id, row.id, utc_now())
            if claimed is not None:
                self._perform(row.tenant_id, row.id, claimed)

    def _find_open(self, now: datetime) -> Row[Any] | None:
        with self.context.exporter_engine.connect() as connection:
            kinds = [JOB_KIND, *LOCAL_KINDS]
            return connection.execute(FIND_OPEN, {"kinds": kinds, "now": now}).first()

    def _perform(self, tenant_id: UUID, job_id: UUID, claimed: dict[str, Any]) -> None:
        engine = self.context.engine
        journal = Journal(
            engine,
            self.context.waker,
            Origin(tenant_id, claimed["actor"], claimed["request_id"], utc_now()),
            job_id,
            read_checkpoint(claimed["checkpoint"]),
            stopping=self.context.stopping,
        )
        if journal.checkpoint.attempts > ATTEMPT_LIMIT:
            self._give_up(journal, f"Cut short {ATTEMPT_LIMIT} times without getting on.")
            return
        try:
            with (
                import_session(engine, tenant_id) as single,
                tempfile.TemporaryDirectory(prefix="shop-import-") as folder,
            ):
                self._write_files(tenant_id, job_id, Path(folder))
                mapping = stored_mapping(claimed["params"])
                run_import(single, journal, Path(folder), mapping, Summary())
        except ImportCancelled:
            logger.info("import %s was cancelled", job_id)
        except ImportHandedOver:
            hand_over_job(engine, tenant_id, job_id)
            logger.info("import %s is handed over", job_id)
        except DomainError as error:
            if is_retried(error):
                release_job(engine, tenant_id, job_id, utc_now() + timedelta(seconds=RETRY_SECONDS))
            logger.info("import %s ended: %s", job_id, error)
        except OperationalError as error:
            # the database went away: the lease passes, and the job is taken up again
            logger.warning("import %s was cut short: %s", job_id, describe(error))
        except Exception:
            logger.exception("import %s failed", job_id)
            if not journal.is_closed:
                self._give_up(journal, f"An internal error; the log names it by {job_id}.")

    def _give_up(self, journal: Journal, detail: str) -> None:
        journal.finish("failed", journal.checkpoint.counts, RejectLog(), detail)

    def _write_files(self, tenant_id: UUID, job_id: UUID, folder: Path) -> None:
        """The job's files as files, one in memory at a time."""
        with tenant_session(self.context.engine, tenant_id) as session:
            repository = JobRepository(session)
            for name in repository.file_names(job_id):
                (folder / name).write_bytes(repository.file_content(job_id, name))
