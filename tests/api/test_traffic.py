"""Traffic over HTTP: from a page's events to the figures, and what an answer may be kept for."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import redis

from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.traffic import run_traffic
from shop_api.app import App, create_app
from tests.factories.traffic import sent
from tests.fixtures.api import ApiClient, Shop
from tests.fixtures.lake import new_lake, now
from tests.fixtures.stores import Database

TRACK = "/api/v1/track"
TRAFFIC = "/api/v1/analytics/traffic"
DASHBOARD = "/api/v1/analytics/dashboard"


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, lake: LakeContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application that reads the lake of this module."""
    settings = database.settings(tmp_path_factory.mktemp("data"), redis_url, lake_url=lake.location)
    built = create_app(settings)
    yield built
    built.close()


def take_in(app: App, lake: LakeContext, client: redis.Redis) -> None:
    """Bring everything into the lake, and wait until the application follows."""
    run_export(lake, now())
    run_traffic(lake, client, now())
    newest = run_export(lake, datetime.now(UTC)).snapshot
    assert newest is not None
    deadline = time.monotonic() + 5
    while app.lake.snapshot().id < newest.id:
        assert time.monotonic() < deadline, "the new snapshot is not seen"
        time.sleep(0.005)


def test_what_visitors_do_is_seen_in_the_figures(
    app: App, lake: LakeContext, shop: Shop, redis_client: redis.Redis
) -> None:
    product = shop.product(name="Mug")
    take_in(app, lake, redis_client)
    today = {"period": "today"}
    # kept from here on, until the tenant's files are others
    for _ in range(2):
        assert shop.api.get(DASHBOARD, query=today).json["traffic"]["sessions"] == 0
    at = now() - timedelta(seconds=5)
    if at.hour == 0 and at.minute == 0:
        at = now()
    mug = {"product_id": product["id"]}
    events = [
        sent("page_view", at, path="/", referrer_host="www.example.com"),
        sent("product_view", at + timedelta(seconds=1), **mug),
        sent("purchase", at + timedelta(seconds=2)),
        sent("page_view", at, visitor_id="v_2"),
        sent("page_view", at, visitor_id="v_3", user_agent="Googlebot/2.1"),
    ]
    assert shop.api.post(TRACK, {"events": events}).json["accepted"] == 5
    take_in(app, lake, redis_client)
    answered = shop.api.get(TRAFFIC, query=today)
    assert answered.status == 200, answered.body
    figures = answered.json
    assert figures["metrics"]["sessions"] == 2
    assert figures["metrics"]["visitors"] == 2
    assert figures["metrics"]["conversion_rate"] == Decimal("0.5000")
    assert figures["visitors_online"] == 2
    assert figures["top_products"][0]["name"] == "Mug"
    assert {one["referrer_host"] for one in figures["sources"]["by_referrer"]} == {
        None,
        "www.example.com",
    }
    both = shop.api.get(TRAFFIC, query={**today, "include_bots": "true"}).json
    assert both["metrics"]["sessions"] == 3
    dashboard = shop.api.get(DASHBOARD, query=today).json
    assert dashboard["traffic"]["sessions"] == 2
    assert [step["sessions"] for step in dashboard["conversion_funnel"]["steps"]] == [2, 1, 1, 1, 1]


def test_another_tenant_sees_nothing_of_it(
    app: App, lake: LakeContext, shop: Shop, other_shop: Shop, redis_client: redis.Redis
) -> None:
    shop.api.post(TRACK, {"events": [sent()]})
    take_in(app, lake, redis_client)
    figures = other_shop.api.get(TRAFFIC).json
    assert (figures["metrics"]["sessions"], figures["visitors_online"]) == (0, 0)
    assert shop.api.get(TRAFFIC).json["metrics"]["sessions"] == 1


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"period": "all"}, "period"),
        ({"include_bots": "yes"}, "include_bots"),
        ({"compare": "before"}, "compare"),
        ({"interval": "minute"}, "interval"),
        ({"from": "2026-01-01"}, "to"),
    ],
)
def test_questions_of_another_form_are_refused(
    app: App, lake: LakeContext, shop: Shop, query: dict[str, str], parameter: str
) -> None:
    run_export(lake, now())
    refused = shop.api.get(TRAFFIC, query=query)
    assert (refused.status, refused.code) == (400, "invalid_parameter")
    assert refused.json["errors"][0]["pointer"] == parameter


def test_who_may_not_read_figures_reads_none(shop: Shop) -> None:
    made = shop.api.post("/api/v1/api_keys", {"name": "page", "kind": "publishable"})
    page: ApiClient = shop.api.with_token(made.json["key"])
    assert page.get(TRAFFIC).code == "insufficient_scope"
