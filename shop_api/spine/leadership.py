"""Leadership: one process among any number does a thing, and another takes over when it dies.

Belongs here: the connection that holds the advisory lock, and trying again when it breaks. Does
not: what is done under the lock (reader.py, webhooks/sender.py), locks of single runs (locks.py).

Who leads works on the connection that holds the lock, or looks at it every second: one that lost
its lock cannot lead on.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg

from shop_api.db.outages import describe
from shop_api.spine.locks import lock_key

# How fast a standby takes over.
POLL_SECONDS = 1.0
RETRY_MIN_SECONDS = 0.1
RETRY_MAX_SECONDS = 2.0

logger = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]


class Leadership:
    """Leads while it holds the lock of `name`, otherwise stands by."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self.name = name
        self.stopped = threading.Event()
        self.is_leading = False

    def stop(self) -> None:
        """Ask `run` to return; it does within a polling interval."""
        self.stopped.set()

    def run(self, lead: Callable[[Connection], None]) -> None:
        """Call `lead` whenever the lock is held, until stopped, through restarts of Postgres.

        `lead` returns when stopped, or raises an OperationalError when the connection is lost.
        """
        delay = RETRY_MIN_SECONDS
        while not self.stopped.is_set():
            try:
                with self._connect() as connection:
                    delay = RETRY_MIN_SECONDS
                    if self._wait_for_lock(connection):
                        self.is_leading = True
                        lead(connection)
            except psycopg.OperationalError as error:
                logger.warning(
                    "%s lost Postgres, trying again in %.1f s: %s",
                    self.name,
                    delay,
                    describe(error),
                )
                self.stopped.wait(delay)
                delay = min(delay * 2, RETRY_MAX_SECONDS)
            finally:
                self.is_leading = False

    def _connect(self) -> Connection:
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            application_name=f"shop-api {self.name}",
            connect_timeout=5,
            keepalives_idle=10,
            keepalives_interval=2,
            keepalives_count=3,
        )
        # A cursor lost in a crash of Postgres only means reading a little twice.
        connection.execute("SET synchronous_commit = off")
        return connection

    def _wait_for_lock(self, connection: Connection) -> bool:
        """True once this connection holds the lock, False when stopped before."""
        while not self.stopped.is_set():
            row = connection.execute(
                "SELECT pg_try_advisory_lock(%s)", (lock_key(self.name),)
            ).fetchone()
            if row and row[0]:
                return True
            self.stopped.wait(POLL_SECONDS)
        return False
