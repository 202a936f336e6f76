"""Tickets: a browser sends no bearer with a WebSocket or EventSource: it shows a single-use ticket.

Belongs here: how a ticket is made, kept in Redis and taken. Does not: the endpoint that issues it
(domains/tickets), what takes it (admission.py). Imported by the api too: no gevent here.
"""

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

import msgspec
import redis

from shop_api.kernel.principal import Principal
from shop_api.kernel.rate_limits import PlanLimits

PREFIX = "tk_"


class _Holder(msgspec.Struct):
    """A ticket's holder as kept in Redis."""

    tenant_id: UUID
    actor: str
    scopes: list[str]
    limits: PlanLimits
    signed_in_at: datetime | None = None
    sign_in_id: UUID | None = None


def _key(ticket: str) -> str:
    return f"ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"


def issue_ticket(client: redis.Redis, principal: Principal, life_seconds: int) -> str:
    """A new ticket that lets its bearer listen as `principal`, once, within `life_seconds`."""
    ticket = PREFIX + secrets.token_urlsafe(32)
    holder = _Holder(
        principal.tenant_id,
        principal.actor,
        sorted(principal.scopes),
        principal.limits,
        principal.signed_in_at,
        principal.sign_in_id,
    )
    client.set(_key(ticket), msgspec.json.encode(holder), ex=life_seconds)
    return ticket


def redeem_ticket(client: redis.Redis, ticket: str) -> Principal | None:
    """Who the ticket was issued to; it is gone afterwards. None when unknown, used or expired."""
    return _holder(client.getdel(_key(ticket)))


def find_ticket(client: redis.Redis, ticket: str) -> Principal | None:
    """Who the ticket was issued to, without using it up."""
    return _holder(client.get(_key(ticket)))


def _holder(stored: object) -> Principal | None:
    if not isinstance(stored, bytes):
        return None
    holder = msgspec.json.decode(stored, type=_Holder)
    return Principal(
        holder.tenant_id,
        holder.actor,
        frozenset(holder.scopes),
        holder.limits,
        signed_in_at=holder.signed_in_at,
        sign_in_id=holder.sign_in_id,
    )
