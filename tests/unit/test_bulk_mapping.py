"""A mapping that cannot be used is refused with a sentence that says why."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.bulk.mapping import load_preset, parse_mapping, presets
from shop_api.kernel.errors import DomainError

GOOD = """
name: shelves
files:
  shelves: {name: shelves.csv}
entities:
  categories:
    from: shelves
    fields:
      external_id: key
      name: {column: title, lookup: {file: shelves, key: key, value: title}}
"""


def test_the_presets_are_good() -> None:
    assert presets() == ["maven_toy_store", "olist", "shopify", "woocommerce"]
    for name in presets():
        assert load_preset(name).name == name


def test_an_unknown_preset_names_the_known() -> None:
    with pytest.raises(
        DomainError, match="There are: maven_toy_store, olist, shopify, woocommerce"
    ):
        load_preset("../olist")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("name: shelves\n", "name: shelves\nnmae: x\n", "unknown field `nmae`"),
        ("external_id: key", "external_id: {colum: key}", "unknown field `colum`"),
        ("external_id: key", "external_id: no", "got `bool`"),
        ("      external_id: key\n", "", "external_id is required"),
        ("external_id: key", "key: key", "categories.fields.key: no such field; there are ext"),
        ("categories:", "category:", "entities.category: no such entity; there are categories,"),
        ("from: shelves", "from: shelf", "`shelf` is not among files"),
        ("{file: shelves,", "{file: shelf,", "lookup.file: `shelf` is not among files"),
        ("name: shelves.csv", "name: ../shelves.csv", "a plain file name, without a folder"),
        ("name: shelves.csv", "name: shelves.xlsx", "save it as CSV UTF-8"),
        ("name: shelves.csv", "name: shelves.txt", "or say `format` (csv, ndjson or parquet) (l"),
        ("shelves.csv}", "shelves.csv, delimiter: ';;'}", "delimiter: one character"),
        ("shelves.csv}", "shelves.csv, encoding: ebcdic}", "Invalid enum value 'ebcdic'"),
        ("files:", "timezone: Mars/Olympus\nfiles:", "`Mars/Olympus` is no IANA time zone"),
        # names in the host's folder of zones
        ("files:", "timezone: Factory\nfiles:", "timezone: `Factory` is no IANA time zone"),
        (
            "external_id: key",
            "external_id: {column: key, timezone: localtime}",
            "`localtime` is no",
        ),
        ("external_id: key", "external_id: {column: a, constant: b}", "give one of column, const"),
        ("external_id: key", "external_id: {values: {a: b}}", "give one of column, constant"),
        ("name: shelves\n", "name: shelves\nname: again\n", "a key occurs twice"),
        ("external_id: key", "external_id: &a key", "needs"),
        ("files:", "files: [", "Not readable as YAML"),
        ("categories:", "order_lines:", "needs orders"),
        ("categories:", "stock:", "needs products"),
        ("name: shelves", 'name: "\\0"', "control characters in line"),
        ("external_id: key", 'external_id: {column: "\\ud800"}', "control characters in line"),
    ],
)
def test_a_bad_mapping_says_what_is_wrong(old: str, new: str, reason: str) -> None:
    text = GOOD.replace(old, new, 1)
    if new == "external_id: &a key":
        text, reason = text.replace("title}}", "*a}}"), "aliases are not allowed"
    with pytest.raises(DomainError) as refused:
        parse_mapping(text)
    assert refused.value.code == "invalid_mapping"
    assert reason in refused.value.detail


@pytest.mark.parametrize(
    ("inherited", "marks"),
    [
        ("", "thousands_mark: '.'"),
        ("decimal_mark: ','", "thousands_mark: ','"),
        ("decimal_mark: ','", "thousands_mark: '.', decimal_mark: '.'"),
    ],
)
def test_the_marks_of_an_amount_differ_whoever_says_them(inherited: str, marks: str) -> None:
    """A mark that means both would turn 1.50 into 150."""
    text = GOOD.replace("external_id: key", f"external_id: {{column: key, {marks}}}")
    with pytest.raises(DomainError, match="thousands_mark and decimal_mark are the same"):
        parse_mapping(f"{inherited}{text}")


def test_the_good_mapping_is_good() -> None:
    assert parse_mapping(GOOD).entities["categories"].fields["external_id"] == "key"


@pytest.mark.parametrize(
    "time_format", ["%Y-%m-%dT%H:%M:%S%.f%:z", "%d.%m.%y %I:%M %p", "%e %B %Y 100%%"]
)
def test_time_formats_that_are_known(time_format: str) -> None:
    parse_mapping(f"time_format: '{time_format}'\n{GOOD}")


@pytest.mark.parametrize("time_format", ["%Q", "%Y-%", "%s", "%-d"])
def test_time_formats_that_are_not(time_format: str) -> None:
    with pytest.raises(DomainError, match=r"time_format: `%.*` is not one of"):
        parse_mapping(f"time_format: '{time_format}'\n{GOOD}")


SCRAPS = st.sampled_from(
    [
        *("!!timestamp", "<<: ", "categories", "from", "fields", "\t", "\x07", "0x", ".inf", "~"),
        *"{}[]:,-?!&*#|>'\"%@`\n ",
        "name",
        "files",
        "entities",
        "2020-13-45",
        "9" * 5000,
        "!!binary",
    ]
)


@given(st.lists(SCRAPS, max_size=30).map("".join) | st.text(max_size=200))
def test_any_text_is_a_mapping_or_a_clear_refusal(text: str) -> None:
    with contextlib.suppress(DomainError):
        parse_mapping(text)


def test_a_mapping_is_bounded() -> None:
    with pytest.raises(DomainError, match="at most 262144 bytes"):
        parse_mapping(GOOD + "#" * 262_144)
    with pytest.raises(DomainError, match="Not readable as YAML"):
        parse_mapping("[" * 5000)
