"""What webhook endpoints take and refuse, and who may touch one."""

from tests.fixtures.api import ApiClient, Shop

ENDPOINTS = "/api/v1/webhook_endpoints"
DELIVERIES = "/api/v1/webhook_deliveries"
URL = "https://backoffice.example/hooks"


def key_with(shop: Shop, api: ApiClient, *scopes: str) -> ApiClient:
    answered = shop.api.post("/api/v1/api_keys", {"name": "weaker", "scopes": list(scopes)})
    return api.with_token(answered.json["key"])


def test_a_secret_is_shown_once_and_again_only_to_a_replay(shop: Shop) -> None:
    body = {"url": URL, "event_types": ["order_created"]}
    made = shop.api.post(ENDPOINTS, body, key="made-once")
    assert made.status == 201
    assert made.headers["Location"] == f"{ENDPOINTS}/{made.json['id']}"
    assert made.json["secret"].startswith("whsec_")
    assert shop.api.post(ENDPOINTS, body, key="made-once").body == made.body
    path = made.headers["Location"]
    rotated = shop.api.post(f"{path}/rotate_secret")
    assert rotated.json["secret"] != made.json["secret"]
    assert rotated.json["previous_secret_expires_at"] is not None
    for answered in (
        shop.api.get(path),
        shop.api.get(ENDPOINTS),
        shop.api.patch(path, {"description": "Back office"}),
        shop.api.get("/api/v1/audit_log", query={"limit": 100}),
    ):
        assert b"whsec_" not in answered.body
    refused = shop.api.patch(path, {"url": URL}, headers={"If-Match": '"7"'})
    assert refused.status == 412


def test_urls_events_and_numbers_that_are_refused(shop: Shop, api: ApiClient) -> None:
    made = shop.api.post(ENDPOINTS, {"url": URL}).json
    for url in ("http://backoffice.example/", "https://127.1/", "https://[::ffff:10.0.0.1]/"):
        for refused in (
            shop.api.post(ENDPOINTS, {"url": url}),
            shop.api.patch(f"{ENDPOINTS}/{made['id']}", {"url": url}),
        ):
            assert (refused.status, refused.code) == (422, "url_not_allowed")
            assert refused.json["errors"][0]["pointer"] == "/url"
    refused = shop.api.post(ENDPOINTS, {"url": URL, "event_types": ["dashboard_metrics_updated"]})
    assert refused.status == 422
    clerk = key_with(shop, api, "webhooks:write", "catalog:read")
    types = ["product_updated", "order_created"]
    refused = clerk.post(ENDPOINTS, {"url": URL, "event_types": types})
    assert (refused.status, refused.code) == (422, "event_not_allowed")
    assert "order_created" in refused.json["detail"]
    assert "product_updated" not in refused.json["detail"]
    assert clerk.post(ENDPOINTS, {"url": URL}).json["scopes"] == ["catalog:read"]
    for _ in range(30):
        assert shop.api.post(ENDPOINTS, {"url": URL}).status == 201
    refused = shop.api.post(ENDPOINTS, {"url": URL})
    assert (refused.status, refused.code) == (409, "too_many_endpoints")


def test_nobody_touches_an_endpoint_that_is_sent_more_than_they_may_see(
    shop: Shop, other_shop: Shop, api: ApiClient
) -> None:
    path = f"{ENDPOINTS}/{shop.api.post(ENDPOINTS, {'url': URL}).json['id']}"
    clerk = key_with(shop, api, "webhooks:read", "webhooks:write", "orders:read")
    ages = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}

    def touch(client: ApiClient) -> list[int]:
        return [
            client.patch(path, {"url": "https://elsewhere.example/"}).status,
            client.patch(path, {"event_types": ["order_created"]}).status,
            client.post(f"{path}/rotate_secret").status,
            client.post(f"{path}/test").status,
            client.post(f"{path}/redeliver", ages).status,
            client.delete(path).status,
        ]

    before = shop.api.get(path).body
    assert clerk.get(path).status == 200
    assert touch(clerk) == [403] * 6
    assert clerk.delete(path).code == "endpoint_not_allowed"
    assert touch(other_shop.api) == [404] * 6
    reader = key_with(shop, api, "webhooks:read")
    assert touch(reader) == [403] * 6
    assert shop.api.get(path).body == before
    assert touch(shop.api) == [200, 200, 200, 202, 200, 204]
