"""An import that is killed goes on after its last batch and ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from shop_api.bulk.mapping import parse_mapping
from shop_api.kernel.errors import DomainError
from tests.factories.exports import mapping_text, write_export
from tests.factories.imports import import_folder, query
from tests.factories.rows import make_tenant
from tests.fixtures.stores import Database

ORDER_COUNT = 20_000
RUN = "from shop_api.commands.import_ import import_; import_()"
CONTENT = (
    "SELECT o.external_id, o.status, o.total, o.paid_total, o.placed_at, l.external_id,"
    " l.subtotal, p.external_id, p.amount FROM orders o JOIN order_lines l ON l.order_id = o.id"
    " JOIN payments p ON p.order_id = o.id ORDER BY 1, 6, 8"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of many orders."""
    numbers = [f"N{i:05d}" for i in range(ORDER_COUNT)]
    return write_export(
        tmp_path_factory.mktemp("export"),
        orders=[
            {
                "number": n,
                "buyer": "C1",
                "state": "done",
                "at": f"{i % 28 + 1:02d}/11/2025 10:00",
                "postage": "",
                "rebate": "",
            }
            for i, n in enumerate(numbers)
        ],
        lines=[
            {"number": n, "line": f"{n}-1", "code": "P1", "pieces": "1", "each": "9.50"}
            for n in numbers
        ],
        payments=[{"number": n, "receipt": n, "how": "card", "sum": "9.50"} for n in numbers],
        refunds=[
            {
                "number": numbers[0],
                "slip": "S1",
                "line": f"{numbers[0]}-1",
                "pieces": "1",
                "sum": "1.00",
                "at": "01/12/2025 08:00",
            }
        ],
    )


def test_a_killed_import_goes_on_where_it_stopped(
    database: Database, redis_url: str, folder: Path, tmp_path: Path
) -> None:
    whole, cut = make_tenant(database, "EUR"), make_tenant(database, "EUR", slug="cut-short")
    (tmp_path / "shop.yaml").write_text(mapping_text())
    import_folder(database, whole, folder, parse_mapping(mapping_text()))

    process = subprocess.Popen(
        _command(folder, tmp_path), env=_environment(database, redis_url, tmp_path)
    )
    _wait_for_first_batch_of_orders(database, cut, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    written = query(database, cut, "SELECT count(*) FROM orders")[0][0]
    assert 0 < written < ORDER_COUNT

    again = subprocess.run(
        _command(folder, tmp_path),
        env=_environment(database, redis_url, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    assert "going on with an import that was cut short" in again.stderr
    # the planner's statistics, or it may choose to join 20 000 rows to 20 000 by a nested loop
    with psycopg.connect(database.migrator_url) as connection:
        connection.execute("ANALYZE orders, order_lines, payments")
    assert query(database, cut, CONTENT) == query(database, whole, CONTENT)
    # every order was announced once, by the batch that wrote it
    assert query(
        database,
        cut,
        "SELECT count(*), count(DISTINCT i.id) FROM events e, jsonb_array_elements_text("
        " e.data->'ids') i (id) WHERE e.type = 'orders_imported'",
    ) == [(ORDER_COUNT, ORDER_COUNT)]
    assert query(
        database, cut, "SELECT state, counts->'orders'->>'created', progress_ratio FROM jobs"
    ) == [("succeeded", str(ORDER_COUNT), 1)]


def _command(folder: Path, tmp_path: Path) -> list[str]:
    mapping = str(tmp_path / "shop.yaml")
    options = ["--tenant", "cut-short", "--mapping", mapping, "--strict"]
    return [sys.executable, "-c", RUN, str(folder), *options]


def _environment(database: Database, redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database.application_url,
        "SHOP_MIGRATOR_DATABASE_URL": database.migrator_url,
        "SHOP_EXPORTER_DATABASE_URL": database.exporter_url,
        "REDIS_URL": redis_url,
        "SHOP_DATA_DIR": str(tmp_path / "data"),
    }


def _wait_for_first_batch_of_orders(
    database: Database, tenant_id: UUID, process: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if query(database, tenant_id, "SELECT 1 FROM orders LIMIT 1"):
            return
        time.sleep(0.01)
    raise AssertionError("the import ended before it could be killed")


def test_two_imports_of_one_tenant_do_not_run_together(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shop_api.bulk import locks

    monkeypatch.setattr(locks, "LOCK_WAIT_SECONDS", 1)
    tenant_id = make_tenant(database, "EUR")
    write_export(tmp_path)
    with locks.import_session(database.engine, tenant_id), pytest.raises(DomainError) as refused:
        import_folder(database, tenant_id, tmp_path, parse_mapping(mapping_text()))
    assert refused.value.code == "import_in_progress"
    assert query(database, tenant_id, "SELECT count(*) FROM jobs") == [(0,)]
