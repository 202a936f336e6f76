"""A connection by itself: what happens while it reads the past is read as well."""

import json
from datetime import UTC, datetime
from math import inf
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import gevent
import msgspec

from shop_api.kernel.principal import SCOPES, Principal
from shop_api.kernel.rate_limits import PLAN_LIMITS
from shop_api.realtime.connection import Connection
from shop_api.realtime.frames import EVENT_STREAM
from shop_api.realtime.interest import Interest
from shop_api.realtime.messages import Event
from shop_api.settings import Settings

TENANT = UUID(int=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Log:
    """Events up to 5, of which the feed gives out the last two while the first are read."""

    def __init__(self, feed: Any) -> None:
        self.feed = feed

    def clock(self) -> datetime:
        return NOW

    def after(self, tenant_id: UUID, sequence: int, since: datetime | None) -> list[Event]:
        shown = range(sequence + 1, self.feed.position + 1)
        self.feed.position = 5
        return [Event(i, "order_created", msgspec.Raw(b"{}"), "2026-03-01") for i in shown]


class Kept:
    """A transport that keeps what is sent."""

    form = EVENT_STREAM
    queue_length = 100
    resume_window_seconds = 0.0
    pulse_seconds = 60.0
    dead_at = inf
    sending_since = None

    def __init__(self) -> None:
        self.is_open = True
        self.sent: list[Any] = []

    def send(self, data: bytes) -> None:
        self.sent.append(json.loads(data.decode().partition("data: ")[2]))

    def send_at_once(self, data: bytes) -> bool:
        return False

    def send_pulse(self, position: int | None) -> None:
        raise AssertionError("it is not due")

    def close(self, code: int, reason: str) -> None:
        self.is_open = False

    def abort(self) -> None:
        self.is_open = False


def test_what_is_given_out_while_the_past_is_read_is_read_next() -> None:
    feed, transport = SimpleNamespace(position=3), Kept()
    log: Any = Log(feed)
    principal = Principal(TENANT, "api_key:1", frozenset(SCOPES), PLAN_LIMITS["free"])
    interest = Interest(principal.scopes)
    settings = Settings(_env_file=None)
    connection = Connection(UUID(int=2), principal, transport, interest, log, feed, settings, 1)
    writer = gevent.spawn(connection.write)
    with gevent.Timeout(5):
        while len(transport.sent) < 6:
            gevent.sleep(0.01)
        # all of it, before it hears the feed itself
        while not connection.is_live:
            gevent.sleep(0.01)
    assert [message["type"] for message in transport.sent[:2]] == ["connected", "resumed"]
    assert [message["id"] for message in transport.sent[2:]] == [2, 3, 4, 5]
    connection.close(1012, "over")
    writer.join(timeout=5)
    assert not transport.is_open
