"""Imports over HTTP: asked for, run by a worker, reported."""

from pathlib import Path

import pytest

from shop_api.app import App
from shop_api.domains.imports.tasks import ImportRunner
from shop_api.kernel.clock import utc_now
from tests.factories.exports import mapping_text
from tests.factories.imports import query
from tests.fixtures.api import Shop
from tests.fixtures.imports import new_runner, send, write_bad_export
from tests.fixtures.stores import Database


@pytest.fixture
def runner(database: Database, app: App) -> ImportRunner:
    """The worker's part."""
    return new_runner(database, app)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export with one bad line."""
    return write_bad_export(tmp_path)


def test_an_import_is_queued_run_and_reported(
    shop: Shop, runner: ImportRunner, folder: Path
) -> None:
    queued = send(shop.api, folder, mapping_text())
    assert queued.status == 202, queued.body
    job = queued.json
    assert (job["state"], job["mapping"], job["progress_ratio"]) == ("queued", "corner_shop", 0)
    path = f"/api/v1/jobs/{job['id']}"
    assert queued.headers["Location"] == path
    replayed = send(shop.api, folder, mapping_text())
    assert (replayed.headers["Idempotency-Replayed"], replayed.body) == ("true", queued.body)

    runner.run(utc_now())

    done = shop.api.get(path).json
    assert (done["state"], done["error"], done["progress_ratio"]) == ("succeeded", None, 1)
    counts = {"read": 3, "created": 2, "updated": 0, "unchanged": 0, "rejected": 1}
    assert done["counts"]["orders"] == counts
    assert (done["rejected_count"], done["error_count"]) == (2, 2)
    assert done["errors_url"] == f"{path}/errors"
    errors = shop.api.get(f"{path}/errors", headers={"Accept": "text/csv"})
    assert errors.headers["Content-Disposition"] == f'attachment; filename="errors-{job["id"]}.csv"'
    assert errors.body.decode() == (
        "file,row,column,reason\n"
        "lines.csv,5,code,there is no product '=P9'\n"
        "orders.csv,3,,refused with its row 5 of lines.csv\n"
    )
    page = shop.api.get("/api/v1/jobs", query={"state": "succeeded", "include_total": "true"}).json
    assert ([row["id"] for row in page["data"]], page["total"]) == ([job["id"]], 1)
    found = shop.api.get("/api/v1/products").json["data"]
    assert sorted(product["external_id"] for product in found) == ["P1", "P2", "P3"]


def test_a_job_finished_is_told_on_the_spine(
    database: Database, shop: Shop, runner: ImportRunner, folder: Path
) -> None:
    job = send(shop.api, folder, mapping_text()).json
    runner.run(utc_now())
    assert query(
        database,
        shop.tenant_id,
        "SELECT subject_type, subject_id::text, data->>'state' FROM events"
        " WHERE type = 'import_finished'",
    ) == [("job", job["id"], "succeeded")]
    assert query(database, shop.tenant_id, "SELECT count(*) FROM job_files") == [(0,)]


@pytest.mark.parametrize(
    ("mapping", "preset", "code", "detail"),
    [
        (None, None, "preset_or_mapping", "neither was"),
        ("name: x", "olist", "preset_or_mapping", "not both"),
        ("name: x", None, "invalid_mapping", "missing required field `files`"),
        (None, "olist", "invalid_import_file", "does not name a file `customers.csv`"),
        (
            mapping_text().replace("lines.csv", "rows.csv"),
            None,
            "invalid_import_file",
            "does not name a file `lines.csv`, only: ",
        ),
    ],
)
def test_an_import_that_cannot_be_run_is_refused_at_once(
    shop: Shop, folder: Path, mapping: str | None, preset: str | None, code: str, detail: str
) -> None:
    refused = send(shop.api, folder, mapping, preset)
    assert (refused.status, refused.code) == (422, code)
    assert detail in refused.json["detail"]
    assert shop.api.get("/api/v1/jobs").json["data"] == []


def test_an_unknown_preset_names_the_known(shop: Shop, folder: Path) -> None:
    refused = send(shop.api, folder, None, "nobody")
    assert (refused.status, refused.code) == (400, "invalid_parameter")
    known = "Must be one of: maven_toy_store, olist, shopify, woocommerce."
    assert refused.json["errors"] == [{"pointer": "preset", "detail": known}]


def test_a_missing_file_is_named(shop: Shop, folder: Path) -> None:
    (folder / "lines.csv").unlink()
    refused = send(shop.api, folder, mapping_text())
    assert refused.json["detail"] == "The mapping needs files that were not sent: lines.csv."


def test_no_files_at_all(shop: Shop, tmp_path: Path) -> None:
    refused = shop.api.post("/api/v1/imports", query={"preset": "olist"})
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"] == [{"pointer": "/files", "detail": "Missing: it is required."}]


def test_a_file_that_does_not_fit_its_mapping_fails_the_job(
    shop: Shop, runner: ImportRunner, folder: Path
) -> None:
    (folder / "lines.csv").write_text("order;article\n")
    job = send(shop.api, folder, mapping_text()).json
    runner.run(utc_now())
    failed = shop.api.get(f"/api/v1/jobs/{job['id']}").json
    assert failed["state"] == "failed"
    assert failed["error"].startswith("lines.csv has no column `code`")


def test_a_product_made_here_keeps_its_own_variant(
    shop: Shop, runner: ImportRunner, folder: Path
) -> None:
    made = shop.product(name="Our mug", external_id="P1", price="5.00")
    send(shop.api, folder, mapping_text())
    runner.run(utc_now())
    product = shop.api.get(f"/api/v1/products/{made['id']}").json
    assert (product["name"], len(product["variants"])) == ("Mug", 1)


def test_jobs_stay_between_their_tenants(shop: Shop, other_shop: Shop, folder: Path) -> None:
    job = send(shop.api, folder, mapping_text()).json
    path = f"/api/v1/jobs/{job['id']}"
    assert other_shop.api.get(path).status == 404
    assert other_shop.api.get(f"{path}/errors").status == 404
    assert other_shop.api.post(f"{path}/cancel").status == 404
    assert other_shop.api.get("/api/v1/jobs").json["data"] == []


def test_an_import_in_another_currency_is_refused_at_once(shop: Shop, folder: Path) -> None:
    refused = send(shop.api, folder, f"currency: BRL\n{mapping_text()}")
    assert (refused.status, refused.code) == (409, "wrong_currency")
    assert shop.api.get("/api/v1/jobs").json["data"] == []


def test_a_mapping_names_a_currency_that_exists(shop: Shop, folder: Path) -> None:
    refused = send(shop.api, folder, f"currency: EURO\n{mapping_text()}")
    assert (refused.status, refused.code) == (422, "invalid_mapping")
