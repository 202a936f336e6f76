"""Redis as requests ask it: answered at once, or they go on without it.

Belongs here: short timeouts, and not asking what is away. Does not: what is asked (rate limits,
caches, positions of replicas). Work that waits for Redis (tickets, sign-ins, the relay) has a
client of its own.
"""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop_api.db.outages import describe
from shop_api.kernel.breaker import Breaker

Found = TypeVar("Found")
Watch = Callable[[redis.Redis], None]

# An answer takes some 0.1 ms; a Redis that hangs costs this once per thread, and then one request
# in each OPEN_SECONDS.
TIMEOUT_SECONDS = 0.15
FAILURE_LIMIT = 3
OPEN_SECONDS = 1.0
# Beyond redis-py's own limit of 100 it would refuse a thread as if Redis were away. There are as
# many connections as threads that ask, and those are bounded (SHOP_API_THREADS).
CONNECTION_LIMIT = 2**31

logger = logging.getLogger(__name__)


class RedisAway(Exception):
    """Redis did not answer, or was not asked because it did not before."""


class RequestRedis:
    """The client of the request path, behind a breaker."""

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.client = redis.Redis.from_url(
            url,
            # only what was closed meanwhile is tried again: a second try would double what a hung
            # server costs. Redis may have carried out the first: whatever is asked must bear that.
            retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            max_connections=CONNECTION_LIMIT,
        )
        self.breaker = Breaker(FAILURE_LIMIT, OPEN_SECONDS)
        self._of_thread = threading.local()
        self._watch: Watch = lambda _: None

    def watch(self, watch: Watch) -> None:
        """Have `watch` wrap every client that is asked. Before the first is."""
        self._watch = watch
        watch(self.client)

    def ask(self, call: Callable[[redis.Redis], Found]) -> Found:
        """What `call` finds; RedisAway when it cannot be had now."""
        breaker = self.breaker
        if not breaker.allows():
            raise RedisAway
        try:
            found = call(self._client())
        except redis.RedisError as error:
            was_open = breaker.is_open
            breaker.failed()
            if breaker.is_open and not was_open:
                logger.warning("Redis is away, requests go on without it: %s", describe(error))
            raise RedisAway from error
        breaker.succeeded()
        return found

    def _client(self) -> redis.Redis:
        """This thread's own, on a connection that it keeps: to take one from the pool, and look
        whether it is open, costs more than to ask."""
        found: redis.Redis | None = getattr(self._of_thread, "client", None)
        if found is None:
            found = self._of_thread.client = redis.Redis(
                connection_pool=self.client.connection_pool, single_connection_client=True
            )
            self._watch(found)
        return found

    def close(self) -> None:
        """Close its connections."""
        self.client.close()
