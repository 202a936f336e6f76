"""From what was raised to a problem answer; nothing inside ever shows.

Belongs here: the last catch of a request. An unknown exception is logged with its stack and
answered as 500 with the request id only.
"""

import logging
import traceback

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.outages import describe, outage_error
from shop_api.gateway.refusal import INTERNAL_ERROR, refuse
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange, Stage

logger = logging.getLogger(__name__)


class Problems:
    """Maps every exception below it to a problem answer."""

    def __init__(self, forward: Stage) -> None:
        self.forward = forward

    def __call__(self, exchange: Exchange) -> Answer:
        try:
            return self.forward(exchange)
        except DomainError as error:
            return refuse(error, exchange)
        except (DBAPIError, PoolTimeoutError) as error:
            known = outage_error(error)
            if known is None:
                stack = "".join(traceback.format_tb(error.__traceback__))
                logger.error(
                    "unexpected database error: %s (request %s)\n%s",
                    describe(error),
                    exchange.request_id,
                    stack,
                )
                return refuse(INTERNAL_ERROR, exchange)
            if known.kind is ErrorKind.UNAVAILABLE:
                logger.warning("database: %s (request %s)", describe(error), exchange.request_id)
            return refuse(known, exchange)
        except Exception:
            logger.exception("unexpected error (request %s)", exchange.request_id)
            return refuse(INTERNAL_ERROR, exchange)
