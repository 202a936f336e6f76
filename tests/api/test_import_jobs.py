"""The jobs of imports: stopped, handed over, taken over, given up."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from shop_api.app import App
from shop_api.bulk import journal as journals
from shop_api.bulk.assembly import Assembler
from shop_api.bulk.loader import Loader, Phase
from shop_api.bulk.staging import Staging
from shop_api.db.tenancy import tenant_session
from shop_api.domains.imports.tasks import ImportRunner, jobs
from shop_api.kernel.clock import utc_now
from shop_api.kernel.principal import SCOPES
from shop_api.spine.unit_of_work import Origin
from tests.factories.exports import mapping_text
from tests.factories.imports import query
from tests.fixtures.api import ApiClient, Shop
from tests.fixtures.imports import error_lines, new_runner, send, write_bad_export
from tests.fixtures.stores import Database


@pytest.fixture
def runner(database: Database, app: App) -> ImportRunner:
    """The worker's part."""
    return new_runner(database, app)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export with one bad line."""
    return write_bad_export(tmp_path)


def test_a_queued_job_is_cancelled_at_once(shop: Shop, runner: ImportRunner, folder: Path) -> None:
    job = send(shop.api, folder, mapping_text()).json
    path = f"/api/v1/jobs/{job['id']}"
    cancelled = shop.api.post(f"{path}/cancel")
    assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")
    runner.run(utc_now())
    assert shop.api.get(path).json["state"] == "cancelled"
    again = shop.api.post(f"{path}/cancel")
    assert (again.status, again.code) == (409, "job_finished")


def test_a_running_job_stops_after_its_batch(
    shop: Shop, runner: ImportRunner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request comes while the products are written: what is written stays, the rest does not
    follow."""
    job = send(shop.api, folder, mapping_text()).json
    path = f"/api/v1/jobs/{job['id']}"
    monkeypatch.setattr(journals, "RENEWAL_SECONDS", 0.01)
    write = Loader.write

    def write_and_cancel(loader: Loader, phase: object, *rest: object) -> object:
        written = write(loader, phase, *rest)  # type: ignore[arg-type]
        if getattr(phase, "name", "") == "products":
            answered = shop.api.post(f"{path}/cancel")
            assert (answered.status, answered.json["state"]) == (200, "running")
            # the lease is renewed, and the request seen, many times in this
            time.sleep(0.5)
        return written

    monkeypatch.setattr(Loader, "write", write_and_cancel)
    runner.run(utc_now())
    stopped = shop.api.get(path).json
    assert (stopped["state"], stopped["is_cancel_requested"]) == ("cancelled", True)
    assert stopped["counts"]["products"]["created"] == 3
    assert shop.api.get("/api/v1/orders").json["data"] == []


def _stop_before(method: str, owner: type, runner: ImportRunner, patch: pytest.MonkeyPatch) -> None:
    """The worker is told to end when the import calls a method for the first time."""
    call = getattr(owner, method)

    def stop_and_call(*arguments: Any) -> object:
        runner.context.stopping.set()
        return call(*arguments)

    patch.setattr(owner, method, stop_and_call)


def _sleep(assembler: Assembler, _: str) -> None:
    with assembler.staging.sets() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(120)")


@pytest.mark.parametrize(
    ("owner", "method", "reached"),
    [
        # while files are read
        (Staging, "add", []),
        # between two batches
        (Loader, "write", ["categories"]),
        # during a statement that takes long
        (Assembler, "assemble", ["categories"]),
    ],
)
def test_a_worker_that_ends_hands_its_job_over(
    database: Database,
    app: App,
    shop: Shop,
    runner: ImportRunner,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    reached: list[str],
) -> None:
    """Another worker takes it at once, and goes on after the last batch."""
    job = send(shop.api, folder, mapping_text()).json
    with monkeypatch.context() as patch:
        if owner is Assembler:
            patch.setattr(Assembler, "assemble", _sleep)
        _stop_before(method, owner, runner, patch)
        started = time.monotonic()
        runner.run(utc_now())
    assert time.monotonic() - started < 5
    assert query(
        database,
        shop.tenant_id,
        "SELECT state, lease_until, checkpoint->'attempts', (SELECT coalesce(array_agg(key), '{}')"
        " FROM jsonb_each(checkpoint->'position')) FROM jobs",
    ) == [("queued", None, 0, reached)]
    runner.run(utc_now())
    path = f"/api/v1/jobs/{job['id']}"
    assert shop.api.get(path).json["state"] == "queued"
    new_runner(database, app).run(utc_now())
    done = shop.api.get(path).json
    assert (done["state"], done["counts"]["categories"]["created"]) == ("succeeded", 2)


def test_a_dead_workers_job_is_taken_over_after_its_lease(
    database: Database, shop: Shop, runner: ImportRunner, folder: Path
) -> None:
    job = send(shop.api, folder, mapping_text()).json
    now = utc_now()
    claimed = journals.claim_job(database.engine, shop.tenant_id, UUID(job["id"]), now)
    assert claimed is not None
    assert journals.claim_job(database.engine, shop.tenant_id, UUID(job["id"]), now) is None
    path = f"/api/v1/jobs/{job['id']}"
    runner.run(now + timedelta(seconds=journals.LEASE_SECONDS - 1))
    assert shop.api.get(path).json["state"] == "running"
    _age_lease(database, shop.tenant_id)
    runner.run(utc_now())
    assert shop.api.get(path).json["state"] == "succeeded"


def _age_lease(database: Database, tenant_id: UUID) -> None:
    with tenant_session(database.engine, tenant_id) as session:
        session.connection.exec_driver_sql(
            "UPDATE jobs SET lease_until = lease_until - interval '2 minutes'"
        )


def test_a_command_that_was_killed_leaves_no_running_job(
    database: Database, shop: Shop, runner: ImportRunner, folder: Path
) -> None:
    """It is closed, and goes on when the command is run again."""
    origin = Origin(shop.tenant_id, "system:test", "test", utc_now())
    params = {"folder": "x"}
    kind = journals.FOLDER_IMPORT
    job = journals.open_local_job(database.engine, database.waker, origin, kind, params)
    path = f"/api/v1/jobs/{job.job_id}"
    runner.run(utc_now())
    assert shop.api.get(path).json["state"] == "running"
    _age_lease(database, shop.tenant_id)
    runner.run(utc_now())
    closed = shop.api.get(path).json
    assert (closed["state"], closed["error"]) == (
        "failed",
        "Its process ended. Run it again, and it goes on where it stopped.",
    )
    again = journals.open_local_job(database.engine, database.waker, origin, kind, params)
    assert again.job_id == job.job_id
    reopened = shop.api.get(path).json
    assert (reopened["state"], reopened["error"], reopened["finished_at"]) == (
        "running",
        None,
        None,
    )


def test_a_job_that_never_gets_on_is_given_up(
    database: Database, shop: Shop, runner: ImportRunner, folder: Path
) -> None:
    job = send(shop.api, folder, mapping_text()).json
    for _ in range(5):
        assert journals.claim_job(database.engine, shop.tenant_id, UUID(job["id"]), utc_now())
        _age_lease(database, shop.tenant_id)
    runner.run(utc_now())
    failed = shop.api.get(f"/api/v1/jobs/{job['id']}").json
    assert (failed["state"], failed["error"]) == (
        "failed",
        "Cut short 5 times without getting on.",
    )


def test_an_internal_error_fails_the_job_and_is_logged(
    shop: Shop,
    runner: ImportRunner,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = send(shop.api, folder, mapping_text()).json

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Loader, "write", fail)
    with caplog.at_level(logging.ERROR):
        runner.run(utc_now())
    failed = shop.api.get(f"/api/v1/jobs/{job['id']}").json
    assert failed["state"] == "failed"
    assert failed["error"] == f"An internal error; the log names it by {job['id']}."
    assert "ZeroDivisionError" in caplog.text


def _sign_up(api: ApiClient) -> None:
    made = api.post("/api/v1/customers", {"email": "ada@example.com"})
    assert made.status == 201, made.body


def _delete_categories(api: ApiClient) -> None:
    for category in api.get("/api/v1/categories").json["data"]:
        assert api.delete(f"/api/v1/categories/{category['id']}").status == 204


@pytest.mark.parametrize(
    ("phase", "change", "error", "rejects"),
    [
        (
            "customers",
            _sign_up,
            "A row of customers with the same email was made",
            ["customers.csv,1,mail,'ada@example.com' is the email of another row"],
        ),
        (
            "products",
            _delete_categories,
            "What a row of product_categories names by its category_id was deleted",
            [],
        ),
    ],
)
def test_what_the_shop_does_meanwhile_fails_the_job_and_says_what_to_do(
    shop: Shop,
    runner: ImportRunner,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    phase: str,
    change: Callable[[ApiClient], None],
    error: str,
    rejects: list[str],
) -> None:
    """It comes between the checks and the batch; the next import sees it, and names the row."""
    job = send(shop.api, folder, mapping_text()).json
    write = Loader.write

    def change_and_write(loader: Loader, written: Phase, *rest: Any) -> object:
        if written.name == phase:
            change(shop.api)
        return write(loader, written, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Loader, "write", change_and_write)
        runner.run(utc_now())
    failed = shop.api.get(f"/api/v1/jobs/{job['id']}").json
    assert failed["state"] == "failed"
    assert failed["error"] == (
        f"{error} while the import ran. Run it again: what is written stays, and a row that still"
        " clashes is refused with its reason."
    )

    again = send(shop.api, folder, mapping_text(), key="import-2").json
    runner.run(utc_now())
    assert shop.api.get(f"/api/v1/jobs/{again['id']}").json["state"] == "succeeded"
    errors = error_lines(shop.api, again["id"])
    assert [line for line in errors if line.startswith("customers.csv")] == rejects


def test_a_long_import_does_not_hold_up_another_shops(
    shop: Shop,
    other_shop: Shop,
    runner: ImportRunner,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two run beside each other; those of one shop run one after the other."""
    first, second = (send(shop.api, folder, mapping_text(), key=key).json for key in ("1", "2"))
    other = send(other_shop.api, folder, mapping_text()).json
    is_at_it, may_go_on = threading.Event(), threading.Event()
    write = Loader.write

    def write_slowly(loader: Loader, *rest: Any) -> object:
        if loader.origin.tenant_id == shop.tenant_id:
            is_at_it.set()
            assert may_go_on.wait(20)
        return write(loader, *rest)

    monkeypatch.setattr(Loader, "write", write_slowly)
    one, beside = jobs(runner.context)
    long = threading.Thread(target=one.run, args=(utc_now(),))
    long.start()
    assert is_at_it.wait(20)
    try:
        beside.run(utc_now())
        assert _state(other_shop, other) == "succeeded"
        assert (_state(shop, first), _state(shop, second)) == ("running", "queued")
    finally:
        may_go_on.set()
        long.join()
    assert (_state(shop, first), _state(shop, second)) == ("succeeded", "succeeded")


def _state(shop: Shop, job: dict[str, Any]) -> Any:
    return shop.api.get(f"/api/v1/jobs/{job['id']}").json["state"]


def test_the_schedule_names_its_jobs(runner: ImportRunner) -> None:
    planned = [(job.name, job.owner, job.interval_seconds) for job in jobs(runner.context)]
    assert planned == [("imports", "imports", 1.0), ("imports_beside", "imports", 1.0)]
    assert {"imports:write", "jobs:read"} <= set(SCOPES)
