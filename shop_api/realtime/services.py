"""What the realtime process works with, built once when a worker starts.

Belongs here: the container. Does not: building it (app.py).
"""

from dataclasses import dataclass

import redis
from sqlalchemy import Engine

from shop_api.realtime.actors import ActorDirectory
from shop_api.realtime.event_log import EventLog
from shop_api.realtime.hub import Hub
from shop_api.realtime.subscriptions import Subscriptions
from shop_api.settings import Settings


@dataclass(frozen=True)
class RealtimeServices:
    """The means of one realtime process."""

    settings: Settings
    engine: Engine
    redis: redis.Redis
    log: EventLog
    actors: ActorDirectory
    hub: Hub
    subscriptions: Subscriptions
