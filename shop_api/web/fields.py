"""marshmallow fields of the wire contract: money, instants, ids, text without control characters.

Belongs here: how one value is read and documented. Does not: whole resources (domains' schemas).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields, validate

from shop_api.kernel.countries import COUNTRIES, country_hint
from shop_api.kernel.ids import parse_id
from shop_api.kernel.money import CURRENCIES
from shop_api.kernel.timezones import timezones

# numeric(18,4): fourteen digits before the point
MONEY_LIMIT = Decimal(10) ** 14

# the least amount of any currency
FINEST = Decimal("0.0001")

NOT_A_NUMBER = "Must be a number, not text, such as 19.90."
NOT_A_TIME = "Must be an RFC 3339 time with its offset, such as 2026-01-31T12:00:00Z."

# a + that is not encoded in a URL is read as a space
LOST_PLUS = " The + of the offset became a space: write it as %2B in a URL, or use Z."

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# a time whose offset lost its sign
_WITHOUT_PLUS = re.compile(r"[\dTt.:-]+ \d\d:\d\d", re.ASCII)
# C0 and C1 controls but tab, line feed and carriage return; lone surrogates cannot be stored
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# the same in the document, where JSON has no lone surrogates
_TEXT = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
TEXT_PATTERN = rf"^[^{_TEXT}]*$"
# of text that is needed: something can be seen of it
VISIBLE_PATTERN = rf"^[^{_TEXT}]*[^{_TEXT}\s][^{_TEXT}]*$"


class Text(fields.String):
    """A string of bounded length without control characters.

    One that has a minimum is not blank, either, but for `takes_blanks`: what somebody searches by.
    """

    def __init__(
        self,
        *,
        min_length: int = 0,
        max_length: int = 255,
        takes_blanks: bool = False,
        **options: Any,
    ) -> None:
        metadata = options.pop("metadata", {})
        said = f"Must be {_count(min_length, max_length)} characters long."
        self.is_visible = min_length > 0 and not takes_blanks
        self.length = validate.Length(min=min_length or None, max=max_length, error=said)
        validators: list[Callable[[Any], Any]] = [self.length]
        extra = options.pop("validate", None)
        if extra is not None:
            validators += extra if isinstance(extra, list) else [extra]
        if not any(isinstance(validator, validate.Regexp) for validator in validators):
            pattern = VISIBLE_PATTERN if self.is_visible else TEXT_PATTERN
            metadata = {"pattern": pattern, **metadata}
        super().__init__(validate=validators, metadata=metadata, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be text.")
        # a wrong length is said alone, not beside a pattern that it breaks, too
        self.length(value)
        if _REFUSED.search(value):
            raise ValidationError("Control characters are not allowed.")
        if self.is_visible and not value.strip():
            raise ValidationError("Must not be blank.")
        return value


class Email(Text):
    """An e-mail address, lower-cased."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("metadata", {}).setdefault("format", "email")
        super().__init__(
            max_length=254, validate=validate.Email(error="Must be an e-mail address."), **options
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        return super()._deserialize(value, attr, data, **options).strip().lower()


class Money(fields.Field[Decimal]):
    """An exact amount: a JSON number, not a string; at most 14 digits before the point. How many
    there may be after it is the currency's to say, which a service knows."""

    def __init__(self, *, minimum: Decimal | None = Decimal(0), **options: Any) -> None:
        metadata = options.pop("metadata", {})
        if minimum is not None:
            metadata = {"minimum": float(minimum), **metadata}
        metadata = {"exclusiveMaximum": int(MONEY_LIMIT), **metadata}
        super().__init__(metadata=metadata, **options)
        self.minimum = minimum

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Decimal:
        # query strings arrive as text, JSON numbers as int or Decimal; a JSON string is no amount
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise ValidationError(NOT_A_NUMBER)
        return self.check(Decimal(value))

    def check(self, amount: Decimal) -> Decimal:
        """The amount within bounds, or a ValidationError."""
        # copy_abs, not abs: abs rounds to the context and overflows on 1e1000000
        if not amount.is_finite() or amount.copy_abs() >= MONEY_LIMIT:
            raise ValidationError(f"Must be below {MONEY_LIMIT:f}.")
        if self.minimum is not None and amount < self.minimum:
            is_any = 0 < self.minimum <= FINEST
            raise ValidationError(f"Must be {'above 0' if is_any else f'at least {self.minimum}'}.")
        return amount


class MoneyParameter(Money):
    """An amount in a query string, written as JSON writes numbers."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Decimal:
        if not re.fullmatch(r"\d{1,14}(\.\d{1,30})?([eE][+-]?\d{1,3})?", str(value), re.ASCII):
            raise ValidationError("Must be an amount of at least 0, such as 19.90.")
        amount = self.check(Decimal(str(value)))
        # below 10^14 four digits more fit the context's precision of 28
        if amount.quantize(FINEST, rounding=ROUND_DOWN) != amount:
            raise ValidationError("At most 4 decimals: no currency has more.")
        return amount


class Number(fields.Field[Decimal]):
    """An exact number within bounds that is no amount: a percentage, a rate."""

    def __init__(
        self,
        *,
        minimum: Decimal = Decimal(0),
        maximum: Decimal,
        digits: int,
        such_as: str = "",
        **options: Any,
    ) -> None:
        bounds = {"minimum": float(minimum), "maximum": float(maximum)}
        super().__init__(metadata={**bounds, **options.pop("metadata", {})}, **options)
        self.minimum, self.maximum, self.digits = minimum, maximum, digits
        told = f", such as {such_as}" if such_as else ""
        self.refusal = f"Must be between {minimum} and {maximum}{told}."

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise ValidationError(NOT_A_NUMBER)
        number = Decimal(value)
        if not number.is_finite() or not self.minimum <= number <= self.maximum:
            raise ValidationError(self.refusal)
        exact = number.quantize(Decimal(1).scaleb(-self.digits), rounding=ROUND_DOWN)
        if exact != number:
            raise ValidationError(f"At most {self.digits} digits after the decimal point.")
        return exact


class Whole(fields.Integer):
    """A whole number within Postgres's integer: 1, and 1.0, which JSON Schema takes for one."""

    def __init__(
        self, *, minimum: int = -2_147_483_648, maximum: int = 2_147_483_647, **options: Any
    ) -> None:
        super().__init__(strict=True, validate=_between(minimum, maximum), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        if isinstance(value, Decimal) and _is_whole(value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError("Must be a whole number.")
        return value


def _is_whole(value: Decimal) -> bool:
    return value.is_finite() and value.copy_abs() < MONEY_LIMIT and value == int(value)


class WholeParameter(fields.Integer):
    """A whole number in a query string: digits, with a minus or without, and nothing else."""

    def __init__(self, minimum: int, maximum: int, **options: Any) -> None:
        super().__init__(validate=_between(minimum, maximum), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        if not re.fullmatch(r"-?\d{1,19}", str(value), re.ASCII):
            raise ValidationError("Must be a whole number.")
        return int(value)


class Flag(fields.Boolean):
    """true or false, nothing that merely looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class FlagParameter(fields.Boolean):
    """`true` or `false` in a query string."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        if value not in ("true", "false"):
            raise ValidationError("Must be true or false.")
        return bool(value == "true")


class Instant(fields.Field[datetime]):
    """An RFC 3339 instant with its offset; a time without one is refused."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("metadata", {}).setdefault("example", "2026-01-31T12:00:00.000000Z")
        super().__init__(**options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> datetime:
        if not isinstance(value, str) or not _RFC3339.fullmatch(value):
            is_plus_lost = isinstance(value, str) and _WITHOUT_PLUS.fullmatch(value)
            raise ValidationError(NOT_A_TIME + (LOST_PLUS if is_plus_lost else ""))
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ValidationError("Must be a time that exists.") from error


class Id(fields.Field[UUID]):
    """A UUID in canonical form."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> UUID:
        parsed = parse_id(value) if isinstance(value, str) else None
        if parsed is None:
            raise ValidationError("Must be an id: a UUID of 36 characters.")
        return parsed


class BoundedList(fields.List):
    """A list whose length is looked at before its items: those of 300 000 cost seconds."""

    def __init__(
        self, item: Any, *, min_length: int | None = None, max_length: int, **options: Any
    ) -> None:
        said = f"Must have {_count(min_length, max_length)} items."
        self.length = validate.Length(min=min_length, max=max_length, error=said)
        validators = [self.length, *([options.pop("validate")] if "validate" in options else [])]
        super().__init__(item, validate=validators, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[Any]:
        if isinstance(value, list):
            self.length(value)
        return super()._deserialize(value, attr, data, **options)


class Tags(BoundedList):
    """Words by which a thing is found, each kept once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Text(min_length=1, max_length=64), max_length=50, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[Any]:
        return list(dict.fromkeys(super()._deserialize(value, attr, data, **options)))


class Currency(Text):
    """An ISO 4217 code."""

    def __init__(self, **options: Any) -> None:
        metadata = options.setdefault("metadata", {})
        metadata.setdefault("example", "USD")
        metadata["enum"] = sorted(CURRENCIES)
        super().__init__(min_length=3, max_length=3, validate=_known_currency, **options)


class Country(Text):
    """A code of ISO 3166-1 alpha-2."""

    def __init__(self, **options: Any) -> None:
        metadata = options.setdefault("metadata", {})
        metadata.setdefault("example", "IT")
        metadata["enum"] = [*sorted(COUNTRIES), *([None] if options.get("allow_none") else [])]
        super().__init__(min_length=2, max_length=2, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        # before the length, so that "Italy" is told what a code is
        if isinstance(value, str) and value not in COUNTRIES:
            raise ValidationError(
                "Must be a country code of ISO 3166-1, such as IT." + country_hint(value)
            )
        return super()._deserialize(value, attr, data, **options)


class Timezone(Text):
    """A zone of the IANA database."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("metadata", {}).setdefault("example", "Europe/Rome")
        super().__init__(min_length=1, max_length=64, validate=_known_timezone, **options)


def _known_timezone(value: str) -> None:
    if value not in timezones():
        raise ValidationError("Must be an IANA timezone, such as Europe/Rome.")


def _known_currency(value: str) -> None:
    if value not in CURRENCIES:
        raise ValidationError("Must be an ISO 4217 currency code, such as USD.")


class Matching(validate.Regexp):
    """A pattern for the whole value, written as JSON Schema writes it: `^…$`."""

    def __call__(self, value: Any) -> Any:
        if not self.regex.fullmatch(value):
            raise ValidationError(self.error or "")
        return value


def matching(pattern: str, refusal: str) -> Matching:
    """A validator for a whole value; `refusal` tells a client in words what the pattern wants."""
    return Matching(pattern, error=refusal)


TOKEN = matching(
    r"^[a-z0-9][a-z0-9_-]*$",
    "Must be lower-case letters, digits, _ and -, and begin with a letter or digit.",
)
SLUG = matching(
    r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$",
    "Must be lower-case letters, digits, _ and -, and begin and end with a letter or digit.",
)


def _count(minimum: int | None, maximum: int) -> str:
    """A number of things, in words."""
    if not minimum:
        return f"at most {maximum}"
    return f"{maximum}" if minimum == maximum else f"{minimum} to {maximum}"


def _between(minimum: int, maximum: int) -> validate.Range:
    return validate.Range(
        min=minimum, max=maximum, error=f"Must be between {minimum} and {maximum}."
    )


def one_of(*values: str) -> Callable[[Any], Any]:
    """A validator for an enumeration."""
    return validate.OneOf(values)
