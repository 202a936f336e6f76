"""Files of every kind are read in chunks, with row numbers, and bad lines do not stop the rest."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from shop_api.bulk import readers
from shop_api.bulk.mapping import SourceFile
from shop_api.bulk.readers import PROBLEM, ROW, find_files, read_chunks
from shop_api.kernel.errors import DomainError

Table = list[tuple[object, ...]]


def read(path: Path, columns: str, **options: str) -> Table:
    """All rows: number, problem, and the columns in the order of their names."""
    source = SourceFile(path.name, **options)  # type: ignore[arg-type]
    chunks = list(read_chunks(path, source, set(columns.split())))
    names = [ROW, PROBLEM, *sorted(columns.split())]
    return [row for chunk in chunks for row in chunk.select(names).iter_rows()]


def file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_csv_with_bom_crlf_quotes_and_a_column_of_many_lines(tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", b'\xef\xbb\xbfa,b\r\n1,"x, ""y""\r\nz"\r\n\r\n2,\r\n')
    assert read(path, "a b") == [(1, None, "1", 'x, "y"\r\nz'), (2, None, "2", None)]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_csv_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    path = file(tmp_path, "a.csv", "a;b\nmaçã;pão\n".encode(encoding))
    assert read(path, "a b", encoding=encoding, delimiter=";") == [(1, None, "maçã", "pão")]


def test_bad_lines_are_told_apart_from_good_ones(tmp_path: Path) -> None:
    content = b'a,b\n1\n2,x,y\n\xff,x\n3,"x"y\n4,x\n'
    assert read(file(tmp_path, "a.csv", content), "a b") == [
        (1, "1 fields where the header has 2", "1", None),
        (2, "3 fields where the header has 2", "2", "x"),
        (3, "bytes that are not text in the file's encoding", "?", "x"),
        (4, "not readable as CSV: ',' expected after '\"'", None, None),
        (5, None, "4", "x"),
    ]


def test_a_line_without_end_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "LINE_LIMIT", 16)
    too_long = "a line longer than 16 "
    path = file(tmp_path, "a.csv", b"a,b\n1,x\n" + b"y" * 100 + b",z\n2,x\n")
    assert read(path, "a b") == [
        (1, None, "1", "x"),
        (2, too_long + "characters", None, None),
        (3, None, "2", "x"),
    ]
    path = file(tmp_path, "a.ndjson", b'{"a":1}\n{"a":"' + b"y" * 100 + b'"}\n{"a":2}\n')
    assert read(path, "a") == [(1, None, "1"), (2, too_long + "bytes", None), (3, None, "2")]


def test_blank_lines_may_come_before_the_header(tmp_path: Path) -> None:
    assert read(file(tmp_path, "a.csv", b"\n\r\na\n1\n"), "a") == [(1, None, "1")]


def test_what_follows_a_cell_that_does_not_end_is_not_taken_for_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, "a.csv", b'a,b\n1,"' + b"x,y\n" * 50_000 + b'"\n2,x\n')
    rows = read(path, "a b")
    assert [row[:3] for row in rows] == [(1, None, "1"), (2, None, "2")]
    monkeypatch.setattr(readers, "LINE_LIMIT", 64)
    [(number, problem, *cells)] = read(path, "a b")
    assert (number, cells) == (1, [None, None])
    assert problem == "a cell longer than 64 characters; nothing after it was read"


def test_ndjson_keeps_numbers_as_they_are_written(tmp_path: Path) -> None:
    content = (
        b'{"a": 19.90, "b": {"c": true}}\n\n{"a": 12345678901234567890, "b": {"c": ["x", 1]}}\n'
        b'{"a": null}\n[1]\n{"a": {}}\nnonsense\n'
    )
    rows = read(file(tmp_path, "a.ndjson", content), "a b.c")
    assert rows[:3] == [
        (1, None, "19.90", "true"),
        (2, None, "12345678901234567890", "x,1"),
        (3, None, None, None),
    ]
    assert [row[1] for row in rows[3:5]] == ["not a JSON object", "a is not a single value"]
    assert str(rows[5][1]).startswith("not readable as JSON")


def test_parquet_of_typed_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame(
        {
            "amount": [Decimal("19.90"), None],
            "at": [datetime(2026, 1, 2, 3, tzinfo=UTC), None],
            "local": [datetime(2026, 1, 2, 3), None],  # noqa: DTZ001
            "ok": [True, False],
            "tags": [["x", "y"], []],
            "price": [19.9, 0.1],
        }
    ).write_parquet(path)
    assert read(path, "amount at local ok price tags") == [
        (
            *(1, None, "19.90", "2026-01-02 03:00:00.000000+00:00", "2026-01-02 03:00:00.000000"),
            *("true", "19.9", "x,y"),
        ),
        (2, None, None, None, None, "false", "0.1", None),
    ]


def test_chunks_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "CHUNK_ROWS", 10)
    path = file(tmp_path, "a.csv", b"a\n" + b"".join(b"%d\n" % i for i in range(25)))
    chunks = list(read_chunks(path, SourceFile("a.csv"), {"a"}))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [chunk[ROW][0] for chunk in chunks] == [1, 11, 21]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "a.csv is empty"),
        (b"x,y\n1,2\n", "has no column `a`; its columns are: x, y"),
        (b"a,a\n1,2\n", "has more than one column `a`"),
        (b"b" * 2**20 + b"\na\n1\n", "The first line of a.csv is longer than 1048576 characters"),
        ("à,y\n".encode("latin-1"), "columns are: \ufffd, y. That is no text: .* `encoding`"),
        ("a,y\n".encode("utf-16-le"), "columns are: a\ufffd, "),
    ],
)
def test_a_header_that_does_not_fit(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(DomainError, match=reason):
        read(file(tmp_path, "a.csv", content), "a")


def test_patterns_and_missing_files(tmp_path: Path) -> None:
    for name in ("orders-2.csv", "orders-1.csv", "other.csv"):
        file(tmp_path, name, b"a\n")
    found = find_files(tmp_path, SourceFile("orders-*.csv"))
    assert [path.name for path in found] == ["orders-1.csv", "orders-2.csv"]
    with pytest.raises(DomainError, match=r"There is no file `gone.csv`"):
        find_files(tmp_path, SourceFile("gone.csv"))
    with pytest.raises(DomainError, match="not readable as Parquet"):
        read(file(tmp_path, "a.parquet", b"PAR1 no"), "a")


def test_much_text_in_a_small_parquet_file_comes_in_bounded_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "CHUNK_CHARACTERS", 1000)
    path = tmp_path / "a.parquet"
    texts = ["x" * 300] * 20 + [None] * 20
    pl.DataFrame({"a": texts, "b": ["y"] * 40}).write_parquet(path)
    chunks = list(read_chunks(path, SourceFile("a.parquet"), {"a", "b"}))
    assert max(len("".join(chunk["a"].drop_nulls())) for chunk in chunks) <= 1200
    assert [row for chunk in chunks for row in chunk[ROW]] == list(range(1, 41))
    assert [text for chunk in chunks for text in chunk["a"]] == texts
