"""The short form of a mapping for a file of products: its fields and their columns, nothing else.

Belongs here: telling the short form from a whole mapping, and making that one of it. Does not: the
mapping's own shape and rules (mapping.py).
"""

import glob
from collections.abc import Sequence
from typing import Any

import msgspec

from shop_api.bulk.mapping import Mapping, mapping_error, parse_mapping, read_yaml
from shop_api.kernel.errors import invalid

NAME = "columns"
# What a mapping of products may fill.
PRODUCT_ENTITIES = ("categories", "products", "variants", "stock", "images")


def parse_product_mapping(text: str, file_names: Sequence[str]) -> tuple[Mapping, str]:
    """A mapping of products and its text; the short form fills products from all the files."""
    data = read_yaml(text)
    if isinstance(data, dict) and not {"entities", "files"}.intersection(data):
        text = _whole(data, file_names)
    mapping = parse_mapping(text)
    require_products(mapping)
    return mapping, text


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
    files = {f"file{i}": {"name": glob.escape(name)} for i, name in enumerate(file_names, 1)}
    whole = {
        "name": NAME,
        "files": files,
        "entities": {"products": {"from": list(files), "fields": fields}},
    }
    return msgspec.json.encode(whole).decode()
