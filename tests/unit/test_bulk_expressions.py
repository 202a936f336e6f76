"""Texts of a file become typed values, or the reason why not: nothing is guessed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from shop_api.bulk.expressions import compile_entity
from shop_api.bulk.field_types import Scope
from shop_api.bulk.fields import ENTITIES, Entity, Field
from shop_api.bulk.instants import to_utc
from shop_api.bulk.mapping import EntityMapping, Expression, Lookup, Mapping, SourceFile
from shop_api.bulk.readers import PROBLEM, ROW
from shop_api.kernel.timezones import timezones

MAPPING = Mapping("test", {"words": SourceFile("words.csv")}, {})
ZONE = "America/Sao_Paulo"
LOOKUP = Lookup("words", "from", "to")


def read(
    expression: Expression, rule: Field, text: str | None, second: str | None = None
) -> tuple[object, str | None]:
    """The value of one field for a row with the columns `a` and `b`, and its error."""
    entity = Entity({"field": rule})
    tables = {
        lookup: (pl.Series(["um", "dois"]), pl.Series(["one", "two"]))
        for lookup in (
            LOOKUP,
            Lookup("words", "from", "to", missing="keep"),
            Lookup("words", "from", "to", missing="null"),
        )
    }
    scope = Scope(MAPPING, ZONE, "BRL", tables)
    reader = compile_entity(entity, EntityMapping("words", {"field": expression}), scope)
    chunk = pl.DataFrame(
        {ROW: [1], PROBLEM: [None], "a": [text], "b": [second]},
        schema={ROW: pl.Int64, PROBLEM: pl.String, "a": pl.String, "b": pl.String},
    )
    typed = reader.read(chunk, "words.csv")
    if typed.rejects:
        return None, typed.rejects[0].reason
    return typed.rows["field"][0], None


A = Expression(column="a")
MONEY = Field("money")
COMMA = Expression(column="a", decimal_mark=",", thousands_mark=".")


@pytest.mark.parametrize(
    ("expression", "text", "amount"),
    [
        (A, "12.30", "12.30"),
        (A, " 7 ", "7"),
        (A, "0", "0"),
        (A, "1.23450000", "1.23450000"),
        (A, "999999999999.9999", "999999999999.9999"),
        (COMMA, "1.234,50", "1234.50"),
        (COMMA, "1234,50", "1234.50"),
        (COMMA, "12.345.678", "12345678"),
        (A, None, None),
    ],
)
def test_amounts_are_read_with_the_mark_that_was_said(
    expression: Expression, text: str | None, amount: str | None
) -> None:
    assert read(expression, MONEY, text) == (amount, None)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (A, "12,30"),
        (A, "1,234.50"),
        (A, "-1"),
        (A, "1e3"),
        (A, "NaN"),
        (A, "١٢"),
        (A, "1.23456"),
        (A, "1000000000000"),
        (A, "R$ 5"),
        (COMMA, "12.30"),
        (COMMA, "1.23.456"),
    ],
)
def test_an_amount_that_could_mean_something_else_is_refused(
    expression: Expression, text: str
) -> None:
    value, error = read(expression, MONEY, text)
    assert value is None
    assert error is not None
    assert error.startswith(f"'{text}' is not an amount of 0 or more")


@pytest.mark.parametrize(
    ("rule", "text", "value"),
    [
        (Field("integer"), "12", 12),
        (Field("integer", default="3"), None, 3),
        (Field("boolean"), "Yes", True),
        (Field("boolean"), "0", False),
        (Field("email"), " Ada@Example.COM ", "ada@example.com"),
        (Field("currency"), None, "BRL"),
        (Field("currency"), "JPY", "JPY"),
        (Field("country"), "GB", "GB"),
        (Field("choice", choices=("x", "y")), "y", "y"),
        (Field("list"), "b, a,,b", "b\x1fa"),
        (Field("text"), " kept ", " kept "),
    ],
)
def test_typed_values(rule: Field, text: str | None, value: object) -> None:
    assert read(A, rule, text) == (value, None)


@pytest.mark.parametrize(
    ("rule", "text", "reason"),
    [
        (Field("integer"), "12.5", "not a whole number from 0 to 2000000000"),
        (Field("integer"), "99999999999999999999", "not a whole number"),
        (Field("integer", minimum=1), "0", "not a whole number from 1"),
        (Field("boolean"), "maybe", "not true or false"),
        (Field("email"), "ada", "no e-mail address"),
        (Field("currency"), "XXX", "not a currency of ISO 4217"),
        (Field("country"), "ZZ", "not a country code of ISO 3166-1, such as IT"),
        (Field("country"), "UK", "such as IT: UK is GB"),
        (ENTITIES["orders"].fields["address_country"], "ZZ", "not a country code"),
        (ENTITIES["customers"].fields["address_country"], "ZZ", "not a country code"),
        (Field("choice", choices=("x",)), "z", "not one of x"),
        (Field("list", length_limit=1000), ",".join(map(str, range(251))), "more than 250 items"),
        (Field("list", length_limit=1000), "x" * 256, "longer than 255 characters"),
        (Field("text"), "x" * 256, "longer than 255 characters"),
        (Field("text"), "a\0b", "control characters"),
        (Field("text", is_required=True), None, "field is required"),
        (Field("timestamp"), "31/01/2026", "not a time"),
        (Field("timestamp"), "0999-01-01 00:00:00", "not a time"),
    ],
)
def test_values_out_of_bounds_are_refused(rule: Field, text: str | None, reason: str) -> None:
    value, error = read(A, rule, text)
    assert (value, reason in str(error)) == (None, True)


TEXT = Field("text")


@pytest.mark.parametrize(
    ("expression", "a", "b", "value", "reason"),
    [
        (Expression(constant=True), None, None, "true", None),
        (Expression(constant=7), None, None, "7", None),
        (Expression(first_of=("a", "b")), None, "x", "x", None),
        (Expression(concat=("a", "b"), separator="-"), "x", "y", "x-y", None),
        (Expression(concat=("a", "b"), separator="-"), "x", None, None, None),
        (Expression(column="a", first_characters=2), "abc", None, "ab", None),
        (Expression(column="a", default="none"), None, None, "none", None),
        (Expression(column="a", lookup=LOOKUP), "dois", None, "two", None),
        (Expression(column="a", lookup=LOOKUP), None, None, None, None),
        (Expression(column="a", lookup=LOOKUP), "tres", None, None, "'tres' is not in words.csv"),
        (
            Expression(column="a", lookup=Lookup("words", "from", "to", missing="keep")),
            "tres",
            None,
            "tres",
            None,
        ),
        (
            Expression(column="a", lookup=Lookup("words", "from", "to", missing="null")),
            "tres",
            None,
            None,
            None,
        ),
        (Expression(column="a", values={"x": "1"}), "x", None, "1", None),
        (
            Expression(column="a", values={"x": "1"}),
            "y",
            None,
            None,
            "'y' is not among the values of the mapping",
        ),
        (Expression(column="a", values={"x": "1"}, otherwise="keep"), "y", None, "y", None),
        (Expression(column="a", values={"x": "1"}, otherwise="null"), "y", None, None, None),
    ],
)
def test_expressions(
    expression: Expression, a: str | None, b: str | None, value: str | None, reason: str | None
) -> None:
    assert read(expression, TEXT, a, b) == (value, reason)


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2017-07-01 12:00:00", ZONE, "2017-07-01 15:00"),
        # occurs twice: the first, on the same local day
        ("2018-02-17 23:30:00", ZONE, "2018-02-18 01:30"),
        # left out at midnight: as far on as the clock was put forward
        ("2018-11-04 00:30:00", ZONE, "2018-11-04 03:30"),
        ("2018-11-04", ZONE, "2018-11-04 03:00"),
        # half an hour left out
        ("2026-10-04 02:10:00", "Australia/Lord_Howe", "2026-10-03 15:40"),
        ("2026-01-01 00:00:00", "Asia/Kathmandu", "2025-12-31 18:15"),
        ("2026-03-29T02:30:00", "Europe/Rome", "2026-03-29 01:30"),
        # an offset wins over the zone
        ("2026-01-01T00:00:00Z", ZONE, "2026-01-01 00:00"),
        ("2026-01-01 00:00:00+05:30", ZONE, "2025-12-31 18:30"),
        ("not a time", ZONE, None),
        ("2200-01-01 00:00:00", "UTC", None),
    ],
)
def test_times_of_a_zone(text: str, zone: str, utc: str | None) -> None:
    found = pl.DataFrame({"t": [text]}).select(to_utc(pl.col("t"), zone, None)).item()
    assert found == (datetime.fromisoformat(utc) if utc else None)


def test_every_zone_a_mapping_may_name_is_understood() -> None:
    times = pl.DataFrame({"t": ["2020-07-01 12:00:00"]})
    for zone in sorted(timezones()):
        local = datetime(2020, 7, 1, 12, tzinfo=ZoneInfo(zone))
        found = times.select(to_utc(pl.col("t"), zone, None)).item()
        assert found == local.astimezone(UTC).replace(tzinfo=None), zone


def test_a_written_form_of_its_own_comes_first() -> None:
    texts = pl.DataFrame({"t": ["03/02/2026 10:00", "2026-02-03 10:00:00"]})
    found = texts.select(to_utc(pl.col("t"), "UTC", "%d/%m/%Y %H:%M")).to_series().to_list()
    assert found == [datetime(2026, 2, 3, 10)] * 2  # noqa: DTZ001


def test_every_field_of_every_entity_has_a_type_that_is_read() -> None:
    scope = Scope(MAPPING, "UTC", "USD")
    for entity in ENTITIES.values():
        mapped = EntityMapping("words", dict.fromkeys(entity.fields, A))
        assert set(compile_entity(entity, mapped, scope).values) == set(entity.fields)


@pytest.mark.parametrize(
    "expression",
    [
        A,
        Expression(constant=""),
        Expression(column="a", values={"x": ""}, otherwise="keep"),
        Expression(column="a", first_characters=0),
    ],
)
def test_a_text_made_empty_is_missing(expression: Expression) -> None:
    text = "" if expression == A else "x"
    assert read(expression, Field("text", is_required=True), text) == (None, "field is required")
    assert read(expression, Field("text", default="web"), text) == ("web", None)
    assert read(expression, Field("text"), text) == (None, None)


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("%d-%m-%YT%H:%M:%S%z", "03-02-2026T10:00:00+0530"),
        ("%d-%m-%YT%H:%M:%S%z", "03-02-2026T04:30:00Z"),
        ("%d/%m/%Y %H:%M %z", "03/02/2026 10:00 +05:30"),
        ("%d/%m/%Y %H:%M %:z", "03/02/2026 10:00 +05:30"),
        ("%d/%m/%Y %H:%M%:z", "03/02/2026 04:30Z"),
        ("%z, %d/%m/%Y %H:%M", "+05:30, 03/02/2026 10:00"),
        # ISO 8601 is read beside it
        ("%d/%m/%Y %H:%M%:z", "2026-02-03T10:00:00+05:30"),
        ("%d/%m/%Y %H:%M%:z", "2026-02-03 01:30:00"),
    ],
)
def test_a_written_form_may_hold_the_offset(time_format: str, text: str) -> None:
    found = pl.DataFrame({"t": [text, None]}).select(to_utc(pl.col("t"), ZONE, time_format))
    assert found.to_series().to_list() == [datetime.fromisoformat("2026-02-03 04:30"), None]
