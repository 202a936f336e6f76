"""Files to chunks of text columns: CSV, NDJSON and Parquet, in bounded memory.

Belongs here: bytes to text columns with row numbers. Does not: what a text means (expressions.py).
A chunk holds at most CHUNK_ROWS rows or CHUNK_CHARACTERS characters, whatever the file's size; a
line longer than LINE_LIMIT is refused and passed over.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import msgspec
import polars as pl

from shop_api.bulk.mapping import (
    SourceFile,
    is_spreadsheet,
    mapping_error,
    unread_spreadsheet,
)
from shop_api.bulk.rejects import storable

CHUNK_ROWS = 50_000
CHUNK_CHARACTERS = 32 * 2**20
LINE_LIMIT = 2**20
COLUMN_LIMIT = 1024
# of the columns that a refusal names
SHOWN_CHARACTERS = 1000
FILE_SIZE_LIMIT_BYTES = 256 * 2**30

# how files begin that are no CSV in UTF-8, whatever their names say
WORKBOOK, OLD_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars (|)"}

# Columns of every chunk beside the file's own; "\0" cannot be in a header that was accepted.
ROW = "\0row"
PROBLEM = "\0problem"


def find_files(folder: Path, source: SourceFile) -> list[Path]:
    """The files of `folder` a source names; a pattern's files in the order of their names."""
    paths = sorted(path for path in folder.glob(source.name) if path.is_file())
    if not paths:
        sheets = [path.name for path in sorted(folder.iterdir()) if is_spreadsheet(path.name)]
        raise mapping_error(
            f"There is no file `{source.name}` in {folder.name or folder}."
            + "".join(f" {unread_spreadsheet(name)}." for name in sheets[:1])
        )
    for path in paths:
        if path.stat().st_size > FILE_SIZE_LIMIT_BYTES:
            raise mapping_error(f"{path.name} is larger than {FILE_SIZE_LIMIT_BYTES} bytes.")
    return paths


def read_chunks(path: Path, source: SourceFile, columns: set[str]) -> Iterator[pl.DataFrame]:
    """The file's rows as frames of ROW, PROBLEM and the text columns; empty text is null."""
    read = {"csv": _read_csv, "ndjson": _read_ndjson, "parquet": _read_parquet}
    for frame in read[source.file_format](path, source, sorted(columns)):
        absent = [pl.lit(None, pl.String).alias(c) for c in sorted(columns - {*frame.columns})]
        texts = pl.col(sorted(columns.intersection(frame.columns)))
        yield frame.with_columns(pl.when(texts != "").then(texts).name.keep(), *absent)


def absent_columns(paths: list[Path], source: SourceFile) -> set[str]:
    """The optional columns that none of the files has."""
    absent = set(source.optional_columns)
    for path in paths:
        if not absent:
            break
        absent.difference_update(_columns(path, source, absent))
    return absent


def _columns(path: Path, source: SourceFile, asked: set[str]) -> Iterable[str]:
    """The file's columns; a file without a header may have any that is asked for."""
    if source.file_format == "ndjson":
        return asked
    if source.file_format == "parquet":
        return list(_parquet_schema(path))
    _check_delimiter(path, source, sorted(asked))
    with _open_csv(path, source) as handle:
        lines = _Lines(handle)
        return _header(path, _csv_reader(lines, source), lines)


def _open_csv(path: Path, source: SourceFile) -> IO[str]:
    """The file as text, unless it begins as something else does."""
    with path.open("rb") as handle:
        start = handle.read(len(OLD_WORKBOOK))
    if start.startswith((WORKBOOK, OLD_WORKBOOK)):
        raise mapping_error(
            f"{path.name} is no CSV but begins as an Excel workbook or a zip file does: save it as"
            " CSV UTF-8 (comma delimited) and send that."
        )
    if start.startswith(UTF_16) and source.encoding != "utf-16":
        raise mapping_error(
            f"{path.name} is UTF-16: say `encoding: utf-16` of it in the mapping, or save it as CSV"
            " UTF-8."
        )
    return path.open(encoding=_encoding(source), errors="surrogateescape", newline="")


def _encoding(source: SourceFile) -> str:
    return "utf-8-sig" if source.encoding == "utf-8" else source.encoding


def _csv_reader(lines: "_Lines", source: SourceFile) -> Iterator[list[str]]:
    # of the whole process, which reads no CSV elsewhere
    csv.field_size_limit(LINE_LIMIT)
    return csv.reader(lines, delimiter=source.delimiter, quotechar=source.quote, strict=True)


@dataclass
class _Lines:
    """The lines of a text file, none longer than LINE_LIMIT."""

    handle: IO[str]
    character_count: int = 0
    has_overflowed: bool = False

    def __iter__(self) -> Iterator[str]:
        while line := self.handle.readline(LINE_LIMIT):
            self.character_count += len(line)
            if len(line) == LINE_LIMIT and not line.endswith("\n"):
                self.has_overflowed = True
                while (rest := self.handle.readline(LINE_LIMIT)) and not rest.endswith("\n"):
                    pass
                line = "\n"
            yield line


def _read_csv(path: Path, source: SourceFile, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    _check_delimiter(path, source, columns)
    with _open_csv(path, source) as handle:
        lines = _Lines(handle)
        reader = _csv_reader(lines, source)
        header = _header(path, reader, lines)
        columns = _present(columns, header, source)
        indexes = [_column_index(path, header, column) for column in columns]
        records: list[Sequence[str | None]] = []
        problems: dict[int, str] = {}
        first = 1
        nothing: list[str | None] = [None] * len(header)
        for record, problem in _records(reader, lines, len(header)):
            if problem is not None:
                problems[len(records)] = problem
            records.append(nothing if record is None else record)
            if len(records) >= CHUNK_ROWS or lines.character_count >= CHUNK_CHARACTERS:
                yield _frame(columns, indexes, records, first, problems)
                first += len(records)
                records, problems = [], {}
                lines.character_count = 0
        yield _frame(columns, indexes, records, first, problems)


def _header(path: Path, reader: Iterator[list[str]], lines: _Lines) -> list[str]:
    try:
        # blank lines may come before it
        header = next((record for record in reader if record or lines.has_overflowed), None)
    except csv.Error as error:
        raise mapping_error(f"The first line of {path.name} is not readable: {error}.") from error
    if lines.has_overflowed:
        raise mapping_error(
            f"The first line of {path.name} is longer than {LINE_LIMIT} characters."
        )
    if header is None:
        raise mapping_error(f"{path.name} is empty.")
    if len(header) > COLUMN_LIMIT:
        raise mapping_error(f"{path.name} has more than {COLUMN_LIMIT} columns.")
    return header


def _present(columns: Sequence[str], header: list[str], source: SourceFile) -> list[str]:
    """The columns without those that may be absent and are."""
    return [c for c in columns if c in header or c not in source.optional_columns]


def _check_delimiter(path: Path, source: SourceFile, columns: Sequence[str]) -> None:
    """Refuse a file whose columns only another delimiter tells apart, and name it."""
    with _open_csv(path, source) as handle:
        line = handle.readline(LINE_LIMIT)
    for other in dict.fromkeys((source.delimiter, *DELIMITERS)):
        try:
            header = next(csv.reader([line], delimiter=other, quotechar=source.quote), [])
        except csv.Error:
            continue
        if {*columns}.isdisjoint(header):
            continue
        if other == source.delimiter:
            return
        present = DELIMITERS.get(source.delimiter, source.delimiter)
        said = other.replace("\t", "\\t")
        raise mapping_error(
            f"The columns of {path.name} are separated by {DELIMITERS[other]}, not by {present}:"
            f' say `delimiter: "{said}"` of it in the mapping, or save it as CSV UTF-8 (comma'
            " delimited)."
        )


def _column_index(path: Path, header: list[str], column: str) -> int:
    if header.count(column) != 1:
        what = "no column" if column not in header else "more than one column"
        raise mapping_error(f"{path.name} has {what} `{column}`; its columns are: {_shown(header)}")
    return header.index(column)


def _shown(header: list[str]) -> str:
    """The columns in a sentence."""
    names = ", ".join(header)
    said = storable(names[:SHOWN_CHARACTERS])
    if said != names[:SHOWN_CHARACTERS]:
        return f"{said}. That is no text: the mapping names the `encoding` of a file."
    return f"{said}…" if len(names) > SHOWN_CHARACTERS else f"{said}."


def _records(
    reader: Iterator[list[str]], lines: _Lines, width: int
) -> Iterator[tuple[list[str] | None, str | None]]:
    """Each record with what is wrong with it; a record that cannot be read at all is None."""
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if str(error).startswith("field larger than field limit"):
                # where the next row begins is not known: the rest of the cell is no row
                yield None, f"a cell longer than {LINE_LIMIT} characters; nothing after it was read"
                return
            yield None, f"not readable as CSV: {error}"
            continue
        if lines.has_overflowed:
            lines.has_overflowed = False
            yield None, f"a line longer than {LINE_LIMIT} characters"
        elif len(record) == width:
            yield record, None
        elif record:
            problem = f"{len(record)} fields where the header has {width}"
            yield (record + [""] * width)[:width], problem


def _frame(
    columns: Sequence[str],
    indexes: Sequence[int],
    records: list[Sequence[str | None]],
    first: int,
    problems: dict[int, str],
) -> pl.DataFrame:
    """A chunk of records, the first of which is row `first`; `problems` by place in the chunk."""
    try:
        series = [
            pl.Series(column, [record[i] for record in records], pl.String)
            for column, i in zip(columns, indexes, strict=True)
        ]
    except UnicodeEncodeError:
        # bytes that are no text in the file's encoding came in as lone surrogates
        readable = [_readable_record(record, i, problems) for i, record in enumerate(records)]
        return _frame(columns, indexes, readable, first, problems)
    said: list[str | None] = [None] * len(records)
    for i, problem in problems.items():
        said[i] = problem
    numbers = pl.Series(ROW, range(first, first + len(records)), pl.Int64)
    return pl.DataFrame([numbers, pl.Series(PROBLEM, said, pl.String), *series])


def _readable_record(
    record: Sequence[str | None], index: int, problems: dict[int, str]
) -> Sequence[str | None]:
    readable = [cell and cell.encode(errors="replace").decode() for cell in record]
    if readable != list(record):
        problems.setdefault(index, "bytes that are not text in the file's encoding")
    return readable


def _read_ndjson(path: Path, _: SourceFile, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    decoder = msgspec.json.Decoder(float_hook=str)
    paths = [column.split(".") for column in columns]
    indexes = range(len(columns))
    with path.open("rb") as handle:
        records: list[Sequence[str | None]] = []
        problems: dict[int, str] = {}
        first, size = 1, 0
        for line in _byte_lines(handle):
            if line is not None and not line.strip():
                continue
            cells, problem = _json_cells(decoder, line, paths)
            if problem is not None:
                problems[len(records)] = problem
            records.append(cells)
            size += len(line or b"")
            if len(records) >= CHUNK_ROWS or size >= CHUNK_CHARACTERS:
                yield _frame(columns, indexes, records, first, problems)
                first += len(records)
                records, problems, size = [], {}, 0
        yield _frame(columns, indexes, records, first, problems)


def _byte_lines(handle: IO[bytes]) -> Iterator[bytes | None]:
    """The lines of a file; None stands for one that is too long."""
    is_first = True
    while line := handle.readline(LINE_LIMIT):
        if len(line) == LINE_LIMIT and not line.endswith(b"\n"):
            while (rest := handle.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line.removeprefix(b"\xef\xbb\xbf") if is_first else line
        is_first = False


def _json_cells(
    decoder: Any, line: bytes | None, paths: list[list[str]]
) -> tuple[list[str | None], str | None]:
    nothing: list[str | None] = [None] * len(paths)
    if line is None:
        return nothing, f"a line longer than {LINE_LIMIT} bytes"
    try:
        record = decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return nothing, f"not readable as JSON: {error}"
    if not isinstance(record, dict):
        return nothing, "not a JSON object"
    try:
        return [_json_text(record, path) for path in paths], None
    except ValueError as error:
        return nothing, str(error)


def _json_text(record: Any, path: list[str]) -> str | None:
    """The text at a dotted path: numbers as written, a list of scalars joined by commas."""
    value = record
    for key in path:
        if not isinstance(value, dict):
            value = None
            break
        value = value.get(key)
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ",".join(_scalar_text(item) or "" for item in value)
    if isinstance(value, dict | list):
        raise ValueError(f"{'.'.join(path)} is not a single value")
    return _scalar_text(value)


def _scalar_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _parquet_schema(path: Path) -> pl.Schema:
    try:
        return pl.scan_parquet(path, glob=False).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise mapping_error(
            f"{path.name} is not readable as Parquet: it is damaged, or something else."
        ) from error


def _read_parquet(path: Path, source: SourceFile, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    schema = _parquet_schema(path)
    columns = _present(columns, list(schema), source)
    for column in columns:
        _column_index(path, list(schema), column)
    texts = [_parquet_text(path, column, schema[column]) for column in columns]
    lazy = pl.scan_parquet(path, glob=False)
    batches = lazy.select(texts).collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True)
    row = 0
    for batch in batches:
        for part in _bounded(batch):
            numbers = pl.Series(ROW, range(row + 1, row + 1 + len(part)), pl.Int64)
            row += len(part)
            yield part.with_columns(numbers, pl.lit(None, pl.String).alias(PROBLEM))


def _bounded(batch: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """A batch in pieces of CHUNK_CHARACTERS: few bytes of Parquet may stand for much text."""
    bytes_until = pl.sum_horizontal(pl.lit(0, pl.Int64), pl.all().str.len_bytes()).cum_sum()
    piece = batch.select((bytes_until // CHUNK_CHARACTERS).rle_id().alias("piece"))["piece"]
    starts = piece.rle().struct.field("len").cum_sum().to_list()
    for start, end in pairwise([0, *starts]):
        yield batch.slice(start, end - start)


def _parquet_text(path: Path, column: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(column)
    if isinstance(dtype, pl.Datetime):
        zone = "" if dtype.time_zone is None else "+00:00"
        if dtype.time_zone:
            value = value.dt.convert_time_zone("UTC")
        return value.dt.strftime(f"%Y-%m-%d %H:%M:%S%.6f{zone}")
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():
        return value.cast(pl.List(pl.String)).list.join(",")
    if dtype.is_nested() or dtype == pl.Binary:
        raise mapping_error(f"{path.name}: column `{column}` is {dtype}, not a single value.")
    return value.cast(pl.String)
