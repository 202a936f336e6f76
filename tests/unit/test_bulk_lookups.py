"""Lookup tables are made of two columns of a file, one value for each key."""

from pathlib import Path

import pytest

from shop_api.bulk import lookups
from shop_api.bulk.lookups import load_lookups
from shop_api.bulk.mapping import parse_mapping
from shop_api.kernel.errors import DomainError

MAPPING = """
name: words
decimal_mark: ","
files: {words: {name: words.csv, delimiter: ";"}}
entities:
  categories:
    from: words
    fields:
      external_id: key
      name: {column: key, lookup: {file: words, key: key, value: value, pick: PICK}}
"""


@pytest.mark.parametrize(
    ("pick", "found"),
    [
        ("first", {"a": "10,5", "b": "3"}),
        ("last", {"a": "x", "b": "3"}),
        ("min", {"a": "9,25", "b": "3"}),
        ("max", {"a": "10,5", "b": "3"}),
    ],
)
def test_one_value_is_picked(tmp_path: Path, pick: str, found: dict[str, str]) -> None:
    (tmp_path / "words.csv").write_text("key;value\na;10,5\nb;3\na;9,25\na;x\n;7\nc;\n")
    (table,) = load_lookups(tmp_path, parse_mapping(MAPPING.replace("PICK", pick))).values()
    assert dict(zip(*(series.to_list() for series in table), strict=True)) == found


def test_a_lookup_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "LOOKUP_LIMIT", 2)
    (tmp_path / "words.csv").write_text("key;value\na;1\nb;1\nc;1\n")
    with pytest.raises(DomainError, match=r"at most 2 keys; words\.csv has more"):
        load_lookups(tmp_path, parse_mapping(MAPPING.replace("PICK", "first")))


def test_reading_a_lookup_can_be_stopped(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    (tmp_path / "words.csv").write_text("key;value\na;1\n")
    with pytest.raises(Stopped):
        load_lookups(tmp_path, parse_mapping(MAPPING.replace("PICK", "first")), stop)
