"""What expired is deleted, of every tenant, and nothing else."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import redis
from sqlalchemy import text

from shop_api.db.tenancy import tenant_session
from shop_api.domains.operations.tasks import jobs
from shop_api.spine.jobs import WorkerContext
from shop_api.spine.unit_of_work import Origin, StoredAnswer, unit_of_work
from tests.factories.rows import NOW, make_tenant
from tests.fixtures.stores import Database


def keep_answer(database: Database, tenant_id: UUID, name: bytes, life_hours: int) -> None:
    origin = Origin(tenant_id, "system:test", "test", NOW)
    with unit_of_work(database.engine, database.waker, origin) as work:
        work.answer = StoredAnswer(
            key_digest=name,
            request_digest=b"digest",
            status=201,
            headers=[],
            body=b"{}",
            is_encrypted=False,
            expires_at=NOW + timedelta(hours=life_hours),
        )


def kept(database: Database, tenant_id: UUID) -> set[bytes]:
    with tenant_session(database.engine, tenant_id) as session:
        rows = session.execute(text("SELECT key_digest FROM idempotency_records")).scalars()
        return {bytes(row) for row in rows}


def test_expired_answers_are_deleted_of_every_tenant(
    database: Database, redis_client: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    tenant_ids = [make_tenant(database) for _ in range(2)]
    for tenant_id in tenant_ids:
        keep_answer(database, tenant_id, b"old", 1)
        keep_answer(database, tenant_id, b"new", 48)
    settings = database.settings(tmp_path, redis_url)
    context = WorkerContext(
        settings=settings,
        engine=database.engine,
        exporter_engine=database.exporter_engine,
        waker=database.waker,
        redis=redis_client,
    )
    (job,) = jobs(context)
    job.run(NOW + timedelta(hours=24))
    assert [kept(database, tenant_id) for tenant_id in tenant_ids] == [{b"new"}, {b"new"}]
