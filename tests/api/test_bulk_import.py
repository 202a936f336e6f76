"""Products from files over HTTP: which mapping, which files, what comes of them."""

import json
from io import BytesIO
from pathlib import Path

import pytest
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import encode_multipart

from shop_api.app import App
from shop_api.domains.imports.tasks import ImportRunner
from shop_api.gateway.body_size import BodySize
from shop_api.kernel.clock import utc_now
from tests.factories.exports import mapping_text, write_table
from tests.fixtures.api import Answered, ApiClient, Shop
from tests.fixtures.imports import error_lines, new_runner
from tests.fixtures.stores import Database

PATH = "/api/v1/products/bulk-import"
COLUMNS = {"external_id": "code", "name": "title", "price": "price", "sku": "code"}
ROWS = [
    {"code": "P1", "title": "Mug", "price": "9.50"},
    {"code": "P2", "title": "", "price": "49.00"},
    {"code": "P3", "title": "Rug", "price": "12,0"},
    {"code": "P4", "title": "Lämp", "price": "49"},
]


@pytest.fixture
def runner(database: Database, app: App) -> ImportRunner:
    """The worker's part."""
    return new_runner(database, app)


def send(
    api: ApiClient,
    files: list[Path] | dict[str, bytes],
    mapping: str | None = None,
    preset: str | None = None,
) -> Answered:
    """POST files of products."""
    if not isinstance(files, dict):
        files = {path.name: path.read_bytes() for path in files}
    parts: MultiDict[str, object] = MultiDict()
    for name, content in files.items():
        parts.add("files", FileStorage(BytesIO(content), name))
    if mapping is not None:
        parts.add("mapping", FileStorage(BytesIO(mapping.encode()), "columns.yaml"))
    boundary, body = encode_multipart(parts)
    return api.post(
        PATH,
        data=body,
        content_type=f"multipart/form-data; boundary={boundary}",
        query={"preset": preset} if preset else None,
    )


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_fields_and_their_columns_are_a_mapping(
    shop: Shop, runner: ImportRunner, tmp_path: Path, ending: str
) -> None:
    path = write_table(tmp_path, "new [goods]", ROWS, ending)
    queued = send(shop.api, [path], json.dumps(COLUMNS))
    assert (queued.status, queued.json["state"]) == (202, "queued"), queued.body
    job_path = f"/api/v1/jobs/{queued.json['id']}"
    assert queued.headers["Location"] == job_path
    runner.run(utc_now())
    done = shop.api.get(job_path).json
    assert (done["state"], done["error"], done["rejected_count"]) == ("succeeded", None, 2)
    written = {"created": 2, "updated": 0, "unchanged": 0}
    assert done["counts"] == {"products": {"read": 4, **written, "rejected": 2}}
    assert error_lines(shop.api, done["id"])[1:] == [
        f"new [goods].{ending},2,title,name is required",
        f"new [goods].{ending},3,price,\"'12,0' is not an amount of 0 or more with at most 12"
        " digits before the decimal mark; USD has 2 decimals, such as 19.90 (decimal mark '.')\"",
    ]
    found = shop.api.get("/api/v1/products", query={"sort": "name", "order": "asc"}).json["data"]
    assert [(p["name"], p["sku"], str(p["price"]), p["status"]) for p in found] == [
        ("Lämp", "P4", "49.00", "active"),
        ("Mug", "P1", "9.50", "active"),
    ]
    again = send(shop.api, [path], json.dumps(COLUMNS)).json["id"]
    runner.run(utc_now())
    counts = shop.api.get(f"/api/v1/jobs/{again}").json["counts"]["products"]
    assert (counts["created"], counts["updated"], counts["unchanged"]) == (0, 0, 2)
    same = shop.api.get("/api/v1/products", query={"sort": "name", "order": "asc"}).json["data"]
    assert same == found


def test_a_mapping_may_be_a_plain_field_of_the_form(shop: Shop) -> None:
    """As `curl -F mapping='{…}'` sends it."""
    parts: MultiDict[str, object] = MultiDict({"mapping": json.dumps(COLUMNS)})
    parts.add("files", FileStorage(BytesIO(b"code,title,price\nP1,Mug,9.50\n"), "goods.csv"))
    boundary, body = encode_multipart(parts)
    form = f"multipart/form-data; boundary={boundary}"
    assert shop.api.post(PATH, data=body, content_type=form).status == 202
    parts.add("colour", "red")
    boundary, body = encode_multipart(parts)
    form = f"multipart/form-data; boundary={boundary}"
    refused = shop.api.post(PATH, data=body, content_type=form)
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/colour")


def test_columns_may_be_told_as_yaml_with_expressions(
    shop: Shop, runner: ImportRunner, tmp_path: Path
) -> None:
    """All files of a request have the same columns."""
    files = [write_table(tmp_path, name, ROWS[:1] if name == "a" else ROWS[3:]) for name in "ab"]
    mapping = (
        "external_id: code\nname: {concat: [title, code], separator: ' '}\n"
        "price: {column: price, decimal_mark: '.'}\nstatus: {constant: draft}\n"
    )
    job = send(shop.api, files, mapping)
    assert job.status == 202, job.body
    runner.run(utc_now())
    found = shop.api.get("/api/v1/products").json["data"]
    assert sorted((p["name"], p["status"]) for p in found) == [
        ("Lämp P4", "draft"),
        ("Mug P1", "draft"),
    ]


def test_a_whole_mapping_of_products_does_too(
    shop: Shop, runner: ImportRunner, tmp_path: Path
) -> None:
    path = write_table(tmp_path, "goods", [{**ROWS[0], "shelf": "Kitchen"}])
    mapping = """
name: goods
files: {goods: {name: goods.csv}}
entities:
  categories: {from: goods, fields: {external_id: shelf, name: shelf}}
  products:
    from: goods
    fields: {external_id: code, name: title, price: price, category: shelf}
"""
    job = send(shop.api, [path], mapping)
    assert (job.status, job.json["mapping"]) == (202, "goods"), job.body
    runner.run(utc_now())
    assert [p["categories"][0]["name"] for p in shop.api.get("/api/v1/products").json["data"]] == [
        "Kitchen"
    ]


@pytest.mark.parametrize(
    ("mapping", "preset", "code", "detail"),
    [
        (None, None, "preset_or_mapping", "neither was"),
        ("{}", "olist", "preset_or_mapping", "not both"),
        ("{}", None, "invalid_mapping", "columns.yaml: external_id is required."),
        ("[1]", None, "invalid_mapping", "columns.yaml: Expected `object`, got `array`."),
        (
            'external_id: x\n"code": x',
            None,
            "invalid_mapping",
            "columns.yaml: code: no such field; there are external_id",
        ),
        ('external_id: x\n"code": x', None, "invalid_mapping", "created_at (line 2)."),
        (
            '{"external_id": 7}',
            None,
            "invalid_mapping",
            "columns.yaml: external_id: Expected `str | object`, got `int` (line 1).",
        ),
        ('name: t\ndelimiter: "ab"', None, "invalid_mapping", "delimiter: one character (line 2)."),
        (
            'name: t\nencoding: "ebcdic"',
            None,
            "invalid_mapping",
            "columns.yaml: encoding: Invalid enum value 'ebcdic' (line 2).",
        ),
        ("name: [t", None, "invalid_mapping", "columns.yaml: Not readable as YAML or JSON: "),
        ("name: [t", None, "invalid_mapping", " in line 1, column 9."),
        (
            '{"external_id": "code", "name": {}, "price": "price"}',
            None,
            "invalid_mapping",
            "name: give one of column, constant",
        ),
        (None, "olist", "not_only_products", "fills customers, orders, order_lines, payments too"),
        (mapping_text(), None, "not_only_products", "send it to POST /api/v1/imports"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_at_once(
    shop: Shop, mapping: str | None, preset: str | None, code: str, detail: str
) -> None:
    refused = send(shop.api, {"goods.csv": b"code\n"}, mapping, preset)
    assert (refused.status, refused.code) == (422, code)
    assert detail in refused.json["detail"]
    assert shop.api.get("/api/v1/jobs").json["data"] == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"code,title,price\nP1,Mu\0g,1\nP\0002,Rug,1\nP3,Lamp,1\0\nP4,Cup,1\n"),
        (
            "a.ndjson",
            b'{"code":"P1","title":"Mu\\u0000g","price":1}\n'
            b'{"code":"P\\u00002","title":"Rug","price":1}\n'
            b'{"code":"P3","title":"Lamp","price":"1\\u0000"}\n'
            b'{"code":"P4","title":"Cup","price":1}\n',
        ),
    ],
)
def test_what_cannot_be_stored_is_refused_row_by_row(
    shop: Shop, runner: ImportRunner, name: str, content: bytes
) -> None:
    job = send(shop.api, {name: content}, json.dumps(COLUMNS)).json["id"]
    runner.run(utc_now())
    done = shop.api.get(f"/api/v1/jobs/{job}").json
    assert (done["state"], done["counts"]["products"]["created"]) == ("succeeded", 1)
    assert [line.split(",")[:3] for line in error_lines(shop.api, job)[1:]] == [
        [name, "1", "title"],
        [name, "2", "code"],
        [name, "2", "code"],
        [name, "3", "price"],
    ]


def test_a_file_in_another_encoding_is_refused_with_what_to_do(
    shop: Shop, runner: ImportRunner
) -> None:
    for content in ("code,title,price\n".encode("utf-16-le"), b"c\xf4de,title,price\n"):
        job = send(shop.api, {"a.csv": content}, json.dumps(COLUMNS)).json["id"]
        runner.run(utc_now())
        done = shop.api.get(f"/api/v1/jobs/{job}").json
        assert done["state"] == "failed"
        assert "the mapping names the `encoding` of a file" in done["error"]


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        (
            "goods.xlsx",
            "goods.xlsx is a spreadsheet, which is not read: save it as CSV UTF-8 (comma"
            " delimited) and send that.",
        ),
        ("goods.txt", "columns.yaml: the name goods.txt does not tell what the file is: let it"),
        ("a/goods.csv", "without a folder"),
        ("g" * 300 + ".csv", "at most 255 characters"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_at_once(shop: Shop, name: str, detail: str) -> None:
    refused = send(shop.api, {name: b"code\n"}, json.dumps(COLUMNS))
    assert refused.status == 422
    assert detail in refused.json["detail"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            b'"code";title;price\r\nP1;Mug;9.50\r\n',
            "The columns of goods.csv are separated by semicolons, not by commas: say"
            ' `delimiter: ";"` of it in the mapping, or save it as CSV UTF-8 (comma delimited).',
        ),
        (
            b"PK\x03\x04\x14\x00\x06\x00xl/workbook.xml",
            "goods.csv is no CSV but begins as an Excel workbook or a zip file does: save it as CSV"
            " UTF-8 (comma delimited) and send that.",
        ),
        (
            "code,title,price\n".encode("utf-16"),
            "goods.csv is UTF-16: say `encoding: utf-16` of it in the mapping, or save it as CSV"
            " UTF-8.",
        ),
    ],
)
def test_a_file_of_another_kind_fails_the_job_with_what_to_do(
    shop: Shop, runner: ImportRunner, content: bytes, error: str
) -> None:
    job = send(shop.api, {"goods.csv": content}, json.dumps(COLUMNS)).json["id"]
    runner.run(utc_now())
    failed = shop.api.get(f"/api/v1/jobs/{job}").json
    assert (failed["state"], failed["error"]) == ("failed", error)


def test_the_short_form_says_how_its_files_are_written(shop: Shop, runner: ImportRunner) -> None:
    content = "code;title;price\nP1;Lämp;9,50\n".encode("cp1252")
    price = {"column": "price", "decimal_mark": ","}
    mapping = {**COLUMNS, "price": price, "delimiter": ";", "encoding": "cp1252"}
    job = send(shop.api, {"goods.txt": content}, json.dumps({**mapping, "format": "csv"})).json
    runner.run(utc_now())
    assert shop.api.get(f"/api/v1/jobs/{job['id']}").json["state"] == "succeeded"
    (found,) = shop.api.get("/api/v1/products").json["data"]
    assert (found["name"], str(found["price"])) == ("Lämp", "9.50")


def test_the_body_may_be_as_large_as_that_of_an_import() -> None:
    stage = BodySize(lambda _: None, 10, 1000)  # type: ignore[arg-type,return-value]
    assert [stage.limit(path) for path in (PATH, "/api/v1/imports", "/api/v1/products")] == [
        1000,
        1000,
        10,
    ]


def test_who_may_only_import_other_things_may_not_import_products(shop: Shop) -> None:
    body = {"name": "importer", "scopes": ["imports:write"]}
    key = shop.api.post("/api/v1/api_keys", body).json["key"]
    refused = send(shop.api.with_token(key), {"a.csv": b"code\n"}, json.dumps(COLUMNS))
    assert (refused.status, refused.code) == (403, "insufficient_scope")
