"""Storefront events over HTTP."""

from flask import current_app

from shop_api.domains.tracking import service
from shop_api.domains.tracking.schemas import TakenSchema, TrackBody
from shop_api.spine.traffic_stream import TrafficIntake
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

tracking = Blueprint(
    "tracking",
    __name__,
    url_prefix="/api/v1/track",
    description="What visitors do in a storefront: sessions, views, carts, purchases.",
)


@tracking.intake("", scope="traffic:write", body=TrackBody, returns=TakenSchema, status=202)
def track_events(call: Call) -> Reply:
    """Send up to 500 storefront events.

    A publishable key in a page's script may do this. Events are counted in the figures of traffic
    a minute or two later, each once by its `id`: send a batch again whenever you do not know that
    it arrived. Those whose time is out of bounds are refused one by one, and counted in the answer;
    anything else that is wrong refuses the batch. When events cannot be taken in, the answer is 503
    and none was: nothing is dropped in silence.
    """
    intake: TrafficIntake = current_app.extensions[service.EXTENSION]
    principal = call.principal
    # the sender is the visitor where the key is a page's; a server sends for others
    agent = call.exchange.header("USER_AGENT") or "" if principal.is_publishable else None
    taken = service.take_in(intake, call.tenant_id, call.body["events"], agent, call.now)
    refused = {"too_old": taken.too_old, "in_future": taken.in_future}
    return Reply.of({"accepted": taken.accepted, "refused": refused}, 202)
