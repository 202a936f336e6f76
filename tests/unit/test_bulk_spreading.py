"""Lists that make several rows of one, words about empty values, and columns a file may lack."""

from pathlib import Path

import polars as pl
import pytest

from shop_api.bulk.expressions import compile_entity
from shop_api.bulk.field_types import Scope
from shop_api.bulk.fields import ENTITIES
from shop_api.bulk.mapping import EntityMapping, Expression, Mapping, SourceFile
from shop_api.bulk.readers import PROBLEM, ROW, absent_columns, read_chunks
from shop_api.kernel.errors import DomainError

SCOPE = Scope(Mapping("test", {"goods": SourceFile("goods.csv")}, {}), "UTC", "EUR")


def read(entity: str, source: EntityMapping, *rows: tuple[str | None, str | None]) -> pl.DataFrame:
    """The typed rows of an entity for rows with the columns `a` and `b`."""
    chunk = pl.DataFrame(
        {
            ROW: range(1, len(rows) + 1),
            PROBLEM: [None] * len(rows),
            "a": [a for a, _ in rows],
            "b": [b for _, b in rows],
        },
        schema={ROW: pl.Int64, PROBLEM: pl.String, "a": pl.String, "b": pl.String},
    )
    typed = compile_entity(ENTITIES[entity], source, SCOPE).read(chunk, "goods.csv")
    assert (typed.rejects, typed.read_count) == ([], len(rows))
    return typed.rows


def test_every_step_of_a_path_is_a_category() -> None:
    paths = Expression(column="a", path_separator=">")
    rows = read("categories", EntityMapping("goods", {"paths": paths}), ("A >B> C, A\\,B", None))
    assert rows.select("external_id", "name", "parent").rows() == [
        ("A", "A", None),
        ("A > B", "B", "A"),
        ("A > B > C", "C", "A > B"),
        ("A,B", "A,B", None),
    ]


def test_every_address_of_a_list_is_an_image() -> None:
    fields: dict[str, Expression | str] = {"product": "b", "urls": "a"}
    listed = "https://x.example/1, https://x.example/2"
    rows = read("images", EntityMapping("goods", fields), (listed, "P"), (None, "Q"))
    assert rows.select(ROW, "product", "url", "position").rows() == [
        (1, "P", "https://x.example/1", "0"),
        (1, "P", "https://x.example/2", "1"),
    ]


@pytest.mark.parametrize(
    ("expression", "row", "value"),
    [
        (Expression(concat=("a", "b"), separator="/", skip_empty=True), ("x", None), "x"),
        (Expression(concat=("a", "b"), separator="/"), ("x", None), None),
        (Expression(concat=("a", "b"), skip_empty=True), (None, None), None),
        (Expression(column="a", only_if="b"), ("x", None), None),
        (Expression(column="a", only_if="b"), ("x", "y"), "x"),
        (Expression(column="a", unless="b"), ("x", "y"), None),
        (Expression(column="a", unless="b", default="z"), ("x", "y"), "z"),
        (Expression(column="a", values={"x": ""}, otherwise="keep"), ("x", None), None),
        (Expression(column="a", times=1000), ("0.35", None), "350.0"),
        (Expression(column="a", times=2, decimal_mark=","), ("1,5", None), "3,0"),
        (Expression(column="a", times=2), ("heavy", None), "heavy"),
    ],
)
def test_words_about_empty_values_and_numbers(
    expression: Expression, row: tuple[str | None, str | None], value: str | None
) -> None:
    key = Expression(constant="k")
    source = EntityMapping("goods", {"external_id": key, "name": key, "parent": expression})
    assert read("categories", source, row)["parent"].to_list() == [value]


def test_a_column_may_be_absent_when_the_mapping_says_so(tmp_path: Path) -> None:
    path = tmp_path / "goods.csv"
    path.write_text("a\n1\n")
    source = SourceFile("goods.csv", optional_columns=("b",))
    (chunk,) = read_chunks(path, source, {"a", "b"})
    assert chunk.select("a", "b").rows() == [("1", None)]
    assert absent_columns([path], source) == {"b"}
    with pytest.raises(DomainError, match="no column"):
        list(read_chunks(path, SourceFile("goods.csv"), {"a", "b"}))
