"""Waiting for bodies: how many at once.

Belongs here: places. Does not: limits of size and what is made of a body (idempotency.py).
"""

from collections.abc import Callable

from shop_api.gateway.places import Places
from shop_api.gateway.refusal import server_busy
from shop_api.kernel.exchange import Exchange

Read = Callable[[], None]

# A whole body is read in microseconds: who waits longer than this waits for slow clients.
PLACE_WAIT_SECONDS = 0.25


def is_stranger(exchange: Exchange) -> bool:
    """Whether anybody may have sent it: without a credential, or with a key that is public."""
    principal = exchange.principal
    return principal is None or principal.is_publishable


class BodyReaders:
    """How many threads may wait for bodies at once.

    A client that sends half a body holds a thread. So some threads are always free for requests
    without one, and strangers can never take the places of customers.
    """

    def __init__(self, threads: int) -> None:
        self._known = Places(max(1, threads - 2), PLACE_WAIT_SECONDS, 2)
        self._strangers = Places(max(1, threads // 4), PLACE_WAIT_SECONDS, 2)

    def read(self, exchange: Exchange, read: Read) -> None:
        """Let `read` wait for a body; 503 when no place comes free soon."""
        places = self._strangers if is_stranger(exchange) else self._known
        if not places.take():
            raise server_busy("bodies", "Too many requests are still being received.")
        try:
            read()
        finally:
            places.give_back()
