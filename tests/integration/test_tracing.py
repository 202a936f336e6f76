"""Traces, as a collector is sent them: from a request to the stores, and on from its client."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import redis
from sqlalchemy import text

from pipelines.context import LakeContext
from pipelines.runner import run_export
from shop_api.app import App, create_app
from shop_api.db.engines import make_engine
from shop_api.kernel.clock import utc_now
from shop_api.settings import Settings
from shop_api.spine.jobs import ScheduledJob, WorkerContext
from shop_api.tracing.tracing import Tracing
from shop_api.worker import JobRunner
from tests.fixtures.api import PASSWORD, PLATFORM_KEY, AnswerChecker, ApiClient, Shop, raw
from tests.fixtures.collector import Collector, Span, collecting
from tests.fixtures.lake import new_lake
from tests.fixtures.processes import wait_until
from tests.fixtures.stores import Database

PARENT = "00f067aa0ba902b7"
PRODUCT = "/api/v1/products/<id:product_id>"
DASHBOARD = "/api/v1/analytics/dashboard"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module", autouse=True)
def sent_soon() -> Iterator[None]:
    """Spans are sent within 50 ms."""
    with pytest.MonkeyPatch.context() as changes:
        changes.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield


@pytest.fixture(scope="module")
def app(
    database: Database,
    redis_url: str,
    lake: LakeContext,
    collector: Collector,
    sent_soon: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[App]:
    """An application that is traced."""
    built = create_app(
        database.settings(
            tmp_path_factory.mktemp("data"),
            redis_url,
            lake_url=lake.location,
            otlp_endpoint=collector.endpoint,
        )
    )
    yield built
    built.close()


@pytest.fixture(scope="module")
def api(app: App) -> ApiClient:
    return ApiClient(app, AnswerChecker(app))


def begun_outside(is_sampled: bool = True) -> tuple[str, dict[str, str]]:
    """A trace of a client's own, and the header that hands it on."""
    trace_id = uuid4().hex
    return trace_id, {"traceparent": f"00-{trace_id}-{PARENT}-0{int(is_sampled)}"}


def traced(collector: Collector, trace_id: str, name: str) -> Span:
    """The span of that name in a trace, once it is here."""

    def found() -> list[Span]:
        return [span for span in collector.named(name) if span.trace_id == trace_id]

    wait_until(lambda: bool(found()))
    (span,) = found()
    return span


def systems(spans: list[Span]) -> set[str]:
    return {span.attributes["db.system.name"] for span in spans}


def test_a_request_is_a_tree_from_the_server_to_the_stores(
    shop: Shop, collector: Collector
) -> None:
    product = shop.product()
    trace_id, headers = begun_outside()
    path = f"/api/v1/products/{product['id']}"
    answered = shop.api.get(path, headers={**headers, "X-Request-ID": "the-request"})
    assert answered.status == 200
    server = traced(collector, trace_id, f"GET {PRODUCT}")
    assert (server.parent_id, server.kind, server.is_error) == (PARENT, "SERVER", False)
    assert server.attributes == {
        "http.request.method": "GET",
        "http.route": PRODUCT,
        "http.response.status_code": 200,
        "shop.request_id": "the-request",
        "shop.tenant_id": str(shop.tenant_id),
        "shop.cache_status": server.attributes["shop.cache_status"],
    }
    assert server.resource["service.name"] == "shop-api"
    below = collector.below(server)
    assert {"postgresql", "redis"} == systems(below)
    assert all(span.kind == "CLIENT" and span.trace_id == trace_id for span in below)
    assert all(server.started_at <= s.started_at <= s.ended_at <= server.ended_at for s in below)
    statements = [s.attributes for s in below if s.attributes["db.system.name"] == "postgresql"]
    texts = [attributes["db.query.text"] for attributes in statements]
    # the tenant is set and the product read in one round trip: a span each
    assert texts[0].startswith("SELECT set_config('app.tenant_id', %(tenant_id)s")
    assert any("FROM products" in text for text in texts)
    assert statements[0]["db.operation.name"] == "SELECT"
    assert {"db.namespace", "server.address"} <= statements[0].keys()


def test_an_order_is_traced_to_its_commit(shop: Shop, collector: Collector) -> None:
    product = shop.product()
    trace_id, headers = begun_outside()
    placed = shop.order((product["variants"][0]["id"], 1), headers=headers)
    assert placed.status == 201
    server = traced(collector, trace_id, "POST /api/v1/orders")
    assert {"postgresql", "redis"} == systems(collector.below(server))
    told = [span.attributes.get("db.query.text", "") for span in collector.below(server)]
    assert any("INSERT INTO events" in text for text in told)
    assert str(product["id"]) not in str(told)


def test_figures_show_their_queries_of_the_lake(
    app: App, shop: Shop, lake: LakeContext, collector: Collector
) -> None:
    product = shop.product()
    assert shop.order((product["variants"][0]["id"], 1)).status == 201
    outcome = run_export(lake, datetime.now(UTC))
    assert outcome.snapshot is not None
    published = outcome.snapshot.id
    wait_until(lambda: app.lake.snapshot().id >= published)
    trace_id, headers = begun_outside()
    assert shop.api.get(DASHBOARD, query={"period": "7d"}, headers=headers).status == 200
    server = traced(collector, trace_id, f"GET {DASHBOARD}")
    queries = [s for s in collector.below(server) if s.attributes["db.system.name"] == "duckdb"]
    assert queries
    assert all("SELECT" in span.attributes["db.query.text"] for span in queries)
    assert lake.location not in str(queries)
    # a kept answer is made from nothing
    again, headers = begun_outside()
    assert shop.api.get(DASHBOARD, query={"period": "7d"}, headers=headers).status == 200
    kept = traced(collector, again, f"GET {DASHBOARD}")
    assert "hit" in kept.attributes["shop.cache_status"]
    assert "duckdb" not in systems(collector.below(kept))


def test_a_trace_begins_here_when_no_client_began_one(shop: Shop, collector: Collector) -> None:
    before = {span.span_id for span in collector.spans}
    shop.api.get("/api/v1/tenant", headers={"traceparent": f"00-{'0' * 32}-{PARENT}-01"})
    wait_until(lambda: any(s.span_id not in before for s in collector.named("GET /api/v1/tenant")))
    (server,) = (s for s in collector.named("GET /api/v1/tenant") if s.span_id not in before)
    assert server.parent_id == ""
    assert len(server.trace_id) == 32


def test_what_a_client_does_not_sample_is_not_sent(shop: Shop, collector: Collector) -> None:
    left_out, headers = begun_outside(is_sampled=False)
    shop.api.get("/api/v1/tenant", headers=headers)
    taken, headers = begun_outside()
    shop.api.get("/api/v1/tenant", headers=headers)
    traced(collector, taken, "GET /api/v1/tenant")
    assert left_out not in {span.trace_id for span in collector.spans}


def test_the_requests_of_a_batch_are_below_it(shop: Shop, collector: Collector) -> None:
    trace_id, headers = begun_outside()
    requests = [{"method": "GET", "path": "/api/v1/tenant"}]
    answered = shop.api.post("/api/v1/batch", {"requests": requests}, headers=headers)
    assert answered.status == 200
    batch = traced(collector, trace_id, "POST /api/v1/batch")
    inner = traced(collector, trace_id, "GET /api/v1/tenant")
    assert (batch.parent_id, inner.parent_id) == (PARENT, batch.span_id)


def test_probes_are_not_traced(api: ApiClient, collector: Collector) -> None:
    trace_id, headers = begun_outside()
    assert api.get("/health/ready", headers=headers).status == 200
    after, headers = begun_outside()
    assert api.get("/api/v1/tenant", headers=headers).status == 401
    refused = traced(collector, after, "GET /api/v1/tenant")
    assert refused.attributes["http.response.status_code"] == 401
    assert not refused.is_error
    assert trace_id not in {span.trace_id for span in collector.spans}


def test_spans_hold_no_secret_and_nothing_personal(
    app: App, api: ApiClient, shop: Shop, database: Database, collector: Collector
) -> None:
    secrets = [f"{kind}-{uuid4().hex}" for kind in ("path", "query", "name", "wrong", "agent")]
    path, query, name, wrong, agent = secrets
    email = f"{name}@shop.example"
    trace_id, headers = begun_outside()
    headers |= {"User-Agent": agent, "Referer": f"http://x/{agent}", "Cookie": agent}
    shop.api.get(f"/api/v1/products/{path}", query={"after": query}, headers=headers)
    shop.api.get(f"/api/v1/{path}", query={"token": query}, headers=headers)
    api.with_token(wrong).get("/api/v1/products", headers=headers)
    api.post("/api/v1/auth/login", {"email": email, "password": wrong}, headers=headers)
    login = {"email": shop.email, "password": PASSWORD}
    token = api.post("/api/v1/auth/login", login, headers=headers).json["access_token"]
    customer = {"email": email, "first_name": name, "last_name": name}
    assert shop.api.post("/api/v1/customers", customer, headers=headers).status == 201
    # the server's message of this violation quotes the address
    assert shop.api.post("/api/v1/customers", customer, headers=headers).status == 409
    # an error nobody expects
    rename = "ALTER TABLE customers RENAME COLUMN"
    database.server.execute(f"{rename} last_name TO family_name", database.name)
    try:
        bearer = {**headers, "Authorization": f"Bearer {shop.api.token}"}
        assert raw(app, "POST", "/api/v1/customers", json=customer, headers=bearer).status == 500
    finally:
        database.server.execute(f"{rename} family_name TO last_name", database.name)
    shop.api.get("/api/v1/tenant", headers=headers)
    traced(collector, trace_id, "GET /api/v1/tenant")
    customers = [s for s in collector.named("POST /api/v1/customers") if s.trace_id == trace_id]
    assert [span.attributes["http.response.status_code"] for span in customers] == [201, 409, 500]
    assert [span.is_error for span in customers] == [False, False, True]
    failed = [s for s in collector.below(customers[1]) if s.is_error]
    assert {s.attributes["error.type"] for s in failed} == {"UniqueViolation"}
    assert {s.attributes["db.response.status_code"] for s in failed} == {"23505"}
    assert all(span.event_count == 0 for span in collector.spans)
    secrets += [email, shop.email, PASSWORD, PLATFORM_KEY, token, str(shop.api.token)]
    assert [secret for secret in secrets if secret in collector.text] == []


@pytest.fixture
def tracing(collector: Collector) -> Iterator[Tracing]:
    """The tracing of a worker."""
    found = Tracing(collector.endpoint, 1.0, "worker")
    yield found
    found.close()


def test_a_run_of_a_job_is_a_trace(
    database: Database, redis_client: redis.Redis, tracing: Tracing, collector: Collector
) -> None:
    settings = Settings(_env_file=None)
    engine = make_engine(database.application_url, settings, statement_timeout_seconds=10)
    tracing.watch_engine(engine)
    tracing.watch_redis(redis_client)

    def run(_: datetime) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 AS of_the_job"))
        with redis_client.pipeline() as pipeline:
            pipeline.set("a-key", "a-value")
            pipeline.get("a-key")
            pipeline.execute()
        raise RuntimeError("a-secret")

    context = WorkerContext(
        settings=settings,
        engine=engine,
        exporter_engine=database.exporter_engine,
        waker=database.waker,
        redis=redis_client,
        observe_job=tracing.job,
    )
    JobRunner(ScheduledJob("a_job", "tests", run, interval_seconds=60), context, utc_now).run()
    # outside of it nothing is traced
    with engine.connect() as connection:
        connection.execute(text("SELECT 2 AS of_nothing"))
    engine.dispose()
    (job,) = collector.wait_for("job a_job")
    assert (job.parent_id, job.is_error) == ("", True)
    assert job.attributes == {"shop.job": "a_job", "error.type": "RuntimeError"}
    assert job.resource["service.name"] == "shop-worker"
    statement, pipeline = collector.below(job)
    assert statement.attributes["db.query.text"] == "SELECT 1 AS of_the_job"
    assert pipeline.name == "PIPELINE"
    assert pipeline.attributes["db.operation.batch.size"] == 2
    assert not {"of_nothing", "a-secret", "a-key", "a-value"} & set(collector.text.split("'"))


def test_a_part_of_what_nobody_began_elsewhere_is_taken(collector: Collector) -> None:
    tracing = Tracing(collector.endpoint, 0.0, "api")
    assert not tracing.tracer.start_span("none").is_recording()
    tracing.close()


def test_operators_name_the_service(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-in-milan")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=trial")
    tracing = Tracing(collector.endpoint, 1.0, "api")
    with tracing.job("named"):
        pass
    tracing.close()
    (job,) = collector.named("job named")
    assert job.resource["service.name"] == "shop-in-milan"
    assert job.resource["deployment.environment.name"] == "trial"
