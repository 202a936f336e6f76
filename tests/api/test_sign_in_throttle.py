"""Guessing passwords: counted per account and per network address."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from shop_api.app import App, create_app
from shop_api.domains.accounts import endpoints, service
from shop_api.kernel.clock import utc_now
from shop_api.kernel.exchange import Exchange
from shop_api.kernel.networks import network_of
from tests.fixtures.api import PASSWORD, AnswerChecker, Answered, ApiClient, Shop
from tests.fixtures.stores import Database

LOGIN = "/api/v1/auth/login"
ACCOUNT_LIMIT, ADDRESS_LIMIT = 3, 8


def make_app(database: Database, redis_url: str, folder: Path, **changes: Any) -> App:
    limits = {
        "sign_in_account_limit": ACCOUNT_LIMIT,
        "sign_in_address_limit": ADDRESS_LIMIT,
        "trusted_proxies": 1,
        "credential_cache_seconds": 0.0,
    }
    return create_app(database.settings(folder, redis_url, **{**limits, **changes}))


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    built = make_app(database, redis_url, tmp_path_factory.mktemp("data"))
    yield built
    built.close()


def sign_in(api: ApiClient, email: str, password: str, address: str = "") -> Answered:
    headers = {"X-Forwarded-For": f"1.2.3.4, {address or uuid4().hex}"}
    return api.with_token(None).post(LOGIN, {"email": email, "password": password}, headers=headers)


def statuses(answers: list[Answered]) -> list[int]:
    return [answered.status for answered in answers]


def test_an_account_that_is_guessed_at_is_closed_for_a_while(
    api: ApiClient, shop: Shop, redis_client: redis.Redis
) -> None:
    guesses = [sign_in(api, shop.email, f"guess-{n}") for n in range(ACCOUNT_LIMIT + 1)]
    assert statuses(guesses) == [401] * ACCOUNT_LIMIT + [429]
    assert guesses[-1].code == "too_many_sign_ins"
    assert 0 < int(guesses[-1].headers["Retry-After"]) <= 900
    # the right password does not open it either, or the guessing could go on
    right = sign_in(api, shop.email.upper(), PASSWORD)
    assert right.status == 429
    # and it opens again
    for key in redis_client.keys("sign_in:*"):
        redis_client.expire(key, 0)
    assert sign_in(api, shop.email, PASSWORD).status == 200


def test_who_guesses_shuts_nobody_out_from_where_they_sign_in(
    api: ApiClient, shop: Shop, redis_client: redis.Redis
) -> None:
    home = "2001:db8:1:2::7"
    assert sign_in(api, shop.email, PASSWORD, home).status == 200
    for n in range(ACCOUNT_LIMIT):
        sign_in(api, shop.email, f"guess-{n}")
    assert sign_in(api, shop.email, PASSWORD).status == 429
    # privacy addresses of IPv6 change by the hour
    assert sign_in(api, shop.email, PASSWORD, "2001:db8:1:2::8").status == 200
    # which is no way to guess on
    guesses = [sign_in(api, shop.email, f"guess-{n}", home) for n in range(ACCOUNT_LIMIT + 1)]
    assert statuses(guesses) == [401] * ACCOUNT_LIMIT + [429]


def test_an_ipv6_customer_counts_as_one(
    api: ApiClient, shop: Shop, redis_client: redis.Redis
) -> None:
    guesses = [
        sign_in(api, f"{uuid4().hex}@example.com", "x", f"2001:db8:9:9::{n + 1:x}")
        for n in range(ADDRESS_LIMIT + 1)
    ]
    assert statuses(guesses) == [401] * ADDRESS_LIMIT + [429]
    assert sign_in(api, shop.email, PASSWORD, "2001:db8:9:8::1").status == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:5312", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::3]:443", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_what_counts_as_one_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_guessing_many_accounts_from_one_address_ends(
    api: ApiClient, shop: Shop, redis_client: redis.Redis
) -> None:
    guesses = [
        sign_in(api, f"{uuid4().hex}@example.com", "x", "10.0.0.1")
        for _ in range(ADDRESS_LIMIT + 1)
    ]
    assert statuses(guesses) == [401] * ADDRESS_LIMIT + [429]
    assert sign_in(api, shop.email, PASSWORD, "10.0.0.1").status == 429
    assert sign_in(api, shop.email, PASSWORD, "10.0.0.2").status == 200


def test_many_guesses_at_once_are_counted_each(
    api: ApiClient, shop: Shop, redis_client: redis.Redis
) -> None:
    with ThreadPoolExecutor(8) as pool:
        guesses = list(pool.map(lambda n: sign_in(api, shop.email, f"guess-{n}"), range(8)))
    assert sorted(statuses(guesses)) == [401] * ACCOUNT_LIMIT + [429] * (8 - ACCOUNT_LIMIT)


def test_signing_in_counts_for_nothing(
    api: ApiClient, shop: Shop, redis_client: redis.Redis
) -> None:
    answers = [sign_in(api, shop.email, PASSWORD, "10.0.0.3") for _ in range(ADDRESS_LIMIT + 2)]
    assert set(statuses(answers)) == {200}


def test_an_address_nobody_has_answers_as_one_somebody_has(
    api: ApiClient, shop: Shop, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []
    verify = service._verify

    def counted(password_hash: str, password: str) -> bool:
        runs.append(password)
        return verify(password_hash, password)

    monkeypatch.setattr(service, "_verify", counted)
    told: dict[str, list[Any]] = {}
    for email in (shop.email, "nobody@example.com"):
        told[email] = []
        for _ in range(ACCOUNT_LIMIT + 1):
            runs.clear()
            answered = sign_in(api, email, "not-the-password")
            problem = {k: v for k, v in answered.json.items() if k != "request_id"}
            told[email].append((answered.status, problem, len(runs)))
    assert told[shop.email] == told["nobody@example.com"]
    assert [runs for _, _, runs in told[shop.email]] == [service.MAX_CANDIDATES] * 3 + [0]


def test_no_address_stands_in_redis(api: ApiClient, redis_client: redis.Redis) -> None:
    sign_in(api, "seen@example.com", "x", "10.9.9.9")
    keys = redis_client.keys("sign_in:*")
    assert len(keys) == 2
    assert not any("seen" in str(key) or "10.9" in str(key) for key in keys)
    assert all(0 < redis_client.ttl(key) <= 900 for key in keys)


def test_while_redis_is_away_people_sign_in(
    database: Database, shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    alone = make_app(database, "redis://127.0.0.1:1", tmp_path)
    client = ApiClient(alone, AnswerChecker(alone))
    assert sign_in(client, shop.email, PASSWORD).status == 200
    assert sign_in(client, shop.email, "wrong").status == 401
    assert "sign-ins are not counted" in caplog.text
    alone.close()


def test_a_proxy_that_no_setting_names_is_told_of_once(
    database: Database, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endpoints.warn_of_proxy.cache_clear()
    direct = make_app(database, redis_url, tmp_path, trusted_proxies=0)
    client = ApiClient(direct, AnswerChecker(direct))
    client.post(LOGIN, {"email": "nobody@example.com", "password": "x"})
    assert "SHOP_TRUSTED_PROXIES" not in caplog.text
    for _ in range(2):
        sign_in(client, "nobody@example.com", "x")
    assert caplog.text.count("SHOP_TRUSTED_PROXIES is 0") == 1
    direct.close()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "found"),
    [
        (0, "6.6.6.6", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        (2, "6.6.6.6, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
        # fewer entries than proxies: it did not come through them
        (2, "6.6.6.6", "10.0.0.1"),
    ],
)
def test_only_what_a_proxy_added_is_believed(proxies: int, forwarded: str, found: str) -> None:
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded}
    exchange = Exchange(environ, "POST", LOGIN, utc_now())
    assert exchange.client_address(proxies) == found
