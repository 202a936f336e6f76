"""All connections of this process: who listens to which tenant, and what watches over them.

Belongs here: joining, leaving, the watchdog and the orderly end. Does not: HTTP (websocket.py).
"""

import logging
import random
import time
from uuid import UUID

import gevent
from sqlalchemy.exc import SQLAlchemyError

from shop_api.db.outages import describe
from shop_api.realtime.actors import ActorDirectory
from shop_api.realtime.connection import CLOSE_RESTART, Connection
from shop_api.realtime.event_log import EventLog
from shop_api.realtime.feed import Feed
from shop_api.realtime.subscriber import Subscriber

WATCH_SECONDS = 0.2
# How soon a listener whose credential was revoked is found.
RECHECK_SECONDS = 0.4
RESTARTS = "the server restarts, resume on another connection"

logger = logging.getLogger(__name__)


class Hub:
    """Feeds by tenant and their connections."""

    def __init__(self, log: EventLog, actors: ActorDirectory, redis_url: str) -> None:
        self.log = log
        self._actors = actors
        self._feeds: dict[UUID, Feed] = {}
        self._subscriber = Subscriber(redis_url, self._feeds)
        self.is_draining = False

    def start(self) -> None:
        """Start the greenlets that live as long as the process."""
        gevent.spawn(self._subscriber.run)
        gevent.spawn(self._watch)
        gevent.spawn(self._recheck)

    @property
    def is_subscribed(self) -> bool:
        """Live events arrive."""
        return self._subscriber.is_connected

    def enter(self, tenant_id: UUID) -> Feed:
        """The tenant's feed, opened; each `enter` needs a `leave`. Raises when Postgres is away."""
        feed = self._feeds.get(tenant_id)
        if feed is None:
            feed = self._feeds[tenant_id] = Feed(tenant_id, self.log)
            feed.members += 1
            feed.open()
            self._subscriber.refresh()
        else:
            feed.members += 1
        try:
            feed.opened.get()
        except BaseException:
            self.leave(feed)
            raise
        return feed

    def join(self, feed: Feed, connection: Connection) -> None:
        """Have a connection hear the feed; one that comes as the process ends is closed too."""
        feed.connections.add(connection)
        if self.is_draining:
            connection.close(CLOSE_RESTART, RESTARTS)

    def leave(self, feed: Feed) -> None:
        """One member less; a feed without members ends."""
        feed.members -= 1
        if not feed.members and self._feeds.get(feed.tenant_id) is feed:
            del self._feeds[feed.tenant_id]
            self._subscriber.refresh()

    def connections(self) -> list[Connection]:
        """All open connections."""
        return [connection for feed in self._feeds.values() for connection in feed.connections]

    def drain(self, jitter_seconds: float) -> None:
        """Refuse new connections and close the open ones, spread over `jitter_seconds`."""
        self.is_draining = True
        connections = self.connections()
        logger.info("closing %d connections", len(connections))
        for connection in connections:
            gevent.spawn_later(
                random.uniform(0, jitter_seconds),
                connection.close,
                CLOSE_RESTART,
                RESTARTS,
            )

    def _watch(self) -> None:
        while True:
            now = time.monotonic()
            for connection in self.connections():
                try:
                    connection.check_progress(now)
                except Exception:
                    logger.exception("cannot check on connection %s", connection.id)
            gevent.sleep(WATCH_SECONDS)

    def _recheck(self) -> None:
        """Ask again and again what the listeners may do; while Postgres is away they stay."""
        while True:
            gevent.sleep(RECHECK_SECONDS)
            try:
                connections = self.connections()
                standings = self._actors.standings(found.principal for found in connections)
                for connection in connections:
                    connection.check_standing(standings)
            except SQLAlchemyError as error:
                logger.warning(
                    "cannot ask what listeners may do, trying again: %s", describe(error)
                )
            except Exception:
                logger.exception("asking what listeners may do failed, trying again")
