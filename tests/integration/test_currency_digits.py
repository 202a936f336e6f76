"""Database and figures round and write amounts as the application does, in every currency."""

from decimal import Decimal
from itertools import product
from string import ascii_uppercase

from sqlalchemy import text

from analytics.currencies import currency_digits as digits_of_figures
from shop_api.kernel.money import CURRENCIES, currency_digits, round_money
from tests.fixtures.stores import Database


def test_the_database_knows_every_codes_digits(database: Database) -> None:
    """All codes of three letters, so that one missing from the kernel's table shows too."""
    codes = ["".join(letters) for letters in product(ascii_uppercase, repeat=3)]
    assert set(codes) >= CURRENCIES
    with database.engine.connect() as connection:
        found = connection.execute(
            text("SELECT code, currency_digits(code) FROM unnest(CAST(:codes AS text[])) code"),
            {"codes": codes},
        )
        assert {row[0]: row[1] for row in found} == {code: currency_digits(code) for code in codes}


def test_figures_have_the_digits_of_amounts() -> None:
    assert {code: digits_of_figures(code) for code in CURRENCIES} == {
        code: currency_digits(code) for code in CURRENCIES
    }


def test_the_database_rounds_as_the_kernel(database: Database) -> None:
    amounts = [Decimal(amount) for amount in ("0", "0.5", "2.345", "-2.345", "1990.0005", "19.9")]
    with database.engine.connect() as connection:
        for code in sorted(CURRENCIES):
            rounded = connection.execute(
                text(
                    "SELECT array_agg(json_money(a, :code) ORDER BY n)"
                    " FROM unnest(CAST(:amounts AS numeric[])) WITH ORDINALITY AS t(a, n)"
                ),
                {"code": code, "amounts": amounts},
            ).scalar_one()
            assert [str(a) for a in rounded] == [str(round_money(a, code)) for a in amounts]
