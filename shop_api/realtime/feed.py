"""One tenant's events in this process: in order, once, without gaps, to all its connections.

Belongs here: ordering, and filling gaps from Postgres. Does not: Redis (subscriber.py),
connections' own pace (connection.py).

Sequences are gapless, so a missing event shows as soon as a later one arrives. While a feed reads
from Postgres it takes nothing from Redis but the knowledge of how far it must read.
"""

import logging
from typing import TYPE_CHECKING
from uuid import UUID

import gevent
from gevent.event import AsyncResult
from sqlalchemy.exc import SQLAlchemyError

from shop_api.db.outages import describe
from shop_api.realtime.event_log import BATCH_ROWS, EventLog
from shop_api.realtime.frames import OutgoingEvent
from shop_api.realtime.messages import Event
from shop_api.spine.event_types import EVENT_TYPES

if TYPE_CHECKING:
    from shop_api.realtime.connection import Connection

RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Feed:
    """The events of a tenant with at least one connection here."""

    def __init__(self, tenant_id: UUID, log: EventLog) -> None:
        self.tenant_id = tenant_id
        self._log = log
        self.connections: set[Connection] = set()
        # the last event given out
        self.position = 0
        # the last event known to exist
        self._target = 0
        self._is_reading = False
        self._must_read_again = False
        # until subscribed, events may pass unseen; the first catch-up comes with the subscription
        self._is_live = False
        self.opened: AsyncResult = AsyncResult()
        self.members = 0

    def open(self) -> None:
        """Start from the tenant's newest event; those who wait for `opened` share the outcome."""
        try:
            self.position = self._log.position(self.tenant_id)
        except Exception as error:  # noqa: BLE001 (raised in all who wait)
            self.opened.set_exception(error)
        else:
            self.opened.set(None)

    def receive(self, event: Event) -> None:
        """An event from Redis: give it out if it is the next, else read what is missing."""
        if event.id is None:
            self._pass_on(event)
            return
        self._target = max(self._target, event.sequence)
        if not self._is_live or event.sequence <= self.position:
            return
        if event.sequence == self.position + 1:
            self._give_out(event)
        else:
            logger.info(
                "events %d to %d of tenant %s missed, reading them",
                self.position + 1,
                event.sequence - 1,
                self.tenant_id,
            )
            self.catch_up()

    def catch_up(self) -> None:
        """Read from Postgres what is newer than the position, then go on with Redis."""
        self._is_live = False
        self._must_read_again = True
        if not self._is_reading:
            self._is_reading = True
            gevent.spawn(self._read_missed)

    def _read_missed(self) -> None:
        try:
            while self.members and (self._must_read_again or self.position < self._target):
                try:
                    self._read_batch()
                except SQLAlchemyError as error:
                    logger.warning("cannot read missed events, trying again: %s", describe(error))
                except Exception:
                    logger.exception("reading missed events failed, trying again")
                else:
                    continue
                self._must_read_again = True
                gevent.sleep(RETRY_SECONDS)
            self._is_live = True
        finally:
            self._is_reading = False

    def _read_batch(self) -> None:
        self._must_read_again = False
        known = self._target
        events = self._log.after(self.tenant_id, self.position)
        for event in events:
            self._give_out(event)
        if len(events) == BATCH_ROWS:
            self._must_read_again = True
        else:
            # known to exist before the read and not shown by it: no longer kept
            self.position = max(self.position, known)

    def _give_out(self, event: Event) -> None:
        self.position = event.sequence
        if event.type not in EVENT_TYPES:
            return
        outgoing = OutgoingEvent(event)
        for connection in self.connections:
            connection.offer(outgoing)

    def _pass_on(self, event: Event) -> None:
        outgoing = OutgoingEvent(event)
        for connection in self.connections:
            connection.offer_passing(outgoing)
