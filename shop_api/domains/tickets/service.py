"""Issuing tickets.

A ticket lives in Redis only, so it is kept there before the request's transaction ends: should that
fail, nobody has seen the ticket and it expires.
"""

import logging

import redis

from shop_api.db.outages import describe
from shop_api.domains.tickets.errors import TICKETS_UNAVAILABLE
from shop_api.kernel.principal import Principal
from shop_api.realtime.tickets import issue_ticket

logger = logging.getLogger(__name__)


def issue(client: redis.Redis, principal: Principal, life_seconds: int) -> str:
    """A ticket that listens as `principal`; `tickets_unavailable` while Redis is away."""
    try:
        return issue_ticket(client, principal, life_seconds)
    except redis.RedisError as error:
        logger.warning("cannot issue a ticket: %s", describe(error))
        raise TICKETS_UNAVAILABLE from error
