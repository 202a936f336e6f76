"""Rate limits as clients meet them: plans, headers, refusals."""

import re
import time
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from shop_api.app import App, create_app
from shop_api.cli import main
from shop_api.gateway.rate_limit import MAX_STRANGER_LOOKUPS
from shop_api.kernel.rate_limits import PLAN_LIMITS, PlanLimits
from shop_api.kernel.tokens import make_token
from tests.fixtures.api import (
    METRICS_KEY,
    PASSWORD,
    PLATFORM_KEY,
    AnswerChecker,
    Answered,
    ApiClient,
    Shop,
    open_shop,
)
from tests.fixtures.processes import wait_until
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

# on a busy machine Redis, too, may take longer than a request waits for it, and nothing is counted;
# what becomes of a credential's limits is seen at once
APP_SETTINGS = {"redis_timeout_seconds": 5.0, "credential_cache_seconds": 0.0}

PRODUCTS = "/api/v1/products"
TENANT = "/api/v1/tenant"
POLICY = re.compile(r'"(\w+)";q=(\d+);w=(\d+)')
STATE = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


# longer than any test but that of two processes takes
ROOM_SECONDS = 4


@pytest.fixture(autouse=True)
def within_a_minute() -> None:
    """Begin when a minute does not end soon: then some of what was counted leaves the window."""
    left = 60 - time.time() % 60
    if left < ROOM_SECONDS:
        time.sleep(left)


@pytest.fixture
def limited(
    app: App, database: Database, redis_url: str, tmp_path: Path
) -> Iterator[tuple[App, ApiClient]]:
    """Another process of the same service, that counts addresses."""
    settings = database.settings(
        tmp_path,
        redis_url,
        rate_limit_address=6,
        trusted_proxies=1,
        **APP_SETTINGS,
    )
    application = create_app(settings)
    yield application, ApiClient(application, AnswerChecker(application))
    application.close()


def of_plan(
    shop: Shop, database: Database, plan: str, *, forgets: bool = True, **limits: int
) -> None:
    """Give the shop a plan, and limits of its own; `forgets` what it has asked for until now."""
    options = [f"--limit={name}={limits.get(name, 'plan')}" for name in NAMES]
    result = CliRunner().invoke(
        main, ["tenant", "limits", shop.slug, "--plan", plan, *options], env=environment(database)
    )
    assert result.exit_code == 0, result.output
    if forgets:
        client = shop.api.app.services.redis
        client.delete(*client.keys(f"rate:tenant:{shop.tenant_id}:*"))


NAMES = ("requests", "burst", "analytics", "graphql", "mutations", "subscriptions")


def environment(database: Database) -> dict[str, str]:
    return {
        "DATABASE_URL": database.application_url,
        "SHOP_EXPORTER_DATABASE_URL": database.exporter_url,
        "REDIS_URL": "redis://127.0.0.1:1",
    }


def policies(answered: Answered) -> dict[str, tuple[int, int]]:
    found = POLICY.findall(answered.headers["RateLimit-Policy"])
    return {name: (int(limit), int(window)) for name, limit, window in found}


def state(answered: Answered) -> tuple[str, int, int]:
    found = STATE.fullmatch(answered.headers["RateLimit"])
    assert found is not None
    return found[1], int(found[2]), int(found[3])


def test_every_answer_tells_policy_and_what_is_left(shop: Shop, database: Database) -> None:
    of_plan(shop, database, "pro")
    read = shop.api.get(PRODUCTS)
    assert policies(read) == {"requests": (5_000, 60), "burst": (500, 1)}
    name, left, seconds = state(read)
    assert (name, 490 <= left <= 499, seconds) == ("burst", True, 1)
    created = shop.api.post("/api/v1/categories", {"name": "a", "slug": "a"})
    assert policies(created)["mutations"] == (150, 60)
    assert state(created)[:2] == ("mutations", 149)
    figures = shop.api.get("/api/v1/analytics/dashboard")
    assert policies(figures)["analytics"] == (2_500, 60)
    for refused in (shop.api.get(f"{PRODUCTS}/x"), shop.api.get("/api/v1/nothing")):
        assert refused.status >= 400
        assert policies(refused)["requests"] == (5_000, 60)


def test_a_class_is_refused_alone_and_names_its_policy(shop: Shop, database: Database) -> None:
    of_plan(shop, database, "free", burst=1_000)
    body = {"name": "a"}
    answers = [
        shop.api.post("/api/v1/categories", {**body, "slug": f"c{index}"}) for index in range(17)
    ]
    assert [answered.status for answered in answers] == [201] * 15 + [429] * 2
    refused = answers[-1]
    assert (refused.code, refused.json["status"]) == ("rate_limited", 429)
    assert "policy mutations" in refused.json["detail"]
    assert state(refused)[:2] == ("mutations", 0)
    assert 1 <= int(refused.headers["Retry-After"]) <= 120
    # reads go on
    assert shop.api.get(PRODUCTS).status == 200
    assert 'rate_limit_refusals_total{policy="mutations"}' in metrics(shop)


def metrics(shop: Shop) -> str:
    return shop.api.with_token(METRICS_KEY).get("/metrics").body.decode()


def test_two_processes_count_together(
    shop: Shop, database: Database, limited: tuple[App, ApiClient]
) -> None:
    of_plan(shop, database, "free", burst=1_000)
    there = limited[1].with_token(shop.api.token)
    started = time.time()
    statuses = [api.get(TENANT).status for _ in range(60) for api in (shop.api, there)]
    ended = time.time()
    # when a minute ends meanwhile, so much of it has left the window since
    freed = ceil(100 * (ended - started) / 60) if ended // 60 > started // 60 else 0
    assert 100 <= statuses.count(200) <= 100 + freed
    assert statuses.count(200) + statuses.count(429) == 120


def test_tenants_are_counted_apart(shop: Shop, other_shop: Shop, database: Database) -> None:
    of_plan(shop, database, "free", requests=3)
    assert [shop.api.get(TENANT).status for _ in range(4)] == [200] * 3 + [429]
    assert other_shop.api.get(TENANT).status == 200


def test_a_limit_of_its_own_holds_at_once_and_shows(shop: Shop, database: Database) -> None:
    of_plan(shop, database, "free", requests=2)
    assert [shop.api.get(TENANT).status for _ in range(3)] == [200, 200, 429]
    of_plan(shop, database, "free", forgets=False, requests=4)
    shown = shop.api.get(TENANT)
    assert shown.json["rate_limits"] == {**dict.fromkeys(NAMES), "requests": 4}
    assert shop.api.get(TENANT).status == 200
    assert shop.api.get(TENANT).status == 429


def test_an_address_without_a_credential_is_counted(limited: tuple[App, ApiClient]) -> None:
    _, api = limited
    address = {"X-Forwarded-For": f"2001:db8:{uuid4().hex[:4]}:1::7"}
    same_network = {"X-Forwarded-For": address["X-Forwarded-For"].replace("::7", "::8")}
    answers = [api.post("/api/v1/auth/login", {}, headers=address) for _ in range(4)]
    assert [answered.status for answered in answers] == [422] * 4
    assert policies(answers[0]) == {"address": (6, 60)}
    # nor does a credential help that is not valid
    wrong = api.with_token("sk_wrong")
    assert wrong.get(PRODUCTS, headers=address).status == 401
    assert wrong.get(PRODUCTS, headers=same_network).status == 401
    assert wrong.get(PRODUCTS, headers=address).status == 429
    assert api.get("/api/v1/openapi.json", headers=same_network).status == 429
    assert api.get(PRODUCTS, headers={"X-Forwarded-For": "192.0.2.9"}).status == 401


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PRODUCTS, {"Accept": "application/vnd.shop.v9+json"}, 406),
        (f"{PRODUCTS}?q={'x' * 9000}", {}, 414),
        (f"{PRODUCTS}?{'&'.join(['a=1'] * 60)}", {}, 400),
    ],
)
def test_what_no_endpoint_takes_is_counted(
    limited: tuple[App, ApiClient], path: str, headers: dict[str, str], status: int
) -> None:
    _, api = limited
    address = {"X-Forwarded-For": f"2001:db8:{uuid4().hex[:4]}:2::7"}
    answers = [api.get(path, headers={**headers, **address}).status for _ in range(8)]
    assert answers == [status] * 6 + [429] * 2
    # a credential that is not valid is told first, and looked up no more often
    wrong = api.with_token("sk_wrong")
    address = {"X-Forwarded-For": f"2001:db8:{uuid4().hex[:4]}:3::7"}
    answers = [wrong.get(path, headers={**headers, **address}).status for _ in range(8)]
    assert answers == [401] * 6 + [429] * 2


def test_whoever_has_a_valid_credential_is_not_counted_by_address(
    shop: Shop, limited: tuple[App, ApiClient]
) -> None:
    _, api = limited
    customer = api.with_token(shop.api.token)
    address = {"X-Forwarded-For": f"198.51.100.{uuid4().int % 250}"}
    assert {customer.get(TENANT, headers=address).status for _ in range(12)} == {200}


def test_probes_and_the_platform_are_not_counted(limited: tuple[App, ApiClient]) -> None:
    _, api = limited
    platform = api.with_token(PLATFORM_KEY)
    for _ in range(10):
        live = api.get("/health/live")
        assert live.status == 200
        assert "RateLimit" not in live.headers
        assert platform.get(PRODUCTS).status == 403


def test_what_is_refused_where_probes_ask_is_counted(limited: tuple[App, ApiClient]) -> None:
    """A key that anybody made up was looked up there, too."""
    _, api = limited
    address = {"X-Forwarded-For": f"2001:db8:{uuid4().hex[:4]}:4::7"}
    wrong = api.with_token("sk_wrong")
    answers = [wrong.get("/health/live", headers=address).status for _ in range(8)]
    assert answers == [401] * 6 + [429] * 2
    assert api.get("/health/live", headers=address).status == 200


def test_made_up_keys_are_looked_up_within_bounds(limited: tuple[App, ApiClient]) -> None:
    application, api = limited
    address = {"X-Forwarded-For": f"2001:db8:{uuid4().hex[:4]}:5::7"}
    started = time.monotonic()
    with statements(application.services.engine) as sent:
        answers = [
            api.with_token(make_token("sk_")).get(TENANT, headers=address) for _ in range(500)
        ]
    seconds = ceil(time.monotonic() - started)
    assert [answered.status for answered in answers] == [401] * 6 + [429] * 494
    for refused in (answers[6], answers[-1]):
        assert (refused.code, policies(refused)) == ("rate_limited", {"address": (6, 60)})
        assert state(refused)[:2] == ("address", 0)
        assert int(refused.headers["Retry-After"]) >= 1
    lookups = sum("FROM api_keys" in statement for statement, _ in sent)
    # one more each second, to hear whether the address may ask again
    assert 6 <= lookups <= 6 + (MAX_STRANGER_LOOKUPS + 1) * (seconds + 1)


def test_a_valid_key_is_served_beside_made_up_ones(
    shop: Shop, limited: tuple[App, ApiClient]
) -> None:
    """From an address that has no request left: of an office, or of a mobile network."""
    _, api = limited
    address = {"X-Forwarded-For": f"2001:db8:{uuid4().hex[:4]}:6::7"}
    seen = api.with_token(shop.api.token)
    assert seen.get(TENANT, headers=address).status == 200
    first, made = (
        shop.api.post("/api/v1/api_keys", {"name": name, "scopes": ["tenant:read"]}).json
        for name in ("first", "made")
    )
    for number in range(300):
        stranger = api.with_token(make_token("sk_"))
        assert stranger.get(PRODUCTS, headers=address).status == (401 if number < 6 else 429)
        if number % 20 == 0:
            assert seen.get(TENANT, headers=address).status == 200
        if number == 10:
            # one that this process has not seen, beside few
            assert api.with_token(first["key"]).get(TENANT, headers=address).status == 200
    # beside many at the latest in the next second
    unseen = api.with_token(made["key"])
    wait_until(lambda: unseen.get(TENANT, headers=address).status == 200, 2)
    # once it is revoked it is as good as made up
    shop.api.delete(f"/api/v1/api_keys/{made['id']}")
    assert unseen.get(TENANT, headers=address).status == 429


def test_one_user_may_be_given_a_part(
    shop: Shop, database: Database, redis_url: str, tmp_path: Path
) -> None:
    settings = database.settings(
        tmp_path, redis_url, rate_limit_user_ratio=0.25, credential_cache_seconds=0.0
    )
    application = create_app(settings)
    try:
        api = ApiClient(application, AnswerChecker(application))
        of_plan(shop, database, "free", requests=20)
        key = api.with_token(shop.api.token)
        login = {"email": shop.email, "password": PASSWORD}
        user = api.with_token(api.post("/api/v1/auth/login", login).json["access_token"])
        assert [key.get(TENANT).status for _ in range(6)] == [200] * 5 + [429]
        assert user.get(TENANT).status == 200
        assert policies(user.get(TENANT))["user"] == (5, 60)
    finally:
        application.close()


def test_each_request_of_a_batch_counts(shop: Shop, database: Database) -> None:
    of_plan(shop, database, "free", requests=4, burst=1_000)
    requests: list[dict[str, Any]] = [{"method": "GET", "path": TENANT} for _ in range(5)]
    answered = shop.api.post("/api/v1/batch", {"requests": requests})
    statuses = sorted(part["status"] for part in answered.json["responses"])
    assert statuses == [200] * 3 + [429] * 2


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("orders=3", "there is no limit 'orders'"),
        ("burst=0", "from 1 to 1000000000"),
        ("burst=1000000001", "from 1 to 1000000000"),
        ("burst", "from 1 to 1000000000"),
    ],
)
def test_the_command_says_what_is_wrong(
    shop: Shop, database: Database, option: str, said: str
) -> None:
    result = CliRunner().invoke(
        main, ["tenant", "limits", shop.slug, "--limit", option], env=environment(database)
    )
    assert result.exit_code == 2
    assert said in result.output


def test_the_command_refuses_a_limit_given_twice(shop: Shop, database: Database) -> None:
    options = ["--limit", "burst=7", "--limit", "burst=plan"]
    result = CliRunner().invoke(
        main, ["tenant", "limits", shop.slug, *options], env=environment(database)
    )
    assert result.exit_code == 2
    assert "each limit may be given once: burst" in result.output


def test_the_command_prints_what_holds(shop: Shop, database: Database) -> None:
    of_plan(shop, database, "basic", mutations=77)
    result = CliRunner().invoke(main, ["tenant", "limits", shop.slug], env=environment(database))
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0] == "plan basic"
    assert "requests 1000 a minute" in lines
    assert "burst 100 a second" in lines
    assert "mutations 77 a minute (its own)" in lines


def test_the_platform_gives_limits_with_the_tenant(api: ApiClient) -> None:
    shop = open_shop(api)
    shown = shop.api.get(TENANT).json
    assert shown["rate_limits"]["mutations"] == 1_000_000_000
    assert shown["rate_limits"]["graphql"] is None


def test_the_guide_has_the_plans_figures() -> None:
    page = Path("docs/guides/production.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (\d.*) \|$", page.split("## Limits")[1], re.MULTILINE)
    written = {
        plan: PlanLimits(*(int(cell.replace(" ", "")) for cell in cells.split("|")))
        for plan, cells in rows
    }
    assert written == PLAN_LIMITS
