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
            answer = refuse(error, exchange)
            _let_go(error)
            return answer
        except (DBAPIError, PoolTimeoutError) as error:
            answer = _refuse_database(error, exchange)
            _let_go(error)
            return answer
        except Exception as error:
            logger.exception("unexpected error (request %s)", exchange.request_id)
            _let_go(error)
            return refuse(INTERNAL_ERROR, exchange)


def _refuse_database(error: DBAPIError | PoolTimeoutError, exchange: Exchange) -> Answer:
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


def _let_go(error: BaseException) -> None:
    """Forget where it was raised: frames name the exception that names them (Flask's do), and such
    a ring holds the request, with a body of up to 10 MB, until the garbage collector comes, which
    counts objects and not bytes.
    """
    pending: list[BaseException | None] = [error]
    while pending:
        found = pending.pop()
        if found is not None and found.__traceback__ is not None:
            found.__traceback__ = None
            pending += [found.__cause__, found.__context__]
