"""Keys of programs: changing, rotating with an overlap, and nobody taking over a stronger one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from tests.fixtures.api import ApiClient, Shop

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

KEYS = "/api/v1/api_keys"
DAY = timedelta(days=1)


def make_key(shop: Shop, **body: Any) -> dict[str, Any]:
    answered = shop.api.post(KEYS, {"name": "program", **body})
    assert answered.status == 201, answered.body
    made: dict[str, Any] = answered.json
    return made


def opens(api: ApiClient, key: str) -> bool:
    answered = api.with_token(key).get("/api/v1/tenant")
    assert answered.status in (200, 401)
    return answered.status == 200


def instant(value: str) -> datetime:
    return datetime.fromisoformat(value)


def pass_time(app: App, shop: Shop, key: dict[str, Any], by: timedelta) -> None:
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        session.execute(
            text("UPDATE api_keys SET expires_at = expires_at - :by WHERE id = :id"),
            {"by": by, "id": key["id"]},
        )


def test_both_keys_work_until_the_overlap_ends(app: App, api: ApiClient, shop: Shop) -> None:
    old = make_key(shop, scopes=["tenant:read", "orders:read"])
    path = f"{KEYS}/{old['id']}"
    answered = shop.api.post(f"{path}/rotate", {"overlap_seconds": 3600})
    new = answered.json
    assert answered.status == 201
    assert answered.headers["Location"] == f"{KEYS}/{new['id']}"
    assert answered.headers["Cache-Control"] == "no-store"
    assert new["key"] != old["key"]
    assert {n: new[n] for n in ("name", "kind", "scopes", "expires_at")} == {
        n: old[n] for n in ("name", "kind", "scopes", "expires_at")
    }
    replaced = shop.api.get(path).json
    assert replaced["replaced_by"] == new["id"]
    left = instant(replaced["expires_at"]) - instant(new["created_at"])
    assert left == timedelta(hours=1)
    assert opens(api, old["key"])
    assert opens(api, new["key"])
    pass_time(app, shop, old, timedelta(hours=1))
    assert not opens(api, old["key"])
    assert opens(api, new["key"])


def test_without_a_body_the_overlap_is_a_day_and_without_one_it_ends_at_once(
    api: ApiClient, shop: Shop
) -> None:
    old = make_key(shop)
    new = shop.api.post(f"{KEYS}/{old['id']}/rotate").json
    ends_at = instant(shop.api.get(f"{KEYS}/{old['id']}").json["expires_at"])
    assert ends_at - instant(new["created_at"]) == DAY
    newest = shop.api.post(f"{KEYS}/{new['id']}/rotate", {"overlap_seconds": 0}).json
    assert not opens(api, new["key"])
    assert opens(api, newest["key"])


def test_an_overlap_makes_no_key_live_longer(shop: Shop) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    old = make_key(shop, expires_at=soon)
    new = shop.api.post(f"{KEYS}/{old['id']}/rotate", {"overlap_seconds": 86_400}).json
    replaced = shop.api.get(f"{KEYS}/{old['id']}").json
    assert instant(replaced["expires_at"]) == instant(old["expires_at"])
    # the new one lives as long as the old one was made for
    old_life = instant(old["expires_at"]) - instant(old["created_at"])
    assert instant(new["expires_at"]) - instant(new["created_at"]) == old_life


def test_a_key_is_rotated_once(shop: Shop) -> None:
    old = make_key(shop)
    path = f"{KEYS}/{old['id']}/rotate"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: shop.api.post(path), range(4)))
    assert sorted(answered.status for answered in answers) == [201, 409, 409, 409]
    assert {a.code for a in answers if a.status == 409} == {"key_replaced"}
    names = [key["name"] for key in shop.api.get(KEYS).json["data"]]
    assert names.count("program") == 2


def test_a_lost_answer_of_a_rotation_is_replayed(shop: Shop) -> None:
    path = f"{KEYS}/{make_key(shop)['id']}/rotate"
    first = shop.api.post(path, key="rotate-1")
    assert shop.api.post(path, key="rotate-1").body == first.body


def test_a_dead_key_is_neither_rotated_nor_changed(app: App, shop: Shop) -> None:
    revoked = make_key(shop)
    shop.api.delete(f"{KEYS}/{revoked['id']}")
    expired = make_key(shop, expires_at=(datetime.now(UTC) + DAY).isoformat())
    pass_time(app, shop, expired, 2 * DAY)
    for key in (revoked, expired):
        path = f"{KEYS}/{key['id']}"
        for answered in (shop.api.post(f"{path}/rotate"), shop.api.patch(path, {"name": "x"})):
            assert (answered.status, answered.code) == (409, "key_not_live")


def test_a_key_is_changed(api: ApiClient, shop: Shop) -> None:
    made = make_key(shop)
    path = f"{KEYS}/{made['id']}"
    etag = shop.api.get(path).headers["ETag"]
    body = {"name": "storefront", "scopes": ["orders:read"], "expires_at": "2999-01-01T00:00:00Z"}
    changed = shop.api.patch(path, body, headers={"If-Match": etag})
    assert changed.json["name"] == "storefront"
    assert changed.json["scopes"] == ["orders:read"]
    assert changed.json["expires_at"] == "2999-01-01T00:00:00.000000Z"
    assert shop.api.patch(path, body, headers={"If-Match": etag}).status == 412
    narrowed = api.with_token(made["key"])
    assert narrowed.get("/api/v1/orders").status == 200
    assert narrowed.get("/api/v1/tenant").status == 403
    late = shop.api.patch(path, {"expires_at": "2020-01-01T00:00:00Z"})
    assert (late.status, late.code) == (422, "expired_already")
    assert shop.api.patch(path, {"expires_at": None}).json["expires_at"] is None


def test_nobody_takes_over_a_stronger_key(api: ApiClient, shop: Shop) -> None:
    strong = make_key(shop, scopes=["keys:write", "orders:write", "tenant:read"])
    weak = make_key(shop, scopes=["keys:write", "keys:read"])
    client = api.with_token(weak["key"])
    path = f"{KEYS}/{strong['id']}"
    for answered in (
        client.post(f"{path}/rotate"),
        client.patch(path, {"name": "mine"}),
        client.delete(path),
    ):
        assert (answered.status, answered.code) == (403, "key_not_allowed")
        assert "orders:write" in answered.json["detail"]
    own = f"{KEYS}/{weak['id']}"
    wider = client.patch(own, {"scopes": ["keys:write", "orders:write"]})
    assert (wider.status, wider.code) == (422, "scope_not_allowed")
    assert client.post(f"{own}/rotate").status == 201
    assert opens(api, strong["key"])
    assert client.delete(own).status == 204


def test_no_key_outlives_the_one_that_made_it(api: ApiClient, shop: Shop) -> None:
    soon = datetime.now(UTC) + DAY
    maker = make_key(shop, scopes=["keys:write", "keys:read"], expires_at=soon.isoformat())
    forever = make_key(shop, scopes=["keys:read"])
    client = api.with_token(maker["key"])
    ends = {
        instant(client.post(KEYS, {"name": "child"}).json["expires_at"]),
        instant(client.patch(f"{KEYS}/{maker['id']}", {"expires_at": None}).json["expires_at"]),
        instant(client.post(f"{KEYS}/{forever['id']}/rotate").json["expires_at"]),
        instant(client.post(f"{KEYS}/{maker['id']}/rotate").json["expires_at"]),
    }
    assert ends == {soon}
    later = (soon + DAY).isoformat()
    refused = client.post(KEYS, {"name": "child", "expires_at": later})
    assert (refused.status, refused.code) == (422, "outlives_caller")
    sooner = soon - DAY / 2
    kept = client.post(KEYS, {"name": "child", "expires_at": sooner.isoformat()})
    assert instant(kept.json["expires_at"]) == sooner


@pytest.mark.parametrize("seconds", [-1, 2_592_001, 1.5, "60", None])
def test_an_overlap_has_bounds(shop: Shop, seconds: Any) -> None:
    path = f"{KEYS}/{make_key(shop)['id']}/rotate"
    refused = shop.api.post(path, {"overlap_seconds": seconds})
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"][0]["pointer"] == "/overlap_seconds"
