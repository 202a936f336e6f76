"""API usage, from the requests to the tenant's own figures: exact, whoever counts and whatever is
lost on the way.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from pipelines.context import LakeContext
from pipelines.runner import run_export, run_rebuild
from pipelines.usage import run_usage
from shop_api.app import App, create_app
from shop_api.db.engines import make_engine
from shop_api.metrics.tally import tally
from shop_api.metrics.usage import Usage, UsageCounts
from shop_api.settings import Settings
from shop_api.spine.usage import UsageWriter
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, raw
from tests.fixtures.lake import new_lake, now, rows
from tests.fixtures.processes import wait_until
from tests.fixtures.servers import api_server
from tests.fixtures.stores import Database

USAGE = "/api/v1/analytics/usage"
# of the hours that are still written
RECENT = now().replace(minute=5) - timedelta(hours=4)
KIND = ("GET", "/api/v1/products", "2xx")
TOTALS = """
SELECT sum(requests)::int AS requests, sum(refusals)::int AS refusals,
    sum(cache_hits)::int AS cache_hits, sum(request_bytes)::int AS request_bytes,
    sum(response_bytes)::int AS response_bytes, sum(duration_microseconds)::int AS microseconds,
    count(DISTINCT process_id)::int AS processes
FROM api_usage WHERE tenant_id = %s
"""


def written(database: Database, tenant_id: UUID) -> dict[str, Any]:
    """What is written of a tenant."""
    with psycopg.connect(database.exporter_url, row_factory=dict_row) as connection:
        found = connection.execute(TOTALS, (tenant_id,)).fetchone()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, lake: LakeContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application that writes its usage when it is told to."""
    folder = tmp_path_factory.mktemp("data")
    settings = database.settings(
        folder, redis_url, lake_url=lake.location, usage_write_seconds=3600.0
    )
    built = create_app(settings)
    yield built
    built.close()


@pytest.fixture(scope="module")
def api(app: App) -> ApiClient:
    return ApiClient(app, AnswerChecker(app))


def told(app: App) -> None:
    """Everything that was counted is written."""
    tally.flush()
    assert app.usage_writer.write()


def test_what_a_tenant_asks_is_written(app: App, shop: Shop, database: Database) -> None:
    told(app)
    before = written(database, shop.tenant_id)["requests"] or 0
    answers = [shop.api.get("/api/v1/products") for _ in range(3)]
    posted = shop.api.post("/api/v1/categories", {"name": "C", "slug": "c"})
    assert [answered.status for answered in (*answers, posted)] == [200, 200, 200, 201]
    assert shop.api.get("/api/v1/none").status == 404
    told(app)
    with psycopg.connect(database.exporter_url, row_factory=dict_row) as connection:
        found = connection.execute(
            "SELECT * FROM api_usage WHERE tenant_id = %s ORDER BY route, status_class",
            (shop.tenant_id,),
        ).fetchall()
    by_kind = {(row["method"], row["route"], row["status_class"]): row for row in found}
    products = by_kind["GET", "/api/v1/products", "2xx"]
    assert products["requests"] == 3
    # kept is what is asked for a second time
    assert products["cache_hits"] == 1
    assert products["response_bytes"] == sum(len(answered.body) for answered in answers)
    assert products["duration_microseconds"] > 0
    created = by_kind["POST", "/api/v1/categories", "2xx"]
    assert (created["request_bytes"] > 0, created["cache_hits"]) == (True, 0)
    assert by_kind["GET", "none", "4xx"]["requests"] == 1
    assert written(database, shop.tenant_id)["requests"] - before == 5


def test_what_a_request_only_declares_is_no_usage_and_holds_up_nobody(
    app: App, shop: Shop, other_shop: Shop, database: Database
) -> None:
    told(app)
    before = written(database, shop.tenant_id)
    for _ in range(12):
        answered = raw(
            app,
            "GET",
            "/api/v1/tenant",
            headers={"Authorization": f"Bearer {shop.api.token}"},
            environ_overrides={"CONTENT_LENGTH": "9" * 18},
        )
        assert answered.status == 413
    assert other_shop.api.get("/api/v1/products").status == 200
    told(app)
    after = written(database, shop.tenant_id)
    assert after["requests"] - before["requests"] == 12
    assert after["request_bytes"] == before["request_bytes"]
    assert written(database, other_shop.tenant_id)["requests"] > 0


def test_totals_of_several_processes_add_up_and_a_retry_counts_once(database: Database) -> None:
    tenant_id = uuid4()
    kind = (tenant_id.int, *KIND)
    processes = [UsageCounts(), UsageCounts()]
    writers = [UsageWriter(database.engine, counts, 60) for counts in processes]
    one = Usage(1, 1, 1, 10, 100, 1000)
    for _ in range(3):
        for counts, writer in zip(processes, writers, strict=True):
            counts.add(RECENT, kind, one)
            counts.add(RECENT, kind, one)
            assert writer.write()
    # as after a commit whose answer was lost: written, and not known to be
    again = processes[0].unwritten()
    assert again == {}
    processes[0].add(RECENT, kind, one)
    lost = processes[0].unwritten()
    writers[0]._send(lost)
    assert writers[0].write()
    assert writers[0].write()
    found = written(database, tenant_id)
    assert (found["requests"], found["refusals"], found["cache_hits"]) == (13, 13, 13)
    assert (found["request_bytes"], found["response_bytes"]) == (130, 1300)
    assert (found["microseconds"], found["processes"]) == (13_000, 2)


def test_a_connection_that_is_lost_costs_nothing(database: Database) -> None:
    tenant_id, counts = uuid4(), UsageCounts()
    settings = Settings(_env_file=None)
    engine = make_engine(database.application_url, settings, statement_timeout_seconds=5)
    writer = UsageWriter(engine, counts, 60)
    counts.add(RECENT, (tenant_id.int, *KIND), Usage(2))
    assert writer.write()
    counts.add(RECENT, (tenant_id.int, *KIND), Usage(3))
    with engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        connection.rollback()
    database.server.execute(f"SELECT pg_terminate_backend({pid})")
    assert not writer.write()
    assert writer.write()
    engine.dispose()
    assert written(database, tenant_id)["requests"] == 5


def test_hours_are_apart_and_let_go_of_once_written(database: Database) -> None:
    tenant_id, counts = uuid4(), UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    kind = (tenant_id.int, *KIND)
    counts.add(RECENT, kind, Usage(1))
    assert writer.write()
    counts.add(RECENT + timedelta(hours=1), kind, Usage(2))
    assert writer.write()
    # a clock that goes back, to an hour that was let go of
    counts.add(RECENT, kind, Usage(4))
    assert len(counts.unwritten()) == 1
    assert writer.write()
    counts.add(RECENT + timedelta(hours=2), kind, Usage(8))
    assert writer.write()
    hour = RECENT.replace(minute=0, second=0, microsecond=0)
    assert [place.hour for place in counts._totals] == [hour + timedelta(hours=2)]
    with psycopg.connect(database.exporter_url) as connection:
        found = connection.execute(
            "SELECT hour, sum(requests)::int FROM api_usage WHERE tenant_id = %s GROUP BY hour"
            " ORDER BY hour",
            (tenant_id,),
        ).fetchall()
    assert found == [
        (hour, 5),
        (hour + timedelta(hours=1), 2),
        (hour + timedelta(hours=2), 8),
    ]


def test_figures_of_usage_are_the_tenants_own(
    app: App, shop: Shop, other_shop: Shop, lake: LakeContext
) -> None:
    for _ in range(4):
        shop.api.get("/api/v1/products")
    other_shop.api.get("/api/v1/customers")
    told(app)
    run_export(lake, now())
    outcome = run_usage(lake, now())
    # the first export has taken it in
    assert outcome.state == "idle"
    assert outcome.snapshot is not None
    published = outcome.snapshot.id
    wait_until(lambda: app.lake.snapshot().id >= published)
    answered = shop.api.get(USAGE, query={"period": "today"})
    assert answered.status == 200, answered.body
    found = answered.json
    kinds = {
        (row["method"], row["route"], row["status_class"]): row["requests"]
        for row in found["by_endpoint"]
    }
    assert kinds["GET", "/api/v1/products", "2xx"] == 4
    assert not any("customers" in route for _, route, _ in kinds)
    assert found["totals"]["requests"] == sum(kinds.values())
    for name in found["totals"]:
        assert sum(point[name] for point in found["series"]) == found["totals"][name]
        assert sum(row[name] for row in found["by_endpoint"]) == found["totals"][name]
    # again with nothing new, and after more was asked
    assert run_usage(lake, now()).state == "idle"
    for _ in range(3):
        shop.api.get("/api/v1/products")
    told(app)
    outcome = run_usage(lake, now())
    assert outcome.snapshot is not None
    usage = rows(lake, "api_usage").filter(tenant_id=str(shop.tenant_id))
    assert usage.filter(route="/api/v1/products")["requests"].sum() == 7
    # a lake made anew from Postgres is the same
    before = rows(lake, "api_usage")
    run_rebuild(lake, now())
    assert rows(lake, "api_usage").equals(before)


def test_kept_figures_outlive_new_usage(app: App, shop: Shop, lake: LakeContext) -> None:
    run_export(lake, now())
    shop.api.get("/api/v1/products")
    told(app)
    before = app.lake.current_version(shop.tenant_id)
    outcome = run_usage(lake, now())
    assert outcome.snapshot is not None
    published = outcome.snapshot.id
    wait_until(lambda: app.lake.snapshot().id >= published)
    assert app.lake.current_version(shop.tenant_id) == before


@pytest.mark.parametrize(
    "query",
    [{"period": "all"}, {"compare": "none"}, {"from": "2026-01-01"}, {"interval": "minute"}],
)
def test_what_cannot_be_asked_of_usage_is_refused(shop: Shop, query: dict[str, str]) -> None:
    assert shop.api.get(USAGE, query=query).status in (400, 422)


def test_the_end_of_a_process_writes_what_it_counted(
    app: App, shop: Shop, database: Database, redis_url: str, tmp_path: Path
) -> None:
    told(app)
    before = written(database, shop.tenant_id)["requests"]
    settings = database.settings(tmp_path, redis_url)
    with api_server(settings, tmp_path / "api.log", usage_write_seconds=3600) as server:
        for _ in range(7):
            assert server.call("GET", "/api/v1/tenant", token=shop.api.token).status == 200
        assert written(database, shop.tenant_id)["requests"] == before
    assert written(database, shop.tenant_id)["requests"] == before + 7
