"""Answers walked back: what changed is as it was, and every other value the text it was."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, fields

from shop_api.domains.insights.schemas import RevenueSchema
from shop_api.domains.orders.schemas import OrderPage, OrderSchema
from shop_api.kernel.api_versions import NEWEST, OLDEST, VERSION_HEADER, renamed
from shop_api.web.older_shapes import OlderShapes, Place, older_shapes, place_of, walk_back
from shop_api.web.reply import Reply

# new name → old, by where it stands
OF_ORDER = {"prices_include_tax": "tax_included"}
OF_LINE = {"refunded_total": "refunded_amount"}
STANDING_NAMES = ("id", "total", "note", "currency", "tax_rate", "payments", "refunded_amounts")

_text = msgspec.json.Decoder(dict[str, msgspec.Raw])

# a value as a server may write it: digits beyond a float, exponents, escapes, blanks between
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str) | st.sampled_from(
    ["19.90", "0.00", "-0", "1E+2", "123456789012345678901234.5678", "1e-7"]
)
texts = st.builds(json.dumps, st.text('aé"\\\n€🙂', max_size=8), ensure_ascii=st.booleans())
scalars = numbers | texts | st.sampled_from(["true", "false", "null"])
values = scalars | st.lists(scalars, max_size=3).map(
    lambda items: '{"a" : [' + " , ".join(items) + ']\n, "tax_included":1}'
)


def objects(*names: str) -> st.SearchStrategy[dict[str, str]]:
    """Some of the names and of those that stay, in any order, each with a value as text."""
    chosen = st.lists(st.sampled_from([*names, *STANDING_NAMES]), unique=True)
    return chosen.flatmap(lambda found: st.fixed_dictionaries(dict.fromkeys(found, values)))


def written(found: dict[str, str], blank: str = "") -> str:
    return "{" + f",{blank}".join(f'"{n}":{blank}{v}' for n, v in found.items()) + "}"


def back(text: str, schema: type[Schema]) -> msgspec.Raw:
    place = place_of(schema())
    assert place is not None
    return walk_back(msgspec.Raw(text.encode()), place, OLDEST)


def fields_of(text: msgspec.Raw | bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in _text.decode(text).items()}


def expected(found: dict[str, str], names: dict[str, str]) -> dict[str, bytes]:
    return {names.get(name, name): value.encode() for name, value in found.items()}


@given(
    objects(*OF_ORDER),
    st.lists(objects(*OF_LINE), max_size=3),
    st.sampled_from(["", " ", "\n\t"]),
)
def test_all_but_what_changed_is_the_text_it_was(
    order: dict[str, str], lines: list[dict[str, str]], blank: str
) -> None:
    listed = "[" + f",{blank}".join(written(line, blank) for line in lines) + "]"
    old = fields_of(back(written({**order, "lines": listed}, blank), OrderSchema))
    old_lines = msgspec.json.decode(old.pop("lines"), type=list[msgspec.Raw])
    assert list(old.items()) == list(expected(order, OF_ORDER).items())
    assert [list(fields_of(one).items()) for one in old_lines] == [
        list(expected(line, OF_LINE).items()) for line in lines
    ]


def test_an_object_is_found_wherever_it_stands() -> None:
    page = '{"data":[{"prices_include_tax":true,"lines":[{"refunded_total":1.10}]}],"total":2}'
    assert bytes(back(page, OrderPage)) == (
        b'{"data":[{"tax_included":true,"lines":[{"refunded_amount":1.10}]}],"total":2}'
    )
    revenue = '{"products":{"x":1},"by_category":[{"product_count":3}],"top_products":null}'
    assert bytes(back(revenue, RevenueSchema)) == (
        b'{"products":{"x":1},"by_category":[{"products":3}],"top_products":null}'
    )


def test_an_answer_of_the_version_asked_for_is_not_parsed() -> None:
    shapes = older_shapes(OrderSchema)
    assert shapes is not None
    newest = shapes.mark(Reply(b"no JSON"))
    assert shapes.back(newest, NEWEST) is newest
    assert newest.body == b"no JSON"


@pytest.mark.parametrize("headers", [[], [(VERSION_HEADER, OLDEST)]])
def test_one_that_was_kept_when_an_older_version_was_the_newest_stays(
    headers: list[tuple[str, str]],
) -> None:
    """An answer stored before versions were told in it is of the oldest."""
    shapes = older_shapes(OrderSchema)
    assert shapes is not None
    stored = Reply(b'{"tax_included":true}', headers=headers)
    assert shapes.back(stored, OLDEST) is stored
    assert shapes.back(stored, NEWEST) is stored


@pytest.mark.parametrize(
    ("made", "asked", "text", "walked"),
    [
        ("2026-03-01", "2026-02-01", '{"c":1}', '{"b":1}'),
        ("2026-03-01", "2026-01-01", '{"c":1}', '{"a":1}'),
        # of an answer made in February `c` is no name of what was `b`
        ("2026-02-01", "2026-01-01", '{"b":1,"c":2}', '{"a":1,"c":2}'),
        ("2026-02-01", "2026-02-01", '{"b":1,"c":2}', '{"b":1,"c":2}'),
    ],
)
def test_only_what_changed_between_the_two_versions_is_undone(
    made: str, asked: str, text: str, walked: str
) -> None:
    in_march = ("2026-03-01", renamed("Thing", "b", "c", "it is better."))
    in_february = ("2026-02-01", renamed("Thing", "a", "b", "it is better."))
    found = walk_back(msgspec.Raw(text.encode()), Place((in_march, in_february), {}), asked, made)
    assert bytes(found) == walked.encode()


def test_what_is_no_json_passes_and_a_stream_of_it_is_refused() -> None:
    shapes = older_shapes(OrderSchema)
    assert shapes is not None
    table = shapes.mark(Reply(b"a,b", content_type="text/csv"))
    assert shapes.back(table, OLDEST) is table
    with pytest.raises(RuntimeError, match="streamed"):
        shapes.back(shapes.mark(Reply(b"", parts=iter([b"{}"]))), OLDEST)


def test_what_never_changed_has_no_older_shape() -> None:
    class Plain(Schema):
        data = fields.List(fields.Nested(type("Other", (Schema,), {"a": fields.Integer()})))

    assert older_shapes(Plain) is None
    assert older_shapes(None) is None
    assert older_shapes({"type": "string"}) is None


def test_objects_by_free_names_are_refused_when_the_application_is_made() -> None:
    class Free(Schema):
        orders = fields.Dict(keys=fields.String(), values=fields.Nested(OrderSchema))

    with pytest.raises(RuntimeError, match="free names"):
        older_shapes(Free)


def test_the_older_versions_are_those_before_the_last_change() -> None:
    shapes = older_shapes(OrderPage)
    assert isinstance(shapes, OlderShapes)
    assert [version.name for version in shapes.older_versions()] == [OLDEST]


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers(), max_size=6))
def test_a_renamed_field_keeps_its_place_and_its_value(found: dict[str, Any]) -> None:
    found = {name: value for name, value in found.items() if name not in ("old", "new")}
    middle = len(found) // 2
    items = [*list(found.items())[:middle], ("new", Decimal("1.10")), *list(found.items())[middle:]]
    undone = renamed("Thing", "old", "new", "it is better.").undo(dict(items))
    assert list(undone.items()) == [("old" if n == "new" else n, v) for n, v in items]


def test_a_renamed_field_is_marked_as_deprecated_in_the_older_schema() -> None:
    change = renamed("Thing", "old", "new", "it is better.")
    newest = {"properties": {"new": {"type": "number"}, "a": {}}, "required": ["a", "new"]}
    assert change.undo_schema(newest) == {
        "properties": {"old": {"type": "number", "deprecated": True}, "a": {}},
        "required": ["a", "old"],
    }
    assert newest["required"] == ["a", "new"]
