"""The texts of a mapping as the types of fields: what Postgres reads, or why it cannot be that.

Belongs here: one function per type, as Polars expressions. Does not: where a text comes from
(expressions.py).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from shop_api.bulk.fields import (
    INTEGER_LIMIT,
    KEY_LENGTH,
    LIST_LENGTH_LIMIT,
    MONEY_DECIMALS,
    MONEY_DIGITS,
    RATE_DECIMALS,
    RATE_DIGITS,
    Field,
)
from shop_api.bulk.instants import to_utc
from shop_api.bulk.mapping import TENANT_TIMEZONE, Expression, Lookup, Mapping
from shop_api.kernel.countries import COUNTRIES, country_hint
from shop_api.kernel.money import CURRENCIES, told_digits

# joins the items of a list on their way to Postgres
LIST_MARK = "\x1f"
# stands for a separator that is part of an item
ESCAPED = "\x1d"
# between a category and its child, however the file writes it
PATH_MARK = " > "
# those the API takes
WEB_ADDRESS = r"^https?://[!#-;=?-~]+$"
URL_LENGTH = 2000
NO_ADDRESS = "{} is not a web address: http:// or https://"
NOT_ENCODED = "{} must be percent-encoded: no spaces, quotes, <, > or characters beyond ASCII"
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


def refusal(condition: pl.Expr, sentence: str, shown: pl.Expr) -> pl.Expr:
    """`sentence` with the offending value for {}, where the condition holds."""
    short = pl.concat_str(pl.lit("'"), shown.str.slice(0, SHOWN_CHARACTERS), pl.lit("'"))
    return pl.when(condition).then(pl.format(sentence, short))


def _as_text(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    too_long = refusal(
        text.str.len_chars() > rule.length_limit,
        "{}… is longer than " + f"{rule.length_limit} characters",
        text,
    )
    is_refused = text.str.contains(CONTROL_CHARACTERS)
    return text, pl.coalesce(too_long, refusal(is_refused, "{} holds control characters", text))


def _as_email(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    address = text.str.strip_chars().str.to_lowercase()
    _, error = _as_text(address, rule, expression, scope)
    is_address = address.str.contains(r"^[^@\s]+@[^@\s]+$")
    return address, pl.coalesce(error, refusal(~is_address, "{} is no e-mail address", text))


def _as_list(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    _, error = _as_text(text, rule, expression, scope)
    items = _items(text, expression)
    too_many = refusal(items.list.len() > LIST_LENGTH_LIMIT, "{}… has more than 250 items", text)
    too_long = refusal(
        items.list.eval(pl.element().str.len_chars().max()).list.first() > KEY_LENGTH,
        "an item of {}… is longer than 255 characters",
        text,
    )
    return items.list.join(LIST_MARK), pl.coalesce(error, too_many, too_long)


def _items(text: pl.Expr, expression: Expression) -> pl.Expr:
    """The different items of a list. A separator after a backslash is part of its item."""
    separator, item = expression.list_separator, pl.element()
    escaped = text.str.replace_all("\\" + separator, ESCAPED, literal=True)
    item = item.str.replace_all(ESCAPED, separator, literal=True).str.strip_chars()
    if expression.path_separator:
        mark = re.escape(expression.path_separator)
        item = item.str.replace_all(rf"(\s*{mark}\s*)+", PATH_MARK)
        item = item.str.strip_prefix(PATH_MARK).str.strip_suffix(PATH_MARK)
    items = escaped.str.split(separator).list.eval(item.filter(item != ""))
    return items.list.unique(maintain_order=True)


def _as_url(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    address = text.str.strip_chars()
    _, error = _as_text(address, rule, expression, scope)
    return address, pl.coalesce(error, *_address_refusals(address))


def _as_urls(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    _, error = _as_text(text, rule, expression, scope)
    items = _items(text, expression)
    too_many = refusal(items.list.len() > LIST_LENGTH_LIMIT, "{}… has more than 250 items", text)
    item = pl.element()
    is_bad = ~item.str.contains(WEB_ADDRESS) | (item.str.len_chars() > URL_LENGTH)
    bad = items.list.eval(item.filter(is_bad)).list.first()
    too_long = refusal(
        bad.str.len_chars() > URL_LENGTH, f"{{}}… is longer than {URL_LENGTH} characters", bad
    )
    return items.list.join(LIST_MARK), pl.coalesce(
        error, too_many, *_address_refusals(bad), too_long
    )


def _address_refusals(address: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Why an address cannot be used, if so."""
    return (
        refusal(~address.str.contains("^https?://"), NO_ADDRESS, address),
        refusal(~address.str.contains(WEB_ADDRESS), NOT_ENCODED, address),
    )


def _as_measure(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    mark = expression.decimal_mark or scope.mapping.decimal_mark
    stripped = text.str.strip_chars()
    is_number = stripped.str.contains(rf"^[0-9]{{1,10}}([{mark}][0-9]{{0,20}})?$")
    number = stripped.str.replace(mark, ".", literal=True).cast(pl.Float64, strict=False)
    number = number.round(mode="half_away_from_zero")
    is_fine = is_number & (number <= INTEGER_LIMIT)
    error = refusal(
        text.is_not_null() & ~is_fine.fill_null(False),
        f"{{}} is not a number from 0 to {INTEGER_LIMIT} (decimal mark {mark!r})",
        text,
    )
    return pl.when(is_fine).then(number).cast(pl.Int64), error


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
    currency = scope.mapping.currency or scope.tenant_currency
    sentence = (
        f"{{}} is not an amount of 0 or more with at most {MONEY_DIGITS} digits before the decimal"
        f" mark; {told_digits(currency)} ({marks})"
    )
    return number, refusal(~is_number, sentence, text)


def _as_rate(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    mark = expression.decimal_mark or scope.mapping.decimal_mark
    stripped = text.str.strip_chars()
    form = rf"^[0-9]{{1,{RATE_DIGITS}}}([{mark}][0-9]{{0,{RATE_DECIMALS}}}0*)?$"
    is_rate = stripped.str.contains(form) & stripped.str.contains("[1-9]")
    sentence = (
        f"{{}} is not a rate above 0 with at most {RATE_DIGITS} digits before the decimal mark and"
        f" {RATE_DECIMALS} behind it (decimal mark {mark!r})"
    )
    return stripped.str.replace(mark, ".", literal=True), refusal(~is_rate, sentence, text)


def _as_integer(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    number = text.str.strip_chars().str.to_integer(strict=False, dtype=pl.Int64)
    is_fine = number.is_not_null() & number.is_between(rule.minimum, INTEGER_LIMIT)
    error = refusal(
        text.is_not_null() & ~is_fine.fill_null(False),
        "{} is not a whole number from " + f"{rule.minimum} to {INTEGER_LIMIT}",
        text,
    )
    return number, error


def _as_boolean(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    word = text.str.strip_chars().str.to_lowercase()
    return word.is_in(YES), refusal(~word.is_in(YES + NO), "{} is not true or false", text)


def _as_choice(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    sentence = "{} is not one of " + ", ".join(rule.choices)
    return text, refusal(~text.is_in(list(rule.choices)), sentence, text)


def _as_currency(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    return text, refusal(~text.is_in(sorted(CURRENCIES)), "{} is not a currency of ISO 4217", text)


def _as_country(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    sentence = "{} is not a country code of ISO 3166-1, such as IT"
    is_unknown = ~text.is_in(sorted(COUNTRIES))
    uk = refusal(text == "UK", f"{sentence}:{country_hint('UK').removesuffix('.')}", text)
    return text, pl.coalesce(uk, refusal(is_unknown, sentence, text))


def _as_timestamp(
    text: pl.Expr, rule: Field, expression: Expression, scope: Scope
) -> tuple[pl.Expr, pl.Expr]:
    time_format = expression.time_format or scope.mapping.time_format
    instant = to_utc(text, scope.zone(expression.timezone), time_format)
    expected = f"of the form {time_format}" if time_format else "as in 2026-01-31 12:00:00"
    error = refusal(
        text.is_not_null() & instant.is_null(),
        "{} is not a time " + expected + " from the years 1900 to 2199",
        text,
    )
    return instant.dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00"), error


TYPES: dict[str, Callable[[pl.Expr, Field, Expression, Scope], tuple[pl.Expr, pl.Expr]]] = {
    "text": _as_text,
    "list": _as_list,
    "money": _as_money,
    "integer": _as_integer,
    "boolean": _as_boolean,
    "choice": _as_choice,
    "currency": _as_currency,
    "rate": _as_rate,
    "country": _as_country,
    "email": _as_email,
    "measure": _as_measure,
    "url": _as_url,
    "urls": _as_urls,
    "timestamp": _as_timestamp,
}
