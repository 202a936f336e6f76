"""The greenlets that live as long as the realtime process go on after an error of any kind."""

from typing import Any
from uuid import UUID

import gevent
import pytest

from shop_api.realtime import feed as feed_module
from shop_api.realtime import hub as hub_module
from shop_api.realtime.feed import Feed
from shop_api.realtime.hub import Hub

TENANT = UUID(int=1)


class BrokenLog:
    """An event log that fails at first, and not as a database does."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def position(self, tenant_id: UUID) -> int:
        self._fail()
        return 0

    def after(self, tenant_id: UUID, sequence: int) -> list[Any]:
        self._fail()
        return []

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ValueError("cannot be decoded")


class Watched:
    """A connection that counts how often it is looked at."""

    id = UUID(int=2)

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.looks = 0
        self.codes: list[int] = []

    def close(self, code: int, reason: str) -> None:
        self.codes.append(code)

    def check_progress(self, now: float) -> None:
        self.looks += 1
        if self.fails:
            raise ValueError("broken")


def wait_for(condition: Any) -> None:
    with gevent.Timeout(5):
        while not condition():
            gevent.sleep(0.01)


def test_a_feed_reads_again_after_any_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feed_module, "RETRY_SECONDS", 0.01)
    log: Any = BrokenLog(failures=2)
    feed = Feed(TENANT, log)
    feed.members = 1
    feed.catch_up()
    wait_for(lambda: feed._is_live)
    assert caplog.text.count("reading missed events failed") == 2


def test_an_error_while_a_feed_is_opened_reaches_all_who_wait() -> None:
    log: Any = BrokenLog(failures=1)
    directory: Any = object()
    hub = Hub(log, directory, "redis://")
    with pytest.raises(ValueError, match="cannot be decoded"):
        hub.enter(TENANT)
    feed = hub.enter(TENANT)
    assert feed.members == 1


def test_a_connection_that_cannot_be_checked_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hub_module, "WATCH_SECONDS", 0.01)
    log: Any = BrokenLog(failures=0)
    directory: Any = object()
    hub = Hub(log, directory, "redis://")
    broken: Any = Watched(fails=True)
    sound: Any = Watched(fails=False)
    hub.enter(TENANT).connections.update({broken, sound})
    watcher = gevent.spawn(hub._watch)
    wait_for(lambda: broken.looks >= 2 and sound.looks >= 2)
    watcher.kill()
    assert "cannot check on connection" in caplog.text


def test_a_connection_that_comes_while_the_process_ends_is_closed_as_well() -> None:
    log: Any = BrokenLog(failures=0)
    directory: Any = object()
    hub = Hub(log, directory, "redis://")
    feed = hub.enter(TENANT)
    early: Any = Watched(fails=False)
    hub.join(feed, early)
    hub.drain(jitter_seconds=0.0)
    late: Any = Watched(fails=False)
    hub.join(feed, late)
    wait_for(lambda: early.codes == late.codes == [1012])
