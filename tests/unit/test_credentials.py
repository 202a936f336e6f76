"""The stage that finds out who asks: what it remembers, by itself and over a table of tokens."""

import tracemalloc
from collections import Counter

import pytest

from shop_api.gateway.credentials import (
    MAX_CACHED,
    MAX_HEADER_LENGTH,
    BeforeLookup,
    Credentials,
)
from shop_api.kernel.clock import utc_now
from shop_api.kernel.exchange import Answer, Exchange
from shop_api.kernel.ids import new_id
from shop_api.kernel.principal import Principal
from shop_api.kernel.rate_limits import PLAN_LIMITS

TOKEN = "sk_" + "a" * 43
READER = Principal(new_id(utc_now()), "api_key:1", frozenset(), PLAN_LIMITS["free"])


class Asking:
    """The stage, and which tokens it had checked: those that begin with sk_ are valid."""

    def __init__(self, cache_seconds: float = 1000.0) -> None:
        self.checked: Counter[str] = Counter()
        self.strangers: Counter[str] = Counter()
        self.is_valid = True
        self.stage = Credentials(lambda _: Answer(200, [], b""), self._check, cache_seconds)
        self.stage.admit_stranger = lambda exchange: self.strangers.update([exchange.path])

    def _check(self, token: str, before_lookup: BeforeLookup) -> Principal | None:
        before_lookup()
        self.checked[token] += 1
        return READER if self.is_valid and token.startswith("sk_") else None

    def ask(self, header: str) -> Exchange:
        exchange = Exchange({"HTTP_AUTHORIZATION": header}, "GET", "/", utc_now())
        self.stage(exchange)
        return exchange


def test_one_token_has_one_entry_however_it_is_spelt() -> None:
    asking = Asking()
    spelt = [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer   {TOKEN}\t", f"BEARER {TOKEN} "]
    for header in [*spelt, *spelt]:
        assert asking.ask(header).principal is READER
    assert asking.checked == {TOKEN: 1}


def test_spellings_of_one_token_take_no_memory() -> None:
    asking = Asking()
    asking.ask(f"Bearer {TOKEN}")
    tracemalloc.start()
    try:
        for blanks in range(2000):
            asking.ask(f"Bearer {' ' * (2000 + blanks)}{TOKEN}")
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 100_000


@pytest.mark.parametrize("length", [MAX_HEADER_LENGTH + 1, 60_000])
def test_a_header_that_is_too_long_is_no_credential(length: int) -> None:
    asking = Asking()
    for header in (
        f"Bearer {TOKEN}".ljust(length),
        f"Bearer {' ' * (length - 7 - len(TOKEN))}{TOKEN}",
        f"Bearer {'sk_'.ljust(length - 7, 'a')}",
    ):
        exchange = asking.ask(header)
        assert exchange.principal is None
        assert exchange.refusal is not None
        assert exchange.refusal.code == "invalid_credential"
    assert not asking.checked


def test_of_too_many_the_half_checked_last_is_remembered() -> None:
    asking = Asking()
    tokens = [f"sk_{number}" for number in range(MAX_CACHED + 1)]
    for token in tokens:
        asking.ask(f"Bearer {token}")
    first, *_, last = tokens
    middle = tokens[MAX_CACHED // 2]
    for token in (last, middle):
        asking.ask(f"Bearer {token}")
        assert asking.checked[token] == 1
    asking.ask(f"Bearer {first}")
    assert asking.checked[first] == 2


def test_a_token_is_a_strangers_until_it_was_valid_and_after_it_is_not() -> None:
    asking = Asking(cache_seconds=0.0)
    for _ in range(3):
        assert asking.ask(f"bearer {TOKEN}").principal is READER
    assert asking.strangers.total() == 1
    asking.is_valid = False
    for expected in (1, 2, 3):
        assert asking.ask(f"Bearer {TOKEN}").principal is None
        assert asking.strangers.total() == expected
    assert asking.checked == {TOKEN: 6}
