"""What the worker runs: the description of a job on a schedule, of a follower, and what both are
given.

Belongs here: the dataclasses packages plug in with. Does not: running them (worker.py), the jobs
themselves (the package that owns them, named in the entry-point group `shop_api.schedules`).

An entry point of that group is a callable `jobs(context: WorkerContext)` that returns a list of
`ScheduledJob` and `Follower`. It is called once when the worker starts and may keep `context` and
register hooks on it.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import redis
from sqlalchemy import Engine

from shop_api.settings import Settings
from shop_api.spine.waker import Waker

SCHEDULES = "shop_api.schedules"

# Called with the tenants whose figures a new lake snapshot changed, and the present instant.
AfterPublish = Callable[[frozenset[UUID], datetime], None]
# Entered before what its argument names, and left behind it.
Observe = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True)
class WorkerContext:
    """What a job may use; its store URLs are concrete, embedded or not."""

    settings: Settings
    # shop_app: one tenant at a time, under row-level security
    engine: Engine
    # shop_exporter: reads the facts of all tenants, writes the platform's tables
    exporter_engine: Engine
    waker: Waker
    redis: redis.Redis
    # run by whoever publishes a lake snapshot, after it committed, in the order they were added
    after_publish: list[AfterPublish] = field(default_factory=list)
    # set when the worker is told to end: a long job looks at it and stops where it can go on later
    stopping: threading.Event = field(default_factory=threading.Event)
    # runs of jobs, by their names, and queries of the lake, by their texts
    observe_job: Observe = nullcontext
    observe_query: Observe = nullcontext

    @property
    def lake_location(self) -> str:
        return self.settings.lake_location


@dataclass(frozen=True)
class ScheduledJob:
    """One job: when it runs, what it does and who answers for it.

    Exactly one of `interval_seconds` and `cron` is set. Among any number of workers one runs the
    job at a time. A run that raises is logged and tried again at the next tick.
    """

    name: str
    # the package or team that answers for the job
    owner: str
    # given the instant of the run; False: it did not do its work this time, so it is no success
    run: Callable[[datetime], bool | None]
    interval_seconds: float | None = None
    # five fields (minute hour day month weekday), in UTC
    cron: str | None = None
    # also run soon after events were recorded, not only at the tick
    wake_on_events: bool = False
    # the run is late, and reported as such, when the last success is older than this
    freshness_limit_seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.interval_seconds is None) == (self.cron is None):
            raise ValueError(f"job {self.name!r} needs interval_seconds or cron, and not both")
        if self.interval_seconds is not None and self.interval_seconds <= 0:
            raise ValueError(f"job {self.name!r} has an interval that is not positive")


@dataclass(frozen=True)
class Follower:
    """What runs as long as the worker does, in a thread of its own, such as a reader of the spine.

    One that raises is logged and run again after a pause: the relay and the jobs go on beside it.
    """

    name: str
    # the package or team that answers for it
    owner: str
    # returns within a second or two of `stop`
    run: Callable[[], None]
    stop: Callable[[], None]


Schedule = Callable[[WorkerContext], Sequence[ScheduledJob | Follower]]
