"""The short form of a mapping for a file of products: its fields and their columns, nothing else.

Belongs here: telling the short form from a whole mapping, and making that one of it. Does not: the
mapping's own shape and rules (mapping.py).
"""

import glob
from collections.abc import Sequence
from typing import Any

import msgspec

from shop_api.bulk.mapping import (
    Mapping,
    is_spreadsheet,
    mapping_error,
    parse_mapping,
    read_yaml,
    unread_spreadsheet,
)
from shop_api.bulk.mapping_places import in_line
from shop_api.kernel.errors import DomainError, invalid

NAME = "columns"
# Keys of the short form that say how its files are read; the others are fields.
FILE_SETTINGS = ("format", "delimiter", "quote", "encoding")
# where the whole mapping has what the short form has at its top
PLACES = ("entities.products.fields.", "entities.products.fields: ")
# What a mapping of products may fill.
PRODUCT_ENTITIES = ("categories", "products", "variants", "stock", "images")


def parse_product_mapping(text: str, file_names: Sequence[str]) -> tuple[Mapping, str]:
    """A mapping of products and its text; the short form fills products from all the files."""
    data = read_yaml(text)
    if isinstance(data, dict) and not {"entities", "files"}.intersection(data):
        return _parse_columns(data, text, file_names)
    mapping = parse_mapping(text)
    require_products(mapping)
    return mapping, text


def _parse_columns(
    data: dict[str, Any], text: str, file_names: Sequence[str]
) -> tuple[Mapping, str]:
    """The whole mapping of a short one; what is refused is said of the short one."""
    if spreadsheets := [name for name in file_names if is_spreadsheet(name)]:
        raise mapping_error(f"{unread_spreadsheet(spreadsheets[0])}.")
    whole = _whole(data, file_names)
    try:
        return parse_mapping(whole), whole
    except DomainError as error:
        detail = error.detail.removesuffix(".").removesuffix(" (line 1)")
        of_files = [f"files.{name}{end}" for name in file_names for end in (".", ": ")]
        for place in (*PLACES, *of_files):
            detail = detail.removeprefix(place)
        keys = (detail.partition(": ")[0].partition(".")[0],)
        raise mapping_error(f"{detail}{in_line(text, keys)}.") from error


def require_products(mapping: Mapping) -> None:
    """Raise `not_only_products` unless the mapping fills products and what belongs to them only."""
    if others := [name for name in mapping.entities if name not in PRODUCT_ENTITIES]:
        raise invalid(
            "not_only_products",
            f"{mapping.name} fills {', '.join(others)} too: send it to POST /api/v1/imports.",
        )
    if "products" not in mapping.entities:
        raise mapping_error("A mapping of products fills products.")


def _whole(fields: dict[str, Any], file_names: Sequence[str]) -> str:
    """The whole mapping that fields and their columns stand for."""
    # a name is meant as it is, whatever marks of a pattern it has
    settings = {name: fields[name] for name in FILE_SETTINGS if name in fields}
    fields = {name: value for name, value in fields.items() if name not in settings}
    files = {name: {"name": glob.escape(name), **settings} for name in file_names}
    whole = {
        "name": NAME,
        "files": files,
        "entities": {"products": {"from": list(files), "fields": fields}},
    }
    return msgspec.json.encode(whole).decode()
