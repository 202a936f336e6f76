"""`shop-api settings`: every setting as a Markdown page.

Belongs here: writing the settings down for people. Does not: the settings (settings.py). The page
`docs/guides/settings.md` is this command's output.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import click
from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shop_api.settings import Settings

INTRODUCTION = """\
# Settings

Read once when a process starts, from environment variables or from lines of the same form in `.env`
in the working directory; a variable wins over `.env`. `shop-api doctor` checks them.
This page is made by `make docs` from `shop_api/settings.py`.

| variable | type | default | meaning |
|---|---|---|---|
"""


@click.command("settings")
def settings() -> None:
    """Print every setting with its type, default and meaning (Markdown)."""
    click.echo(render_page(), nl=False)


def render_page() -> str:
    """The page, one row per setting in the order of the class."""
    rows = (_row(name, field) for name, field in Settings.model_fields.items())
    return INTRODUCTION + "".join(rows)


def _row(name: str, field: FieldInfo) -> str:
    cells = (
        f"`{variable_name(name, field)}`",
        _type_text(field).replace("|", "\\|"),
        _default_text(field.default),
        (field.description or "").replace("|", "\\|"),
    )
    return f"| {' | '.join(cells)} |\n"


def variable_name(name: str, field: FieldInfo) -> str:
    """The environment variable of a setting."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"{Settings.model_config['env_prefix']}{name}".upper()


def _type_text(field: FieldInfo) -> str:
    arguments = [a for a in get_args(field.annotation) if a is not type(None)]
    annotation: Any = field.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(annotation) is list:
        return "JSON list"
    kind = arguments[0] if arguments else annotation
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    names = {int: "integer", float: "number", str: "text", bool: "true or false", Path: "path"}
    return " ".join([names.get(kind, str(kind)), *_bounds(field)])


def _bounds(field: FieldInfo) -> list[str]:
    signs = {
        "ge": "≥ {}",
        "gt": "> {}",
        "le": "≤ {}",
        "lt": "< {}",
        "min_length": "≥ {} characters",
    }
    return [
        signs[name].format(getattr(bound, name))
        for bound in field.metadata
        for name in signs
        if hasattr(bound, name)
    ]


def _default_text(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "unset"
    if isinstance(default, list):
        return f"`{json.dumps(default)}`"
    return f"`{default}`"
