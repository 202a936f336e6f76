"""The test cards of the simulated provider: the guide's table is what the code does."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from shop_api.kernel.clock import utc_now
from shop_api.kernel.ids import new_id
from shop_api.providers.port import Charge, ProviderAnswer
from shop_api.providers.simulated import TEST_CARDS, SimulatedProvider

GUIDE = Path("docs/guides/common_jobs.md").read_text()
TABLE = {
    row[0]: row[1:]
    for row in re.findall(r"^\| `(\d{16})` \| `(\w+)` \| (.*) \|$", GUIDE, re.MULTILINE)
}


def charge(card: str, *, is_captured: bool = True) -> ProviderAnswer:
    payment = Charge(new_id(utc_now()), Decimal(10), "EUR", is_captured, card)
    return SimulatedProvider().charge(payment)


def test_the_guide_lists_every_card() -> None:
    assert tuple(TABLE) == TEST_CARDS


@pytest.mark.parametrize("card", TEST_CARDS)
def test_a_card_does_what_the_guide_says(card: str) -> None:
    state, told = TABLE[card]
    answer = charge(card)
    assert answer.state == state
    assert answer.failure_code is None or f"`failure_code` is `{answer.failure_code}`" in told
    assert (len(answer.callbacks) == 2) == ("twice" in told)
    if told.startswith("approved"):
        assert charge(card, is_captured=False).state == "authorized"


def test_another_card_fails_as_the_guide_says() -> None:
    assert f"fails with `{charge('4111111111111111').failure_code}`" in GUIDE
