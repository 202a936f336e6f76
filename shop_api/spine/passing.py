"""Passing messages: told to whoever listens at this moment, and kept nowhere.

Belongs here: who has listeners, and the form of a message that is no event. Does not: events, which
every listener gets once (relay.py), nor what is told (pipelines/live_metrics.py).

They travel on the channels of events, without a number: a listener that misses one asks for nothing
and waits for the next, which says all that the one before said.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import redis

from shop_api.db.json import encode_json
from shop_api.kernel.clock import format_instant
from shop_api.spine.relay import CHANNELS, channel_of


def listening_tenants(client: redis.Redis) -> set[UUID]:
    """The tenants whose events some realtime process follows."""
    channels: Any = client.pubsub_channels(f"{CHANNELS}*")
    return {UUID(channel.decode().removeprefix(CHANNELS)) for channel in channels}


def pass_on(
    client: redis.Redis,
    type_: str,
    told: Iterable[tuple[UUID, Mapping[str, Any]]],
    now: datetime,
) -> None:
    """Tell each tenant's listeners its data, all in one round trip."""
    with client.pipeline(transaction=False) as pipeline:
        for tenant_id, data in told:
            message = {
                "tenant_id": tenant_id,
                "id": None,
                "type": type_,
                "data": data,
                "timestamp": format_instant(now),
            }
            pipeline.publish(channel_of(tenant_id), encode_json(message))
        pipeline.execute()
