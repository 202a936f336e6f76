"""Usage over HTTP."""

from flask import current_app

from shop_api.db.deadlines import deadline
from shop_api.domains.insights.service import EXTENSION, Insights, Profile, build_usage
from shop_api.domains.usage.schemas import UsageQuery, UsageSchema
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

usage = Blueprint(
    "usage",
    __name__,
    url_prefix="/api/v1/analytics",
    description="What a tenant asks of the API, and how it is answered.",
)


@usage.read(
    "/usage", scope="analytics:read", query=UsageQuery, returns=UsageSchema, has_session=False
)
def get_usage(call: Call) -> Reply:
    """Get what your programs and people asked of this API: requests, refusals, bytes and time.

    Counts of the last minutes are not in it yet: they reach the lake every five minutes. Hours are
    those of UTC, and belong to the day of your timezone in which they begin.
    """
    lake: Insights = current_app.extensions[EXTENSION]
    principal = call.principal
    answer = lake.answer(
        build_usage,
        lake.snapshot_of(call.tenant_id),
        Profile(call.tenant_id, principal.currency, principal.timezone),
        {**call.query, "compare": "none"},
        call.exchange.started_at,
        deadline.left_seconds() or call.services.settings.deadline_seconds,
    )
    return Reply.of(answer)
