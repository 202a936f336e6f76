"""How long a request may run, whatever it does meanwhile.

Belongs here: when its time begins. Does not: ending its statements (db/deadlines.py), its figures
(analytics) and waiting for its body, which is not counted.
"""

import time

from shop_api.db.deadlines import deadline
from shop_api.kernel.exchange import Answer, Exchange, Stage


class Deadline:
    """Gives the thread until then; a streamed answer is sent without."""

    def __init__(self, forward: Stage, seconds: float) -> None:
        self.forward = forward
        self.seconds = seconds

    def __call__(self, exchange: Exchange) -> Answer:
        deadline.at = time.monotonic() + self.seconds
        try:
            return self.forward(exchange)
        finally:
            deadline.at = None
