"""The process's one subscription to Redis: the channels of tenants that have listeners here.

Belongs here: subscribing, reading and reconnecting. Does not: the order of events (feed.py).
"""

import logging
from uuid import UUID

import gevent
import redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.retry import Retry

from shop_api.db.outages import describe
from shop_api.realtime.feed import Feed
from shop_api.realtime.messages import decode_published
from shop_api.spine.relay import channel_of

# How soon a new tenant's channel is subscribed; until then its events come from Postgres.
POLL_SECONDS = 0.05
RETRY_MIN_SECONDS = 0.1
RETRY_MAX_SECONDS = 2.0
# After an error that is not Redis's: its traceback is not to fill the log.
FAILED_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Subscriber:
    """Keeps the subscriptions equal to the feeds and hands each message to its feed."""

    def __init__(self, redis_url: str, feeds: dict[UUID, Feed]) -> None:
        # Retries would hide a lost connection, and with it the events published meanwhile.
        self._client = redis.Redis.from_url(
            redis_url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=5,
            health_check_interval=10,
        )
        self._feeds = feeds
        self._subscribed: dict[str, Feed] = {}
        self._is_changed = True
        self.is_connected = False

    def refresh(self) -> None:
        """The feeds have changed."""
        self._is_changed = True

    def run(self) -> None:
        """Read until killed, through restarts of Redis and messages that cannot be read."""
        delay = RETRY_MIN_SECONDS
        while True:
            try:
                with self._client.pubsub() as pubsub:
                    self._client.ping()
                    self.is_connected = True
                    delay = RETRY_MIN_SECONDS
                    self._listen(pubsub)
            except redis.RedisError as error:
                logger.warning("lost Redis, trying again in %.1f s: %s", delay, describe(error))
            except Exception:
                # what was missed meanwhile is read from Postgres when the channels are subscribed
                delay = max(delay, FAILED_SECONDS)
                logger.exception("the subscription failed, starting it anew in %.1f s", delay)
            self.is_connected = False
            gevent.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_SECONDS)

    def _listen(self, pubsub: PubSub) -> None:
        self._subscribed = {}
        self._is_changed = True
        while True:
            if self._is_changed:
                self._is_changed = False
                self._follow_feeds(pubsub)
            if not self._subscribed:
                gevent.sleep(POLL_SECONDS)
                continue
            message = pubsub.get_message(timeout=POLL_SECONDS)
            if message is None:
                continue
            feed = self._subscribed.get(message["channel"].decode())
            if feed is None:
                continue
            if message["type"] == "message":
                feed.receive(decode_published(message["data"]))
            elif message["type"] == "subscribe":
                feed.catch_up()

    def _follow_feeds(self, pubsub: PubSub) -> None:
        wanted = {
            channel_of(tenant_id): feed
            for tenant_id, feed in self._feeds.items()
            if feed.opened.successful()
        }
        gone = [channel for channel in self._subscribed if channel not in wanted]
        new = [channel for channel in wanted if channel not in self._subscribed]
        if gone:
            pubsub.unsubscribe(*gone)
        if new:
            pubsub.subscribe(*new)
        for channel, feed in wanted.items():
            # a tenant that left and came back at once: its channel was never given up
            if self._subscribed.get(channel, feed) is not feed:
                feed.catch_up()
        self._subscribed = wanted
