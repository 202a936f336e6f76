"""The mapping of an import: which file and column fills which field, read from YAML and checked.

Belongs here: the mapping's shape, its rules and its errors. Does not: evaluating it over rows
(expressions.py). No Polars here: the api process checks mappings too.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec
import yaml

from shop_api.bulk.fields import ENTITIES
from shop_api.bulk.mapping_places import Part, in_line, shape_problem
from shop_api.bulk.rejects import storable
from shop_api.kernel.errors import DomainError, conflict, invalid
from shop_api.kernel.money import CURRENCIES
from shop_api.kernel.timezones import timezones

MAPPING_SIZE_LIMIT_BYTES = 262_144
TIMES_LIMIT = 1_000_000
TENANT_TIMEZONE = "tenant"
# of a time_format
TIME_DIRECTIVES = (
    *("%Y", "%m", "%d", "%H", "%M", "%S", "%y", "%e", "%b", "%B", "%I", "%p", "%j"),
    *("%f", "%.f", "%3f", "%6f", "%z", "%:z", "%%"),
)
FORMATS = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
FORMATS |= {".parquet": "parquet"}
SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")


# a column, or several
Columns = str | tuple[str, ...]


class Lookup(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A table made of two columns of another file: the value for a key."""

    file: str
    key: str
    # of several columns the first that is not empty
    value: Columns
    # when a key occurs more than once; min and max compare numbers
    pick: Literal["first", "last", "min", "max"] = "first"
    missing: Literal["reject", "null", "keep"] = "reject"


class Expression(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where one field's text comes from, what is done to it, and how it is to be read."""

    column: str | None = None
    constant: str | int | bool | None = None
    first_of: "tuple[Expression | str, ...] | None" = None
    concat: "tuple[Expression | str, ...] | None" = None
    separator: str = ""
    # of a concat: parts without a value are left out; else one makes the whole empty
    skip_empty: bool = False
    # no value in rows where all these columns are empty, or where one of those has a value
    only_if: Columns = ()
    unless: Columns = ()
    lookup: Lookup | None = None
    first_characters: int | None = None
    values: dict[str, str] | None = None
    # multiplies a number, as from kilograms to grams
    times: float | None = None
    otherwise: Literal["reject", "null", "keep"] = "reject"
    # stands in for an empty value
    default: str | int | bool | None = None
    timezone: str | None = None
    time_format: str | None = None
    decimal_mark: Literal[".", ","] | None = None
    thousands_mark: Literal[".", ",", " ", "'"] | None = None
    list_separator: str = ","
    # of lists of categories: what stands between a category and its child
    path_separator: str | None = None
    # an empty value is refused, also where the field may be empty
    is_required: bool = False


class SourceFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One file, or all files whose names match a pattern such as `orders-*.csv`."""

    name: str
    format: Literal["csv", "ndjson", "parquet"] | None = None
    delimiter: str = ","
    quote: str = '"'
    encoding: Literal["utf-8", "utf-16", "latin-1", "cp1252"] = "utf-8"
    # read as empty in a file that does not have them
    optional_columns: tuple[str, ...] = ()

    @property
    def file_format(self) -> str:
        """The format said, else the one the name's ending stands for."""
        return self.format or FORMATS.get(PurePosixPath(self.name).suffix.lower(), "")


class EntityMapping(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"source": "from"}
):
    """How one entity is made: its files, the rows it takes, and its fields."""

    source: str | tuple[str, ...]
    fields: dict[str, Expression | str]
    # rows where all these columns are empty, or where one of those has a value, are passed over
    only_if: Columns = ()
    unless: Columns = ()
    # rows with a key that came before
    duplicates: Literal["reject", "first", "last"] = "reject"

    @property
    def sources(self) -> tuple[str, ...]:
        return listed(self.source)


class Mapping(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A whole mapping file."""

    name: str
    files: dict[str, SourceFile]
    entities: dict[str, EntityMapping]
    description: str = ""
    # of all amounts that have none of their own; a shop of another one is refused
    currency: str | None = None
    # of times without a zone: an IANA name, or "tenant"
    timezone: str = TENANT_TIMEZONE
    time_format: str | None = None
    decimal_mark: Literal[".", ","] = "."


class _StrictLoader(yaml.SafeLoader):
    """YAML without aliases (which can grow without bound) and without repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1
            raise yaml.YAMLError(f"aliases are not allowed, as in line {line}")
        return super().compose_node(parent, index)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and storable(value) != value:
            raise yaml.YAMLError(f"control characters in line {node.start_mark.line + 1}")
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(self.construct_object(key, deep=True)) for key, _ in node.value]
        if len(set(keys)) < len(keys):
            raise yaml.YAMLError(
                f"a key occurs twice in the mapping that begins in line {node.start_mark.line + 1}"
            )
        return super().construct_mapping(node, deep)


def mapping_error(detail: str) -> DomainError:
    """A mapping that cannot be used."""
    return invalid("invalid_mapping", detail, "/mapping")


def is_spreadsheet(file_name: str) -> bool:
    """Whether a file is one of a spreadsheet program's own, by its name."""
    return PurePosixPath(file_name).suffix.lower() in SPREADSHEETS


def unread_spreadsheet(file_name: str) -> str:
    """What to do with a spreadsheet program's own file."""
    return (
        f"{file_name} is a spreadsheet, which is not read: save it as CSV UTF-8 (comma delimited)"
        " and send that"
    )


def require_currency(mapping: Mapping, shop_currency: str) -> None:
    """Raise `wrong_currency` when the mapping's amounts are in another currency than the shop's."""
    if mapping.currency is not None and mapping.currency != shop_currency:
        raise conflict(
            "wrong_currency",
            f"{mapping.name} has its amounts in {mapping.currency}, and this tenant sells in"
            f" {shop_currency}: import it into a tenant of {mapping.currency}.",
        )


def presets() -> list[str]:
    """The names of the mappings that come with the product."""
    folder = files("shop_api.bulk.presets")
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_preset(name: str) -> Mapping:
    """A mapping that comes with the product."""
    if name not in presets():
        raise invalid(
            "unknown_preset", f"No preset `{name}`. There are: {', '.join(presets())}.", "preset"
        )
    return parse_mapping(files("shop_api.bulk.presets").joinpath(f"{name}.yaml").read_text("utf-8"))


@contextmanager
def of_file(name: str) -> Iterator[None]:
    """Say which file it is that holds a mapping that cannot be used."""
    try:
        yield
    except DomainError as error:
        if error.code == "invalid_mapping" and name:
            raise mapping_error(f"{name}: {error.detail}") from error
        raise


def decode_mapping(content: bytes) -> str:
    """The text of a mapping's file."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise mapping_error(f"Not UTF-8, in line {line}: save it as UTF-8.") from error


def parse_mapping(text: str) -> Mapping:
    """The mapping written in `text`; a sentence saying what is wrong when it cannot be used."""
    data = read_yaml(text)
    try:
        mapping = msgspec.convert(data, Mapping)
    except msgspec.ValidationError as error:
        raise mapping_error(f"{shape_problem(error, _parts(data), text)}.") from error
    for problem in _problems(mapping):
        keys = tuple(problem.partition(": ")[0].split("."))
        raise mapping_error(f"{problem}{in_line(text, keys)}.")
    return mapping


def _parts(data: Any) -> Iterator[Part]:
    """The values of a mapping that lie under keys of its own, the innermost first."""
    for name, entity in _table(data, "entities"):
        for field, expression in _table(entity, "fields"):
            yield ("entities", name, "fields", field), expression, Expression | str
        yield ("entities", name), entity, EntityMapping
    for alias, file in _table(data, "files"):
        yield ("files", alias), file, SourceFile


def _table(data: Any, key: str) -> list[tuple[str, Any]]:
    table = data.get(key) if isinstance(data, dict) else None
    return [(str(k), v) for k, v in table.items()] if isinstance(table, dict) else []


def read_yaml(text: str) -> Any:
    """What `text` holds, YAML or JSON; `invalid_mapping` when it is neither."""
    if len(text.encode()) > MAPPING_SIZE_LIMIT_BYTES:
        raise mapping_error(f"A mapping is at most {MAPPING_SIZE_LIMIT_BYTES} bytes.")
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    # its constructors of numbers and times raise what they like
    except Exception as error:
        raise mapping_error(f"Not readable as YAML or JSON: {_yaml_reason(error)}.") from error


def _yaml_reason(error: Exception) -> str:
    """What is wrong and where, on one line; a parser's own words come with a drawing."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"


def _problems(mapping: Mapping) -> Iterator[str]:
    """What is wrong with a mapping of the right shape, one sentence each."""
    if mapping.currency is not None and mapping.currency not in CURRENCIES:
        yield f"currency: `{mapping.currency}` is not a currency of ISO 4217"
    yield from _zone_problems("timezone", mapping.timezone)
    yield from _time_format_problems("time_format", mapping.time_format)
    for alias, file in mapping.files.items():
        yield from _file_problems(alias, file)
    if not mapping.entities:
        yield "entities: name at least one"
    for part in ("order_lines", "payments", "refunds"):
        if part in mapping.entities and "orders" not in mapping.entities:
            yield f"entities.{part}: needs orders"
    for part in ("variants", "stock", "images"):
        if part in mapping.entities and "products" not in mapping.entities:
            yield f"entities.{part}: needs products"
    for name, entity in mapping.entities.items():
        if name not in ENTITIES:
            yield f"entities.{name}: no such entity; there are {', '.join(ENTITIES)}"
            continue
        yield from _entity_problems(name, entity, mapping)


def _zone_problems(path: str, name: str) -> Iterator[str]:
    if name != TENANT_TIMEZONE and name not in timezones():
        yield f"{path}: `{name}` is no IANA time zone"


def _time_format_problems(path: str, time_format: str | None) -> Iterator[str]:
    for directive in re.findall(r"%(?:[.:]?[0-9]*\S|$)", time_format or ""):
        if directive not in TIME_DIRECTIVES:
            yield f"{path}: `{directive}` is not one of {' '.join(TIME_DIRECTIVES)}"


def _file_problems(alias: str, file: SourceFile) -> Iterator[str]:
    if not file.name or "/" in file.name or "\\" in file.name or file.name in (".", ".."):
        yield f"files.{alias}.name: a plain file name, without a folder"
    if is_spreadsheet(file.name):
        yield f"files.{alias}.name: {unread_spreadsheet(file.name)}"
    elif not file.file_format:
        yield (
            f"files.{alias}: the name {file.name} does not tell what the file is: let it end in"
            " .csv, .tsv, .ndjson, .jsonl or .parquet, or say `format` (csv, ndjson or parquet)"
        )
    for setting, value in (("delimiter", file.delimiter), ("quote", file.quote)):
        if len(value) != 1 or value in "\r\n\0":
            yield f"files.{alias}.{setting}: one character"


def _entity_problems(name: str, entity: EntityMapping, mapping: Mapping) -> Iterator[str]:
    path = f"entities.{name}"
    known = ENTITIES[name].fields
    for alias in entity.sources:
        if alias not in mapping.files:
            yield f"{path}.from: `{alias}` is not among files"
    for field, expression in entity.fields.items():
        if field not in known:
            yield f"{path}.fields.{field}: no such field; there are {', '.join(known)}"
        yield from _expression_problems(f"{path}.fields.{field}", expression, mapping)
    spread = ENTITIES[name].spread
    stood_for = spread.stands_for if spread and spread.field in entity.fields else ()
    for field in stood_for:
        if field in entity.fields:
            yield f"{path}.fields: {field} goes without {spread and spread.field}"
    for field, rule in known.items():
        is_filled = field in entity.fields or field in stood_for or rule.default is not None
        if rule.is_required and not is_filled:
            yield f"{path}.fields: {field} is required"


def _expression_problems(
    path: str, expression: Expression | str, mapping: Mapping
) -> Iterator[str]:
    if isinstance(expression, str):
        return
    sources = [expression.column, expression.constant, expression.first_of, expression.concat]
    if sum(source is not None for source in sources) != 1:
        yield f"{path}: give one of column, constant, first_of, concat"
    if expression.timezone is not None:
        yield from _zone_problems(f"{path}.timezone", expression.timezone)
    yield from _time_format_problems(f"{path}.time_format", expression.time_format)
    if expression.first_characters is not None and expression.first_characters < 1:
        yield f"{path}.first_characters: at least 1"
    if expression.times is not None and not 0 < expression.times <= TIMES_LIMIT:
        yield f"{path}.times: more than 0, and at most {TIMES_LIMIT}"
    if expression.thousands_mark == (expression.decimal_mark or mapping.decimal_mark):
        yield f"{path}: thousands_mark and decimal_mark are the same"
    if len(expression.list_separator) != 1:
        yield f"{path}.list_separator: one character"
    if expression.path_separator is not None and len(expression.path_separator) != 1:
        yield f"{path}.path_separator: one character"
    if expression.lookup and expression.lookup.file not in mapping.files:
        yield f"{path}.lookup.file: `{expression.lookup.file}` is not among files"
    for inner in inner_expressions(expression):
        yield from _expression_problems(path, inner, mapping)


def inner_expressions(expression: Expression) -> Iterable["Expression | str"]:
    """The expressions an expression is made of."""
    yield from expression.first_of or ()
    yield from expression.concat or ()


def listed(columns: Columns) -> tuple[str, ...]:
    """The columns, one or several, as a tuple."""
    return (columns,) if isinstance(columns, str) else columns


def columns_of(expression: Expression | str) -> set[str]:
    """The columns an expression reads from the row's own file."""
    if isinstance(expression, str):
        return {expression}
    columns = {*listed(expression.only_if), *listed(expression.unless)}
    if expression.column is not None:
        columns.add(expression.column)
    for inner in inner_expressions(expression):
        columns |= columns_of(inner)
    return columns


def entity_columns(entity: EntityMapping) -> set[str]:
    """The columns an entity reads from its own files."""
    columns = {*listed(entity.only_if), *listed(entity.unless)}
    for expression in entity.fields.values():
        columns |= columns_of(expression)
    return columns
