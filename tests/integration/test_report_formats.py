"""What a report's file holds, read back by other means than wrote it."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from analytics.contracts.contract import Column
from analytics.reports import formats
from analytics.reports.formats import FILE_FORMATS, ReportFile, Table, write_file

COLUMNS = (
    Column("id", "text", "An id."),
    Column("name", "text", "A name.", is_nullable=True),
    Column("units", "integer", "Units."),
    Column("amount", "money_sum", "An amount.", is_nullable=True),
    Column("at", "instant", "When."),
)
AT = datetime(2026, 3, 8, 7, 30, 0, 123456, tzinfo=UTC)
HUGE = Decimal("1234567890123456789.25")
ROWS: list[dict[str, Any]] = [
    {"id": "0001", "name": "=1+1", "units": -3, "amount": Decimal("-19.90"), "at": AT},
    {"id": "3.65E+11", "name": 'two\n"lines", ü', "units": 0, "amount": HUGE, "at": AT},
    {"id": "x", "name": None, "units": 2**40, "amount": None, "at": AT},
    {"id": "y", "name": "", "units": 1, "amount": Decimal("0.00"), "at": AT},
]
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def made(form: str, rows: list[dict[str, Any]], as_of: datetime = AT) -> ReportFile:
    """The file of rows that come two at a time."""
    parts: Iterator[list[dict[str, Any]]] = (rows[at : at + 2] for at in range(0, len(rows), 2))
    return write_file("rows", form, Table("Rows", COLUMNS, 2, as_of, parts))


def content(file: ReportFile) -> bytes:
    return b"".join(file.read_in_parts())


def cells(data: bytes, sheet: int = 1) -> list[list[tuple[str, str]]]:
    """The rows of a sheet as (type, text) of each cell."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        root = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{sheet}.xml"))
    return [
        [(cell.get("t", "n"), "".join(cell.itertext())) for cell in row.iter(f"{SHEET}c")]
        for row in root.iter(f"{SHEET}row")
    ]


def test_csv_is_exact_and_runs_nothing() -> None:
    text = content(made("csv", ROWS)).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["id", "name", "units", "amount", "at"]
    instant = "2026-03-08T07:30:00.123456Z"
    assert rows == [
        # a number of ours may be negative, a text is never a formula
        ["0001", "'=1+1", "-3", "-19.90", instant],
        ["3.65E+11", 'two\n"lines", ü', "0", "1234567890123456789.25", instant],
        ["x", "", "1099511627776", "", instant],
        ["y", "", "1", "0.00", instant],
    ]


@pytest.mark.parametrize("start", formats.FORMULA_STARTS)
def test_csv_holds_no_formula(start: str) -> None:
    rows = [{**ROWS[0], "name": f"{start}cmd|' /C calc'!A0"}]
    (_, row) = csv.reader(io.StringIO(content(made("csv", rows)).decode(), newline=""))
    assert row[1] == f"'{start}cmd|' /C calc'!A0"


def test_parquet_is_typed_and_exact() -> None:
    frame = pl.read_parquet(io.BytesIO(content(made("parquet", ROWS))))
    assert frame.schema == {
        "id": pl.String,
        "name": pl.String,
        "units": pl.Int64,
        "amount": pl.Decimal(38, 4),
        "at": pl.Datetime("us", "UTC"),
    }
    assert frame.to_dicts() == ROWS


def test_excel_has_numbers_where_they_are_exact_and_no_formula() -> None:
    data = content(made("xlsx", ROWS))
    header, *rows = cells(data)
    assert [text for _, text in header] == ["id", "name", "units", "amount", "at"]
    assert rows[0][:4] == [
        ("inlineStr", "0001"), ("inlineStr", "=1+1"), ("n", "-3"), ("n", "-19.90"),
    ]  # fmt: skip
    assert rows[1][0] == ("inlineStr", "3.65E+11")
    assert rows[1][3] == ("inlineStr", "1234567890123456789.25")
    # 8 March 2026, 07:30 as days since 1900
    assert rows[0][4][0] == "n"
    assert float(rows[0][4][1]) == pytest.approx(46089 + 7.5 / 24, abs=1e-5)
    # what is null is no cell
    assert [text for _, text in rows[2]][:2] == ["x", "1099511627776"]
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")
        assert b"2026-03-08T07:30:00" in book.read("docProps/core.xml")


def test_excel_takes_another_sheet_when_one_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "SHEET_ROWS", 3)
    data = content(made("xlsx", ROWS))
    assert [len(cells(data, sheet)) for sheet in (1, 2)] == [4, 2]
    assert cells(data, 2)[1][0] == ("inlineStr", "y")


@pytest.mark.parametrize("form", FILE_FORMATS)
def test_a_file_without_rows_has_its_columns(form: str) -> None:
    data = content(made(form, []))
    if form == "csv":
        assert data == b"id,name,units,amount,at\r\n"
    elif form == "xlsx":
        assert [[text for _, text in row] for row in cells(data)] == [
            ["id", "name", "units", "amount", "at"]
        ]
    else:
        frame = pl.read_parquet(io.BytesIO(data))
        assert (frame.height, frame.columns) == (0, ["id", "name", "units", "amount", "at"])


@pytest.mark.parametrize("form", FILE_FORMATS)
def test_the_same_rows_are_the_same_file(form: str) -> None:
    one, same, other = made(form, ROWS), made(form, ROWS), made(form, ROWS[:3])
    assert (one.name, one.digest, one.size_bytes) == (f"rows.{form}", same.digest, same.size_bytes)
    assert other.digest != one.digest
    assert len(content(one)) == one.size_bytes
    assert one.content.closed


def test_excel_shows_all_digits_of_a_quotient() -> None:
    rows = [{**ROWS[0], "amount": Decimal(text)} for text in ("19.90", "0.8150")]
    with zipfile.ZipFile(io.BytesIO(content(made("xlsx", rows)))) as book:
        root = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        styles = ElementTree.fromstring(book.read("xl/styles.xml"))
    codes = {n.get("numFmtId"): n.get("formatCode") for n in styles.iter(f"{SHEET}numFmt")}
    [used] = styles.iter(f"{SHEET}cellXfs")
    shown = [
        codes[used[int(cell.get("s", "0"))].get("numFmtId")]
        for cell in root.iter(f"{SHEET}c")
        if cell.get("r", "") in ("D2", "D3")
    ]
    assert shown == ["#,##0.00", "#,##0.0000"]
