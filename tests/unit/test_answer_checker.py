"""What every answer of the tests is held to: integers are integers as clients read them."""

import json
from decimal import Decimal

import pytest
from jsonschema_rs import Draft202012Validator

from tests.fixtures.api import Whole, with_whole_integers

SCHEMA = {
    "properties": {
        "quantity": {"type": "integer"},
        "stock": {"type": ["integer", "null"]},
        "price": {"type": "number"},
        "lines": {"items": {"properties": {"position": {"type": "integer"}}}},
    }
}


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ('{"quantity": 1, "stock": null, "price": 1.0}', True),
        ('{"quantity": 1.0}', False),
        ('{"stock": 1.0}', False),
        ('{"lines": [{"position": 1}, {"position": 2.0}]}', False),
        ('{"quantity": 12345678901234567890123}', True),
        ('{"quantity": true}', False),
        ('{"price": "1.0"}', False),
    ],
)
def test_an_integer_is_written_without_a_fraction(text: str, is_valid: bool) -> None:
    validator = Draft202012Validator(with_whole_integers(SCHEMA), keywords={"whole": Whole})
    assert validator.is_valid(json.loads(text, parse_float=Decimal)) is is_valid
