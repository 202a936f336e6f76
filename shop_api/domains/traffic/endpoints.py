"""Traffic figures over HTTP."""

from typing import Any
from urllib.parse import urlencode

from flask import current_app

from shop_api.db.request_redis import RedisAway
from shop_api.domains.insights.endpoints import (
    ask_snapshot,
    link_compared,
    link_funnel,
    rows_url,
)
from shop_api.domains.insights.service import (
    EXTENSION,
    Insights,
    build_traffic,
    opened_of,
    written,
)
from shop_api.domains.traffic.schemas import TrafficQuery, TrafficSchema
from shop_api.spine.traffic_stream import count_online
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

SESSION_METRICS = ("sessions", "converted_sessions", "conversion_rate")
METRICS = (
    *("sessions", "product_view_sessions", "cart_sessions", "checkout_sessions"),
    *("converted_sessions", "visitors", "page_views", "conversion_rate"),
)
CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign")

traffic = Blueprint(
    "traffic",
    __name__,
    url_prefix="/api/v1/analytics",
    description="What visitors did in the storefront.",
)


@traffic.read(
    "/traffic",
    scope="analytics:read",
    query=TrafficQuery,
    returns=TrafficSchema,
    has_session=False,
)
def get_traffic(call: Call) -> Reply:
    """Get what visitors did: sessions, the way to a purchase, sources, devices, pages, products.

    Events reach the lake every minute: those sent since then, and what visitors' devices send late,
    up to 48 hours, are not in it yet. Sessions and visitors are distinct ones of the stretch of
    time asked for, so those of its days do not add up to them. Crawlers are left out unless
    `include_bots=true`.
    """
    lake: Insights = current_app.extensions[EXTENSION]
    snapshot = lake.snapshot_of(call.tenant_id)
    answer = ask_snapshot(call, build_traffic, call.query, snapshot, call.now)
    answer["visitors_online"] = _visitors_online(call)
    _link(answer)
    return Reply.of(answer)


def _link(answer: dict[str, Any]) -> None:
    """Put the URL of the sessions behind figures beside them. Of pages and products none is told:
    what was seen of them are events."""
    link_compared(answer, METRICS)
    link_funnel(answer, answer["funnel"])
    url = rows_url(opened_of(answer, SESSION_METRICS) or [])
    sources = answer["sources"]
    for parts, dimensions in (
        (sources["by_referrer"], {"referrer": "referrer_host"}),
        (sources["by_campaign"], {name: name for name in CAMPAIGN}),
        (answer["devices"], {"device": "device"}),
    ):
        for each in parts:
            told = [(name, written((each[key],))) for name, key in dimensions.items()]
            each["rows"] = f"{url}&{urlencode(told)}"


def _visitors_online(call: Call) -> int | None:
    """None while Redis is away."""
    try:
        return call.services.request_redis.ask(
            lambda client: count_online(client, call.tenant_id, call.now)
        )
    except RedisAway:
        return None
