"""Tickets over HTTP."""

from shop_api.domains.tickets import service
from shop_api.domains.tickets.schemas import TicketSchema
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

realtime = Blueprint(
    "realtime",
    __name__,
    url_prefix="/api/v1/realtime",
    description="Listen to events as they happen.",
)


@realtime.mutation(
    "POST", "/tickets", scope="events:read", returns=TicketSchema, status=201, is_secret=True
)
def create_ticket(call: Call) -> Reply:
    """Issue a ticket for one connection that listens to events.

    Connect to `/ws?ticket=…` (WebSocket) or `/events?ticket=…` (server-sent events) of the realtime
    process before it expires; it works once. The connection sees what this credential may read.
    """
    life_seconds = call.services.settings.ticket_seconds
    ticket = service.issue(call.services.redis, call.principal, life_seconds)
    reply = Reply.of({"ticket": ticket, "expires_in": life_seconds}, 201)
    reply.headers.append(("Cache-Control", "no-store"))
    return reply
