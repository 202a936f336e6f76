"""A mapping evaluated over chunks of text columns: typed values, or the reason there is none.

Belongs here: expressions and types as Polars expressions. Does not: reading files (readers.py) and
rules that need other rows (checks.py). A chunk comes out as the frame to stage and its rejects.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from shop_api.bulk.fields import (
    INTEGER_LIMIT,
    KEY_LENGTH,
    LIST_LENGTH_LIMIT,
    MONEY_DECIMALS,
    MONEY_DIGITS,
    Entity,
    Field,
)
from shop_api.bulk.instants import to_utc
from shop_api.bulk.mapping import (
    TENANT_TIMEZONE,
    EntityMapping,
    Expression,
    Lookup,
    Mapping,
    columns_of,
)
from shop_api.bulk.readers import PROBLEM, ROW
from shop_api.bulk.rejects import Reject
from shop_api.kernel.money import CURRENCIES

# joins the items of a list on their way to Postgres
LIST_MARK = "\x1f"
SHOWN_CHARACTERS = 60
YES = ["true", "t", "1", "yes", "y"]
# those the API refuses too: all but tab, line feed and carriage return
CONTROL_CHARACTERS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"
NO = ["false", "f", "0", "no", "n"]

LookupTables = dict[Lookup, tuple[pl.Series, pl.Series]]


@dataclass(frozen=True)
class Scope:
    """What expressions need to know beside the row."""

    mapping: Mapping
    tenant_timezone: str
    tenant_currency: str
    lookups: LookupTables = field(default_factory=dict)

    def zone(self, name: str | None) -> str:
        """The time zone of naive times: the expression's, else the mapping's."""
        chosen = name or self.mapping.timezone
        return self.tenant_timezone if chosen == TENANT_TIMEZONE else chosen


@dataclass(frozen=True)
class Value:
    """An expression's value, and why it has none: the first error that is not null."""

    value: pl.Expr
    errors: tuple[pl.Expr, ...] = ()


@dataclass(frozen=True)
class TypedChunk:
    """A chunk after its mapping: `rows` are good, the others are in `rejects`."""

    rows: pl.DataFrame
    rejects: list[Reject]
    rejected_count: int
    # rows of the refused: ROW and the entity's fields as far as they could be read
    rejected: pl.DataFrame


@dataclass(frozen=True)
class EntityReader:
    """An entity's mapping, compiled once for all its chunks."""

    entity: Entity
    source: EntityMapping
    values: dict[str, Value]
    labels: dict[str, str]

    def read(self, chunk: pl.DataFrame, file: str) -> TypedChunk:
        """The chunk's rows, typed."""
        if self.source.only_if:
            chunk = chunk.filter(
                pl.col(self.source.only_if).is_not_null() | pl.col(PROBLEM).is_not_null()
            )
        errors = [
            pl.coalesce(*value.errors, pl.lit(None, pl.String)).alias(f"\0error {name}")
            for name, value in self.values.items()
        ]
        typed = chunk.select(
            ROW, PROBLEM, *[v.value.alias(name) for name, v in self.values.items()], *errors
        )
        names = [f"\0error {name}" for name in self.values]
        is_bad = pl.any_horizontal(pl.col(PROBLEM, *names).is_not_null())
        bad = typed.filter(is_bad)
        good = typed if bad.is_empty() else typed.filter(~is_bad)
        return TypedChunk(
            good.drop(PROBLEM, *names),
            list(self._rejects(bad, file)),
            len(bad),
            bad.drop(PROBLEM, *names),
        )

    def _rejects(self, bad: pl.DataFrame, file: str) -> Iterator[Reject]:
        for row in bad.iter_rows(named=True):
            if row[PROBLEM] is not None:
                yield Reject(file, row[ROW], None, row[PROBLEM])
                continue
            for name in self.values:
                if (reason := row[f"\0error {name}"]) is not None:
                    yield Reject(file, row[ROW], self.labels[name], reason)


def compile_entity(entity: Entity, source: EntityMapping, scope: Scope) -> EntityReader:
    """The reader of one entity; fields that are not mapped have their default or null."""
    values = {}
    for name, rule in entity.fields.items():
        expression = source.fields.get(name)
        if isinstance(expression, str):
            expression = Expression(column=expression)
        if expression is None:
            default = scope.tenant_currency if rule.type == "currency" else rule.default
            values[name] = Value(pl.lit(default, pl.String))
        else:
            values[name] = _typed(name, rule, expression, scope)
    return EntityReader(entity, source, values, field_labels(entity, source))


def field_labels(entity: Entity, source: EntityMapping) -> dict[str, str]:
    """For each field the columns it comes from, as a reject names them."""
    labels = {}
    for name in entity.fields:
        columns = sorted(columns_of(source.fields[name])) if name in source.fields else []
        labels[name] = ", ".join(columns) or name
    return labels


def _text(expression: Expression | str, scope: Scope) -> Value:
    """The text of an expression before it is typed."""
    if isinstance(expression, str):
        return Value(pl.col(expression))
    value = _source(expression, scope)
    if expression.lookup:
        value = _looked_up(value, expression.lookup, scope)
    if expression.first_characters is not None:
        value = Value(value.value.str.slice(0, expression.first_characters), value.errors)
    if expression.values is not None:
        value = _mapped(value, expression)
    if expression.default is not None:
        value = Value(value.value.fill_null(_constant(expression.default)), value.errors)
    return value


def _source(expression: Expression, scope: Scope) -> Value:
    if expression.column is not None:
        return Value(pl.col(expression.column))
    if expression.constant is not None:
        return Value(pl.lit(_constant(expression.constant), pl.String))
    inner = [_text(part, scope) for part in expression.first_of or expression.concat or ()]
    errors = tuple(error for part in inner for error in part.errors)
    parts = [part.value for part in inner]
    if expression.first_of:
        return Value(pl.coalesce(*parts), errors)
    return Value(pl.concat_str(parts, separator=expression.separator), errors)


def _constant(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _looked_up(value: Value, lookup: Lookup, scope: Scope) -> Value:
    keys, found = scope.lookups[lookup]
    mapped = value.value.replace_strict(keys, found, default=None, return_dtype=pl.String)
    if lookup.missing == "keep":
        return Value(pl.coalesce(mapped, value.value), value.errors)
    if lookup.missing == "null":
        return Value(mapped, value.errors)
    error = _error(
        value.value.is_not_null() & mapped.is_null(),
        "{} is not in " + scope.mapping.files[lookup.file].name.replace("{", "{{"),
        value.value,
    )
    return Value(mapped, (*value.errors, error))


def _mapped(value: Value, expression: Expression) -> Value:
    table = expression.values or {}
    mapped = value.value.replace_strict(
        list(table), list(table.values()), default=None, return_dtype=pl.String
    )
    if expression.otherwise == "keep":
        return Value(pl.coalesce(mapped, value.value), value.errors)
    if expression.otherwise == "null":
        return Value(mapped, value.errors)
    is_unknown = value.value.is_not_null() & mapped.is_null()
    error = _error(is_unknown, "{} is not among the values of the mapping", value.value)
    return Value(mapped, (*value.errors, error))


def _error(condition: pl.Expr, sentence: str, shown: pl.Expr) -> pl.Expr:
    """`sentence` with the offending value for {}, where the condition holds."""
    short = pl.concat_str(pl.lit("'"), shown.str.slice(0, SHOWN_CHARACTERS), pl.lit("'"))
    return pl.when(condition).then(pl.format(sentence, short))


def _typed(name: str, rule: Field, expression: Expression, scope: Scope) -> Value:
    """The field's value in the text Postgres reads, or its error."""
    text = _text(expression, scope)
    # also where the mapping makes it empty: a constant, a value of a table, a part of a text
    text = Value(pl.when(text.value != "").then(text.value), text.errors)
    if rule.type == "currency":
        text = Value(text.value.fill_null(scope.tenant_currency), text.errors)
    elif rule.default is not None:
        text = Value(text.value.fill_null(rule.default), text.errors)
    value, error = _TYPES[rule.type](text.value, rule, expression, scope)
    errors = [*text.errors, error]
    if rule.is_required:
        errors.append(pl.when(text.value.is_null()).then(pl.lit(f"{name} is required")))
    return Value(value, tuple(errors))


def _as_text(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    too_long = _error(
        text.str.len_chars() > rule.length_limit,
        "{}… is longer than " + f"{rule.length_limit} characters",
        text,
    )
    is_refused = text.str.contains(CONTROL_CHARACTERS)
    return text, pl.coalesce(too_long, _error(is_refused, "{} holds control characters", text))


def _as_email(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    address = text.str.strip_chars().str.to_lowercase()
    _, error = _as_text(address, rule, expression, scope)
    is_address = address.str.contains(r"^[^@\s]+@[^@\s]+$")
    return address, pl.coalesce(error, _error(~is_address, "{} is no e-mail address", text))


def _as_list(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    _, error = _as_text(text, rule, expression, scope)
    items = text.str.split(expression.list_separator).list.eval(
        pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != "")
    )
    items = items.list.unique(maintain_order=True)
    too_many = _error(items.list.len() > LIST_LENGTH_LIMIT, "{}… has more than 250 items", text)
    too_long = _error(
        items.list.eval(pl.element().str.len_chars().max()).list.first() > KEY_LENGTH,
        "an item of {}… is longer than 255 characters",
        text,
    )
    return items.list.join(LIST_MARK), pl.coalesce(error, too_many, too_long)


def _as_money(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    mark = expression.decimal_mark or scope.mapping.decimal_mark
    thousands = expression.thousands_mark
    stripped = text.str.strip_chars()
    whole = rf"[0-9]{{1,{MONEY_DIGITS}}}"
    if thousands:
        whole = rf"({whole}|[0-9]{{1,3}}([{thousands}][0-9]{{3}}){{1,3}})"
    is_number = stripped.str.contains(rf"^{whole}([{mark}][0-9]{{0,{MONEY_DECIMALS}}}0*)?$")
    plain = stripped.str.replace_all(thousands, "", literal=True) if thousands else stripped
    number = plain.str.replace(mark, ".", literal=True)
    marks = f"decimal mark {mark!r}" + (f", thousands {thousands!r}" if thousands else "")
    sentence = (
        "{} is not an amount of 0 or more with at most "
        f"{MONEY_DIGITS} digits and {MONEY_DECIMALS} decimals ({marks})"
    )
    return number, _error(~is_number, sentence, text)


def _as_integer(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    number = text.str.strip_chars().str.to_integer(strict=False, dtype=pl.Int64)
    is_fine = number.is_not_null() & number.is_between(rule.minimum, INTEGER_LIMIT)
    error = _error(
        text.is_not_null() & ~is_fine.fill_null(False),
        "{} is not a whole number from " + f"{rule.minimum} to {INTEGER_LIMIT}",
        text,
    )
    return number, error


def _as_boolean(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    word = text.str.strip_chars().str.to_lowercase()
    return word.is_in(YES), _error(~word.is_in(YES + NO), "{} is not true or false", text)


def _as_choice(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    sentence = "{} is not one of " + ", ".join(rule.choices)
    return text, _error(~text.is_in(list(rule.choices)), sentence, text)


def _as_currency(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    return text, _error(~text.is_in(sorted(CURRENCIES)), "{} is not a currency of ISO 4217", text)


def _as_timestamp(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    time_format = expression.time_format or scope.mapping.time_format
    instant = to_utc(text, scope.zone(expression.timezone), time_format)
    expected = f"of the form {time_format}" if time_format else "as in 2026-01-31 12:00:00"
    error = _error(
        text.is_not_null() & instant.is_null(),
        "{} is not a time " + expected + " from the years 1900 to 2199",
        text,
    )
    return instant.dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00"), error


_TYPES = {
    "text": _as_text,
    "list": _as_list,
    "money": _as_money,
    "integer": _as_integer,
    "boolean": _as_boolean,
    "choice": _as_choice,
    "currency": _as_currency,
    "email": _as_email,
    "timestamp": _as_timestamp,
}
