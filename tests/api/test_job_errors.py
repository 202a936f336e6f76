"""A job's errors: in pages of JSON, whole as NDJSON and CSV, while it runs and after."""

import csv
import io
import tracemalloc
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import brotli
import msgspec
import pytest
import zstandard
from werkzeug.test import EnvironBuilder, run_wsgi_app

from shop_api.app import App
from shop_api.bulk.loader import Loader
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.clock import utc_now
from shop_api.kernel.ids import new_id
from shop_api.models import jobs
from tests.factories.exports import mapping_text
from tests.factories.operations import make_job
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop
from tests.fixtures.imports import new_runner, send, write_bad_export
from tests.fixtures.stores import Database

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
FILL = """
INSERT INTO job_rejects (tenant_id, job_id, position, file, row, "column", reason)
SELECT %s, %s, n, 'goods.csv', n, CASE WHEN n %% 2 = 0 THEN '=title' END, 'reason ' || n
FROM generate_series(1, %s) n
"""


def path_of(job_id: UUID) -> str:
    return f"/api/v1/jobs/{job_id}/errors"


def make_failed_job(app: App, shop: Shop, error_count: int) -> UUID:
    """A job with so many errors."""
    job_id = new_id(utc_now())
    values: dict[str, Any] = {"kind": "import", "state": "failed", "params": {}}
    who = {"actor": "user:x", "request_id": "x", "created_at": utc_now(), "updated_at": utc_now()}
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        row = {"tenant_id": shop.tenant_id, "id": job_id, **values, **who}
        session.execute(jobs.insert(), [row])
        session.connection.exec_driver_sql(FILL, (shop.tenant_id, job_id, error_count))
    return job_id


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Shop:
    """One shop for all that only read."""
    return open_shop(api)


@pytest.fixture(scope="module")
def job_id(app: App, shop: Shop) -> UUID:
    """A job with 2 345 errors."""
    return make_failed_job(app, shop, 2345)


def ask(shop: Shop, job_id: UUID, accept: str | None, **options: Any) -> Answered:
    headers = {} if accept is None else {"Accept": accept}
    return shop.api.get(path_of(job_id), headers=headers | options.pop("headers", {}), **options)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        ("application/vnd.shop.v1+json", JSON),
        ("text/*", CSV),
        (CSV, CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        (NDJSON, NDJSON),
        (f"{CSV};q=0.5, {NDJSON};q=0.9", NDJSON),
        (f"{JSON};q=0, {CSV}", CSV),
        ("text/html, */*;q=0.1", JSON),
    ],
)
def test_accept_chooses_the_form(shop: Shop, job_id: UUID, accept: str | None, kind: str) -> None:
    answered = ask(shop, job_id, accept)
    assert answered.status == 200
    assert answered.headers["Content-Type"].split(";")[0] == kind
    assert "Accept" in answered.headers["Vary"].split(", ")


@pytest.mark.parametrize("accept", ["text/html", "image/*", f"{JSON};q=0", "application/xml"])
def test_no_other_form_is_given(shop: Shop, job_id: UUID, accept: str) -> None:
    refused = ask(shop, job_id, accept)
    assert (refused.status, refused.code) == (406, "not_acceptable")
    assert "Accept" in refused.headers["Vary"]


def test_pages_give_each_error_once_in_both_directions(shop: Shop, job_id: UUID) -> None:
    forwards: list[int] = []
    asked: dict[str, Any] = {"limit": 100}
    while True:
        page = ask(shop, job_id, JSON, query=asked)
        forwards += [error["position"] for error in page.json["data"]]
        info = page.json["page_info"]
        assert ('rel="next"' in page.headers.get("Link", "")) == info["has_next_page"]
        if not info["has_next_page"]:
            break
        asked = {"limit": 100, "after": info["end_cursor"]}
    assert forwards == list(range(1, 2346))
    before = ask(shop, job_id, JSON, query={"last": 2, "before": info["start_cursor"]}).json
    assert [error["position"] for error in before["data"]] == [2299, 2300]
    last = ask(shop, job_id, JSON, query={"limit": 2, "order": "desc", "include_total": "true"})
    assert last.json["data"] == [
        {"position": n, "file": "goods.csv", "row": n, "column": column, "reason": f"reason {n}"}
        for n, column in ((2345, None), (2344, "=title"))
    ]
    assert last.json["total"] == 2345


def test_cursors_and_sizes_are_checked(app: App, shop: Shop, job_id: UUID) -> None:
    cursor = ask(shop, job_id, JSON, query={"limit": 1}).json["page_info"]["end_cursor"]
    of_another = make_failed_job(app, shop, 3)
    refused = [
        ask(shop, of_another, JSON, query={"after": cursor}),
        ask(shop, job_id, JSON, query={"after": cursor, "order": "desc"}),
        ask(shop, job_id, JSON, query={"after": cursor[:-2]}),
        ask(shop, job_id, JSON, query={"before": "AAAA"}),
    ]
    assert {(a.status, a.code) for a in refused} == {(400, "invalid_cursor")}
    for query in ({"limit": "0"}, {"limit": "101"}, {"first": "x"}, {"order": "up"}):
        answered = ask(shop, job_id, JSON, query=query)
        assert (answered.status, answered.code) == (400, "invalid_parameter")
    # what is whole has no pages
    for kind in (NDJSON, CSV):
        answered = ask(shop, job_id, kind, query={"limit": 5})
        assert (answered.status, answered.code) == (400, "invalid_parameter")
        assert answered.json["errors"][0]["pointer"] == "limit"


def test_each_form_tells_the_same(shop: Shop, job_id: UUID) -> None:
    lines = ask(shop, job_id, NDJSON).body.splitlines()
    told = [msgspec.json.decode(line) for line in lines]
    assert told[:100] == ask(shop, job_id, JSON, query={"limit": 100}).json["data"]
    assert [error["position"] for error in told] == list(range(1, 2346))
    for kind, how, ending in (
        (JSON, "inline", "json"),
        (NDJSON, "attachment", "ndjson"),
        (CSV, "attachment", "csv"),
    ):
        answered = ask(shop, job_id, kind)
        disposition = f'{how}; filename="errors-{job_id}.{ending}"'
        assert answered.headers["Content-Disposition"] == disposition
    rows = list(csv.DictReader(io.StringIO(answered.body.decode())))
    assert len(rows) == 2345
    # no spreadsheet runs what a file calls its column
    assert rows[1] == {"file": "goods.csv", "row": "2", "column": "'=title", "reason": "reason 2"}
    assert rows[0]["column"] == ""


def test_a_form_that_is_known_is_not_sent_again(shop: Shop, job_id: UUID) -> None:
    tags = {kind: ask(shop, job_id, kind).headers["ETag"] for kind in (JSON, NDJSON, CSV)}
    assert len(set(tags.values())) == 3
    for kind, tag in tags.items():
        again = ask(shop, job_id, kind, headers={"If-None-Match": tag})
        assert (again.status, again.headers["ETag"]) == (304, tag)
        assert "Accept" in again.headers["Vary"].split(", ")
        other = NDJSON if kind == CSV else CSV
        assert ask(shop, job_id, other, headers={"If-None-Match": tag}).status == 200


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
@pytest.mark.parametrize("kind", [NDJSON, CSV])
def test_streams_are_compressed(shop: Shop, job_id: UUID, kind: str, coding: str) -> None:
    plain = ask(shop, job_id, kind)
    packed = ask(shop, job_id, kind, headers={"Accept-Encoding": coding})
    assert packed.headers["Content-Encoding"] == coding
    assert {"Accept", "Accept-Encoding"} <= set(packed.headers["Vary"].split(", "))
    assert packed.headers["ETag"] == plain.headers["ETag"][:-1] + f'-{coding}"'
    unpack: dict[str, Any] = {
        "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
        "br": brotli.decompress,
        "gzip": lambda body: zlib.decompress(body, wbits=31),
    }
    assert unpack[coding](packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 4
    head = shop.api.call(
        "HEAD", path_of(job_id), headers={"Accept": kind, "Accept-Encoding": coding}
    )
    assert (head.status, head.body) == (200, b"")
    assert head.headers["ETag"] == packed.headers["ETag"]


def test_a_job_without_errors_has_an_empty_list(shop: Shop) -> None:
    job_id = UUID(make_job(shop))
    page = ask(shop, job_id, JSON, query={"include_total": "true"}).json
    assert (page["data"], page["total"]) == ([], 0)
    assert ask(shop, job_id, NDJSON).body == b""
    assert ask(shop, job_id, CSV).body == b"file,row,column,reason\n"


@pytest.mark.parametrize("kind", [JSON, NDJSON, CSV])
def test_another_shops_job_has_none(api: ApiClient, job_id: UUID, kind: str) -> None:
    answered = ask(open_shop(api), job_id, kind)
    assert (answered.status, answered.code) == (404, "not_found")


def test_a_job_says_how_many_there_are_and_where(shop: Shop, job_id: UUID) -> None:
    job = shop.api.get(f"/api/v1/jobs/{job_id}").json
    assert (job["error_count"], job["errors_url"]) == (2345, path_of(job_id))
    listed = shop.api.get("/api/v1/jobs", query={"state": "failed", "order": "asc"}).json["data"]
    assert job in listed


def test_errors_are_listed_while_the_job_runs(
    database: Database,
    app: App,
    api: ApiClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With each batch come those that were found before it; at the end each is there once."""
    shop = open_shop(api)
    job = send(shop.api, write_bad_export(tmp_path), mapping_text()).json
    job_id = UUID(job["id"])
    seen: list[tuple[str, int, int, int]] = []
    write = Loader.write

    def write_and_look(loader: Loader, phase: Any, *rest: Any) -> object:
        written = write(loader, phase, *rest)
        if loader.origin.tenant_id != shop.tenant_id:
            return written
        now = shop.api.get(f"/api/v1/jobs/{job_id}").json
        page = ask(shop, job_id, JSON).json["data"]
        seen.append((phase.name, now["rejected_count"], now["error_count"], len(page)))
        assert now["state"] == "running"
        return written

    monkeypatch.setattr(Loader, "write", write_and_look)
    # those of a run that was cut short give way
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        session.connection.exec_driver_sql(FILL, (shop.tenant_id, job_id, 7))
    assert len(ask(shop, job_id, JSON).json["data"]) == 7
    new_runner(database, app).run(utc_now())
    assert seen[0][1:] == (0, 0, 0)
    assert seen[-1] == ("orders", 2, 2, 2)
    found = ask(shop, job_id, JSON).json["data"]
    assert [error["position"] for error in found] == [1, 2]


def streamed(app: App, shop: Shop, job_id: UUID, accept: str) -> Iterable[bytes]:
    headers = [("Accept", accept), ("Authorization", f"Bearer {shop.api.token}")]
    builder = EnvironBuilder(path_of(job_id), headers=headers)
    return run_wsgi_app(app, builder.get_environ())[0]


def test_a_hundred_thousand_take_no_more_memory_than_a_thousand(
    app: App, shop: Shop, job_id: UUID
) -> None:
    many = make_failed_job(app, shop, 100_000)
    sum(len(part) for part in streamed(app, shop, job_id, NDJSON))
    tracemalloc.start()
    try:
        lines = sum(part.count(b"\n") for part in streamed(app, shop, many, NDJSON))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines == 100_000
    assert peak_bytes < 4_000_000


def test_no_connection_is_held_for_a_slow_reader(app: App, shop: Shop, job_id: UUID) -> None:
    parts = iter(streamed(app, shop, job_id, CSV))
    assert next(parts).startswith(b"file,row")
    assert app.services.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert sum(part.count(b"\n") for part in parts) == 1345
