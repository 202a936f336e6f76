"""All tenants, as the platform lists them and changes their plans."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import PLATFORM_TENANT, tenant_session
from shop_api.kernel.principal import SCOPES
from tests.fixtures.api import PLATFORM_KEY, Answered, ApiClient, Shop, open_shop
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

TENANTS = "/api/v1/tenants"
TENANT = "/api/v1/tenant"
SHOW_ALL = f"SELECT set_config('app.shows_tenants_from', '{UUID(int=0)}', true)"


@pytest.fixture(scope="module")
def platform(api: ApiClient) -> ApiClient:
    """A client with the platform's key."""
    return api.with_token(PLATFORM_KEY)


def path_of(shop: Shop) -> str:
    return f"{TENANTS}/{shop.tenant_id}"


def pages(platform: ApiClient, query: dict[str, Any], edge: str) -> Iterator[list[str]]:
    """The ids of each page, following one edge's cursor."""
    flag, cursor = {
        "after": ("has_next_page", "end_cursor"),
        "before": ("has_previous_page", "start_cursor"),
    }[edge]
    while True:
        page = platform.get(TENANTS, query=query).json
        yield [row["id"] for row in page["data"]]
        if not page["page_info"][flag]:
            return
        query = {**query, edge: page["page_info"][cursor]}


def test_the_list_gives_each_tenant_once_in_both_directions(
    api: ApiClient, platform: ApiClient
) -> None:
    opened = [str(open_shop(api).tenant_id) for _ in range(5)]
    forwards = [found for page in pages(platform, {"limit": 2}, "after") for found in page]
    assert forwards[:5] == opened[::-1]
    assert len(set(forwards)) == len(forwards)
    backwards = list(pages(platform, {"last": 2}, "before"))
    assert [found for page in reversed(backwards) for found in page] == forwards
    total = platform.get(TENANTS, query={"include_total": "true"}).json["total"]
    assert total == len(forwards)
    by_offset = platform.get(TENANTS, query={"offset": 1, "limit": 3}).json
    assert [row["id"] for row in by_offset["data"]] == forwards[1:4]
    assert by_offset["pagination"]["total"] == total


def test_the_list_is_filtered_by_plan_and_slug(api: ApiClient, platform: ApiClient) -> None:
    shops = [open_shop(api) for _ in range(2)]
    platform.patch(path_of(shops[0]), {"plan": "basic"})
    of_plan = platform.get(TENANTS, query={"plan": "basic", "include_total": "true"}).json
    assert [row["id"] for row in of_plan["data"]] == [str(shops[0].tenant_id)]
    assert of_plan["total"] == 1
    by_slug = platform.get(TENANTS, query={"slug": shops[1].slug}).json["data"]
    assert [row["id"] for row in by_slug] == [str(shops[1].tenant_id)]


def test_a_tenant_is_what_it_sees_of_itself(shop: Shop, platform: ApiClient) -> None:
    found, own = platform.get(path_of(shop)), shop.api.get(TENANT)
    assert (found.body, found.headers["ETag"]) == (own.body, own.headers["ETag"])
    listed = platform.get(TENANTS, query={"slug": shop.slug}).json["data"]
    assert listed == [own.json]
    etag = {"If-None-Match": found.headers["ETag"]}
    assert platform.get(path_of(shop), headers=etag).status == 304
    for answered in (
        platform.get(f"{TENANTS}/{uuid4()}"),
        platform.patch(f"{TENANTS}/{uuid4()}", {"plan": "pro"}),
        platform.get(f"{TENANTS}/{PLATFORM_TENANT}"),
    ):
        assert (answered.status, answered.code) == (404, "not_found")


def test_only_the_platform_key_opens_them(shop: Shop) -> None:
    key = shop.api.post("/api/v1/api_keys", {"name": "all", "scopes": sorted(SCOPES)}).json["key"]
    everything = shop.api.with_token(key)
    own = path_of(shop)
    for answered in (
        everything.get(TENANTS),
        everything.get(own),
        everything.patch(own, {"plan": "enterprise"}),
    ):
        assert (answered.status, answered.code) == (403, "insufficient_scope")


def policies_of(answered: Answered) -> dict[str, int]:
    """The limits a client is told."""
    told = answered.headers["RateLimit-Policy"].split(", ")
    parts = [policy.split(";") for policy in told]
    return {name.strip('"'): int(limit.removeprefix("q=")) for name, limit, _ in parts}


def test_plan_and_limits_hold_at_the_next_check(shop: Shop, platform: ApiClient) -> None:
    given = {"requests": None, "burst": 7, "mutations": None}
    changed = platform.patch(path_of(shop), {"plan": "free", "rate_limits": given})
    assert changed.status == 200, changed.body
    assert changed.json["plan"] == "free"
    assert {name: changed.json["rate_limits"][name] for name in given} == given
    assert policies_of(shop.api.get(TENANT)) == {"requests": 100, "burst": 7}
    told = policies_of(shop.api.patch(TENANT, {}))
    assert told == {"requests": 100, "burst": 7, "mutations": 15}
    # what is not named stays
    again = platform.patch(path_of(shop), {"rate_limits": {"burst": None}})
    assert again.json["plan"] == "free"
    assert policies_of(shop.api.get(TENANT)) == {"requests": 100, "burst": 20}


def test_a_change_is_told_to_the_tenant_and_made_once(
    app: App, shop: Shop, platform: ApiClient
) -> None:
    own, key = path_of(shop), uuid4().hex
    before = platform.get(own)
    current = {"If-Match": before.headers["ETag"]}
    changed = platform.patch(own, {"plan": "pro"}, key=key, headers=current)
    again = platform.patch(own, {"plan": "pro"}, key=key, headers=current)
    assert (again.status, again.body) == (200, changed.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    stale = platform.patch(own, {"plan": "free"}, headers=current)
    assert (stale.status, stale.code) == (412, "precondition_failed")
    assert platform.get(own).json["plan"] == "pro"
    assert platform.patch(own, {"rate_limits": {}}).headers["ETag"] == changed.headers["ETag"]
    entries = shop.api.get("/api/v1/audit_log", query={"action": "tenant_updated"}).json["data"]
    told = [(entry["actor"], entry["before"], entry["after"]) for entry in entries]
    assert told == [("platform:key", {"plan": "enterprise"}, {"plan": "pro"})]
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        events = session.execute(
            text("SELECT data->'changes' FROM events WHERE type = 'tenant_updated'")
        )
        assert list(events.scalars()) == [["plan"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"plan": "gold"}, "/plan"),
        ({"plan": None}, "/plan"),
        ({"rate_limits": {"burst": 0}}, "/rate_limits/burst"),
        ({"rate_limits": {"burst": 1_000_000_001}}, "/rate_limits/burst"),
        ({"rate_limits": {"orders": 3}}, "/rate_limits/orders"),
        ({"name": "Mine"}, "/name"),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused(
    shop: Shop, platform: ApiClient, body: dict[str, Any], pointer: str
) -> None:
    before = platform.get(path_of(shop)).body
    refused = platform.patch(path_of(shop), {"plan": "free", **body})
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"][0]["pointer"] == pointer
    assert platform.get(path_of(shop)).body == before


def test_no_other_transaction_sees_another_tenant(app: App, shop: Shop, other_shop: Shop) -> None:
    count = text("SELECT count(*) FROM tenants")
    for tenant_id, seen in ((shop.tenant_id, 1), (PLATFORM_TENANT, 0), (UUID(int=1), 0)):
        with tenant_session(app.services.engine, tenant_id) as session:
            assert session.execute(count).scalar() == seen
    # showing them shows nothing else, and lets nothing be changed
    with tenant_session(app.services.engine, PLATFORM_TENANT) as session:
        session.execute(text(SHOW_ALL))
        assert (session.execute(count).scalar() or 0) >= 2
        assert session.execute(text("SELECT count(*) FROM users")).scalar() == 0
        assert session.execute(text("UPDATE tenants SET name = 'x'")).rowcount == 0  # type: ignore[attr-defined]


def test_ten_thousand_tenants_are_listed_along_their_index(
    app: App, platform: ApiClient, database: Database
) -> None:
    with psycopg.connect(database.migrator_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO tenants (id, name, slug, plan, currency, timezone, created_at, updated_at)"
            " SELECT gen_random_uuid(), 'x', 'many-' || n, 'free', 'USD', 'UTC',"
            " timestamptz '2020-01-01' + n * interval '1 second', now()"
            " FROM generate_series(1, 10000) n"
        )
        connection.execute("ANALYZE tenants")
    after = platform.get(TENANTS).json["page_info"]["end_cursor"]
    for query in ({}, {"after": after}, {"last": 20}, {"plan": "free"}):
        with statements(app.services.engine) as sent:
            assert platform.get(TENANTS, query=query).status == 200
        (listed,) = [(sql, values) for sql, values in sent if " LIMIT " in sql.replace("\n", " ")]
        with app.services.engine.begin() as connection:
            connection.exec_driver_sql(SHOW_ALL)
            plan = connection.exec_driver_sql(f"EXPLAIN {listed[0]}", listed[1]).scalars().all()
        assert "ix_tenants_created_at" in "\n".join(plan), plan
