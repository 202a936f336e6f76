"""Reports over HTTP: listed, opened, downloaded, and nobody else's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from pipelines.context import LakeContext
from pipelines.figures import Figures
from pipelines.report_jobs import make_due_reports
from pipelines.runner import run_export
from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.models import tenants
from shop_api.spine.jobs import WorkerContext
from tests.fixtures.api import ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

REPORTS = "/api/v1/reports"
DAYS = 3


def age(database: Database, tenant_id: UUID, days: int) -> None:
    """Let the shop have opened that many days ago."""
    with tenant_session(database.engine, tenant_id) as session:
        created_at = datetime.now(UTC) - timedelta(days=days)
        session.execute(tenants.update().values(created_at=created_at))


@pytest.fixture(scope="module")
def worker(app: App, database: Database, redis_url: str) -> Iterator[WorkerContext]:
    """A worker over this application's lake, which makes reports from midnight on."""
    settings = app.services.settings.model_copy(update={"report_hour": 0})
    with redis.Redis.from_url(redis_url) as client:
        yield WorkerContext(
            settings, database.engine, database.exporter_engine, database.waker, client
        )


@pytest.fixture(scope="module")
def lake(database: Database, worker: WorkerContext) -> LakeContext:
    return new_lake(database, Path(worker.lake_location))


@pytest.fixture(scope="module")
def reported(
    database: Database, worker: WorkerContext, lake: LakeContext, api: ApiClient
) -> Iterator[Shop]:
    """A shop with the reports of three days."""
    shop = open_shop(api)
    age(database, shop.tenant_id, 10)
    shop.product()
    now = datetime.now(UTC)
    run_export(lake, now)
    figures = Figures(worker)
    for days_ago in reversed(range(DAYS)):
        assert make_due_reports(worker, figures, now - timedelta(days=days_ago)) >= 1
    yield shop
    figures.engine.close()


def listed(shop: Shop, **query: Any) -> list[dict[str, Any]]:
    answered = shop.api.get(REPORTS, query=query)
    assert answered.status == 200, answered.body
    data: list[dict[str, Any]] = answered.json["data"]
    return data


def test_newest_first_page_by_page(reported: Shop) -> None:
    everything = listed(reported)
    assert len(everything) == DAYS + 6
    days = [report["period"]["from"] for report in everything]
    assert days == sorted(days, reverse=True)
    first = reported.api.get(REPORTS, query={"limit": 2, "include_total": "true"}).json
    assert first["total"] == DAYS + 6
    rest = listed(reported, after=first["page_info"]["end_cursor"])
    assert first["data"] + rest == everything
    assert listed(reported, kind="daily_sales") == everything
    assert reported.api.get(REPORTS, query={"kind": "weekly"}).status == 400


def test_files_are_downloaded_as_they_were_made(reported: Shop) -> None:
    report = listed(reported)[0]
    assert reported.api.get(f"{REPORTS}/{report['id']}").json == report
    by_format = {file["format"]: file for file in report["files"]}
    assert set(by_format) == {"csv", "html"}
    page = reported.api.get(by_format["html"]["url"])
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "style-src 'unsafe-inline'" in page.headers["Content-Security-Policy"]
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert len(page.body) == by_format["html"]["size_bytes"]
    assert report["title"].encode() in page.body
    table = reported.api.get(by_format["csv"]["url"])
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert (
        f'filename="daily_sales-{report["period"]["from"]}.csv"'
        in (table.headers["Content-Disposition"])
    )
    assert table.body.startswith(b"date,currency,orders,")


def test_nobody_elses(reported: Shop, other_shop: Shop) -> None:
    report = listed(reported)[0]
    assert listed(other_shop) == []
    paths = [f"{REPORTS}/{report['id']}", *(file["url"] for file in report["files"])]
    for path in paths:
        answered = other_shop.api.get(path)
        assert (answered.status, answered.code) == (404, "not_found")
        assert reported.api.get(path).status == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{REPORTS}/7", 400, "invalid_id"),
        (f"{REPORTS}/01a1fce3-c471-76f1-9dd2-35de4e863909", 404, "not_found"),
        (f"{REPORTS}/01a1fce3-c471-76f1-9dd2-35de4e863909/files/pdf", 404, "route_not_found"),
        (f"{REPORTS}?kind=daily_sales&shape=round", 400, "unknown_parameter"),
    ],
)
def test_what_is_not_there(reported: Shop, path: str, status: int, code: str) -> None:
    answered = reported.api.get(path)
    assert (answered.status, answered.code) == (status, code)
