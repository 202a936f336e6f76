"""A report's rows as a file: CSV, Excel or Parquet, typed by its columns, in bounded memory.

Belongs here: how a value of each column type is written in each format. Does not: which rows
(each report's module) and HTTP. A file is written whole before its first byte is sent: a query that
fails is an error and no half of a file, and no slow client holds an engine's turn.
"""

import csv
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from xlsxwriter import Workbook

from analytics.contracts.contract import Column
from analytics.engine import Row, write_parquet

FileFormat = Literal["csv", "xlsx", "parquet"]
FILE_FORMATS: tuple[str, ...] = get_args(FileFormat)
CONTENT_TYPES: dict[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}

# What a spreadsheet would run as a formula is written as text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# Rows of an Excel sheet below its header, and the digits its numbers hold exactly.
SHEET_ROWS = 1_048_575
EXCEL_DIGITS = 15
# Quotients have four digits, whatever the currency's.
QUOTIENT_EXPONENT = -4
# More than any tenant has: the limit of who wants all.
EVERY_ROW = 2**40
PART_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by their columns, a part at a time."""

    title: str
    columns: tuple[Column, ...]
    # of the amounts
    digits: int
    # what an Excel file says of when it was made
    as_of: datetime
    batches: Iterator[list[Row]]


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file to download. It is gone when it is closed."""

    name: str
    content_type: str
    # open at its beginning
    content: BinaryIO
    size_bytes: int
    # the same content, the same digest
    digest: int

    def read_in_parts(self) -> Iterator[bytes]:
        """The content, closed at its end."""
        with self.content as file:
            while part := file.read(PART_BYTES):
                yield part


def write_file(name: str, form: str, table: Table) -> ReportFile:
    """The table as the file `<name>.<form>`."""
    with tempfile.TemporaryDirectory(prefix="shop-report-") as folder:
        path = Path(folder) / f"table.{form}"
        WRITERS[form](path, table)
        digest = blake2b(digest_size=7)
        content = path.open("rb")
        while part := content.read(PART_BYTES):
            digest.update(part)
        size_bytes = content.tell()
        content.seek(0)
    return ReportFile(
        f"{name}.{form}", CONTENT_TYPES[form], content, size_bytes, int(digest.hexdigest(), 16)
    )


def _write_csv(path: Path, table: Table) -> None:
    """RFC 4180 in UTF-8: exact decimals, instants in UTC, nothing for null."""
    names = [column.name for column in table.columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for rows in table.batches:
            writer.writerows([_csv_value(row[name]) for name in names] for row in rows)


def _csv_value(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return _text(value)


def _text(value: Any) -> Any:
    """A value as text that says all of it; None stays None."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else value


def _write_parquet(path: Path, table: Table) -> None:
    """Columns of their contract types: decimals as DECIMAL, instants as UTC microseconds."""
    lines = path.with_suffix(".ndjson")
    names = [column.name for column in table.columns]
    with lines.open("w", encoding="utf-8") as file:
        for rows in table.batches:
            for row in rows:
                values = {name: _text(row[name]) for name in names}
                file.write(json.dumps(values, ensure_ascii=False) + "\n")
    write_parquet(lines, path, {column.name: column.sql_type for column in table.columns})


def _write_xlsx(path: Path, table: Table) -> None:
    """One sheet, and another for each million rows; no cell is a formula or a link.

    Instants are in UTC. Excel's numbers hold 15 digits: an amount that has more is text.
    """
    options = {
        "constant_memory": True,
        "tmpdir": str(path.parent),
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with Workbook(str(path), options) as book:
        book.set_properties({"created": table.as_of.astimezone(UTC).replace(tzinfo=None)})
        decimals = f".{'0' * table.digits}" if table.digits else ""
        formats = {
            Decimal: book.add_format({"num_format": f"#,##0{decimals}"}),
            # a quotient is finer than an amount: in yen 0.4000 would be shown as 0
            Fraction: book.add_format({"num_format": "#,##0.0000"}),
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            date: book.add_format({"num_format": "yyyy-mm-dd"}),
        }
        sheet, number = None, SHEET_ROWS
        for rows in table.batches:
            for row in rows:
                if number == SHEET_ROWS:
                    sheet, number = _new_sheet(book, table), 0
                number += 1
                for place, column in enumerate(table.columns):
                    _write_cell(sheet, number, place, row[column.name], formats)
        if sheet is None:
            _new_sheet(book, table)


def _new_sheet(book: Any, table: Table) -> Any:
    title = table.title if not book.worksheets() else f"{table.title} {len(book.worksheets()) + 1}"
    sheet = book.add_worksheet(title)
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(table.columns):
        sheet.write_string(0, place, column.name)
    return sheet


def _write_cell(sheet: Any, row: int, place: int, value: Any, formats: dict[type, Any]) -> None:
    if value is None:
        return
    if isinstance(value, datetime):
        local = value.astimezone(UTC).replace(tzinfo=None)
        sheet.write_datetime(row, place, local, formats[datetime])
    elif isinstance(value, date):
        sheet.write_datetime(row, place, value, formats[date])
    elif isinstance(value, bool):
        sheet.write_boolean(row, place, value)
    elif isinstance(value, Decimal | int) and len(Decimal(value).as_tuple().digits) <= EXCEL_DIGITS:
        is_quotient = isinstance(value, Decimal) and value.as_tuple()[2] == QUOTIENT_EXPONENT
        kind = Fraction if is_quotient else type(value)
        sheet.write_number(row, place, value, formats.get(kind))
    else:
        sheet.write_string(row, place, str(_text(value)))


WRITERS: dict[str, Callable[[Path, Table], None]] = {
    "csv": _write_csv,
    "xlsx": _write_xlsx,
    "parquet": _write_parquet,
}
