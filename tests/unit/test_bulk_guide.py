"""The guide's mapping can be used, and its table of fields is the one in the code."""

import re
from pathlib import Path

from shop_api.app import make_document
from shop_api.bulk.column_mapping import FILE_SETTINGS
from shop_api.bulk.fields import ENTITIES
from shop_api.bulk.mapping import (
    TIME_DIRECTIVES,
    EntityMapping,
    Expression,
    Lookup,
    SourceFile,
    parse_mapping,
    presets,
)

GUIDE = Path("docs/guides/imports.md").read_text()


def test_the_mapping_of_the_guide_is_good() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert list(parse_mapping(text).entities) == [
        *("categories", "products", "variants", "images", "orders", "order_lines"),
    ]
    assert "%H" in TIME_DIRECTIVES


def test_what_an_imported_product_is_without_a_status_is_said() -> None:
    default = ENTITIES["products"].fields["status"].default
    assert f"An imported product is `{default}`, on sale at once" in GUIDE
    operation = make_document()["paths"]["/api/v1/products/bulk-import"]["post"]
    assert f"New ones are `{default}`, on sale at once" in " ".join(
        operation["description"].split()
    )
    short = re.search(r"How they are written say the keys (.*?) beside", GUIDE, re.DOTALL)
    assert short is not None
    assert sorted(re.findall("`(.*?)`", short[1])) == sorted(FILE_SETTINGS)


def test_the_fields_of_the_guide_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", GUIDE, re.MULTILINE))
    assert list(rows) == list(ENTITIES)
    for name, entity in ENTITIES.items():
        listed = re.findall(r"[a-z][a-z0-9_]+", re.sub(r"\(.*?\)", "", rows[name]))
        known = [
            field
            for field in entity.fields
            if not re.match(r"option[23]_", field)
            and not (name == "orders" and field.startswith("address_"))
        ]
        assert sorted(listed) == sorted(known + (["address_"] if name == "orders" else []))
        required = re.findall(r"\*\*(\w+)\*\*", rows[name])
        assert sorted(required) == sorted(
            field for field, rule in entity.fields.items() if rule.is_required and not rule.default
        )


def test_the_guide_names_every_preset_and_every_word_of_a_mapping() -> None:
    words = {
        name
        for part in (Expression, SourceFile, EntityMapping, Lookup)
        for name in part.__struct_encode_fields__
    }
    assert [word for word in sorted(words) if not re.search(rf"\b{word}\b", GUIDE)] == []
    assert [name for name in presets() if f"`preset={name}`" not in GUIDE] == []
