"""How full the pools are, looked at once a second.

Belongs here: what is measured of a pool. Does not: pools (engines.py).
"""

from collections import Counter
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from shop_api.metrics.definitions import (
    database_pool_in_use,
    database_pool_limit,
    database_pool_timeouts,
)
from shop_api.metrics.tally import tally


class WatchedPool(QueuePool):
    """A pool that counts the waits that are given up."""

    def connect(self) -> PoolProxiedConnection:
        """A connection; TimeoutError when none comes free in time."""
        try:
            return super().connect()
        except PoolTimeoutError:
            database_pool_timeouts.inc()
            raise


_watched: "WeakKeyDictionary[Engine, tuple[str, str, int]]" = WeakKeyDictionary()


def watch_pool(engine: Engine, process: str, name: str, limit: int) -> None:
    """Tell how many of the pool's connections are in use, and how many there may be."""
    _watched[engine] = (process, name, limit)
    tally.watch(_look)


def _look() -> None:
    in_use: Counter[tuple[str, str]] = Counter()
    limits: Counter[tuple[str, str]] = Counter()
    for engine, (process, name, limit) in list(_watched.items()):
        pool = engine.pool
        if isinstance(pool, QueuePool):
            in_use[process, name] += pool.checkedout()
            limits[process, name] += limit
    for labels, count in in_use.items():
        database_pool_in_use.labels(*labels).set(count)
        database_pool_limit.labels(*labels).set(limits[labels])
