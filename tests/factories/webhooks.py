"""Webhook endpoints, and deliveries as the worker would make them."""

from typing import Any
from uuid import uuid4

from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.domains.webhook_deliveries.repository import (
    DELIVERIES_BY_CREATED_AT,
    DeliveryRepository,
)
from shop_api.domains.webhooks.errors import MAX_ENDPOINTS
from shop_api.domains.webhooks.repository import ENDPOINTS_BY_CREATED_AT, EndpointRepository
from shop_api.kernel.clock import utc_now
from shop_api.kernel.ids import new_id
from shop_api.webhooks.fan_out import COLUMNS, FanOutRepository
from tests.factories.calls import NOW, STAMPS, change, listed, no_filters, nothing, one, page
from tests.fixtures.api import Shop

ENDPOINTS = "/api/v1/webhook_endpoints"


def endpoint_body(shop: Shop) -> dict[str, Any]:
    """Of one more: a shop that has as many as it may loses them."""
    standing = shop.api.get(ENDPOINTS, query={"limit": 100}).json["data"]
    if len(standing) == MAX_ENDPOINTS:
        for endpoint in standing:
            assert shop.api.delete(f"{ENDPOINTS}/{endpoint['id']}").status == 204
    return {"url": f"https://example.com/{uuid4().hex}", "event_types": ["order_created"]}


def range_body(_: Shop) -> dict[str, Any]:
    return {"from": "2026-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z", "states": ["failed"]}


def make_endpoint(shop: Shop) -> str:
    """One without deliveries."""
    found: str = shop.api.post(ENDPOINTS, endpoint_body(shop)).json["id"]
    return found


def make_delivery(shop: Shop) -> str:
    """A test's, as the fan-out would make it."""
    assert isinstance(shop.api.app, App)
    found: str = shop.api.post(f"{ENDPOINTS}/{make_endpoint(shop)}/test").json["delivery_id"]
    query = text(f"SELECT {COLUMNS} FROM events WHERE data->>'delivery_id' = :id")
    with tenant_session(shop.api.app.services.engine, shop.tenant_id) as session:
        events = [tuple(row) for row in session.execute(query, {"id": found})]
        FanOutRepository(session).add_deliveries(events, utc_now())
    return found


WEBHOOK_SUBJECTS = {"endpoint_id": make_endpoint, "delivery_id": make_delivery}

WEBHOOK_BODIES = {
    "create_webhook_endpoint": endpoint_body,
    "update_webhook_endpoint": lambda _: {"description": "Back office", "event_types": None},
    "rotate_webhook_secret": lambda _: {"overlap_seconds": 60},
    "redeliver_webhooks": range_body,
}


def an_endpoint(_: Any) -> tuple[dict[str, Any]]:
    what = {"url": "https://example.com/", "scopes": [], "after_sequence": 0, "secret": b"x"}
    return ({"id": new_id(NOW), **what, **STAMPS},)


# for the test of the wall between tenants
WEBHOOK_CALLS = {
    EndpointRepository: {
        "add": an_endpoint,
        "change": change("endpoint_id", url="https://taken.example/"),
        "count": nothing,
        "find": one("endpoint_id"),
        "list_page": lambda _: (page(ENDPOINTS_BY_CREATED_AT),),
        "lock_events": nothing,
        "present": one("endpoint_id"),
    },
    DeliveryRepository: {
        "begin_again": lambda victim: (victim.ids["delivery_id"], NOW, NOW),
        "begin_range_again": lambda victim: (
            victim.ids["endpoint_id"],
            (NOW.replace(year=2000), NOW.replace(year=2999)),
            ["pending", "failed", "delivered"],
            NOW,
            NOW,
            10,
        ),
        "count": no_filters,
        "find": one("delivery_id"),
        "find_detail": lambda victim: (victim.ids["delivery_id"], ["webhook_test"], []),
        "list_page": listed(DELIVERIES_BY_CREATED_AT),
    },
}
