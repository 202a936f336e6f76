"""Totals of usage in a process: which hour they are of, which are kept, and what is lost."""

from datetime import UTC, datetime, timedelta

import pytest

from shop_api.metrics import usage as usages
from shop_api.metrics.usage import Usage, UsageCounts, UsageKey

NOON = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = (1, "GET", "/r", "2xx")


def requests_by_hour(totals: dict[UsageKey, Usage]) -> list[tuple[int, int]]:
    """The hours of the day, each with the requests of a total."""
    return [(place.hour.hour, total.requests) for place, total in totals.items()]


def write_all(counts: UsageCounts) -> dict[UsageKey, Usage]:
    """What is unwritten, as after it was written."""
    totals = counts.unwritten()
    counts.written(totals)
    counts.let_go()
    return totals


def test_what_is_written_takes_no_room_of_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many totals an hour has, all are counted while Postgres is there."""
    monkeypatch.setattr(usages, "MAX_UNWRITTEN", 3)
    counts = UsageCounts()
    for tenant in range(1, 11):
        counts.add(NOON, (tenant, *KIND[1:]), Usage(1))
        write_all(counts)
    for tenant in range(1, 11):
        counts.add(NOON, (tenant, *KIND[1:]), Usage(1))
    assert counts.take_lost_requests() == 0
    assert [total.requests for total in counts.unwritten().values()] == [2] * 10
    # those that wait are bounded
    counts.add(NOON, (11, *KIND[1:]), Usage(5))
    assert counts.take_lost_requests() == 5


def test_a_clock_that_jumped_ahead_once_leaves_later_usage_to_its_hours() -> None:
    counts = UsageCounts()
    counts.add(NOON, KIND, Usage(1))
    counts.add(NOON + timedelta(days=365, hours=6), KIND, Usage(2))
    counts.add(NOON, KIND, Usage(4))
    counts.add(NOON + HOUR, KIND, Usage(8))
    counts.add(NOON + HOUR, KIND, Usage(16))
    assert requests_by_hour(write_all(counts)) == [(12, 1), (18, 2), (12, 4), (13, 24)]
    assert requests_by_hour(counts._totals) == [(13, 24)]


def test_an_hour_that_begins_once_more_is_written_beside_what_was_written_of_it() -> None:
    counts = UsageCounts()
    rows: dict[UsageKey, Usage] = {}
    for number, hours in enumerate((0, 1, 0, 1, 0, 5, 0, 1, 2)):
        counts.add(NOON + hours * HOUR, KIND, Usage(1))
        if number % 2:
            # a total is written over the one before
            rows |= write_all(counts)
    rows |= write_all(counts)
    by_hour = dict.fromkeys((12, 13, 14, 17), 0)
    for hour, requests in requests_by_hour(rows):
        by_hour[hour] += requests
    assert by_hour == {12: 4, 13: 3, 14: 1, 17: 1}


def test_a_clock_that_only_goes_on_keeps_the_id() -> None:
    counts = UsageCounts()
    for hours in range(5):
        counts.add(NOON + hours * HOUR, KIND, Usage(1))
    assert {place.process for place in counts.unwritten()} == {counts.process_id.int}


def test_what_is_given_up_is_what_was_not_written() -> None:
    counts = UsageCounts()
    counts.add(NOON, KIND, Usage(3, request_bytes=30))
    write_all(counts)
    counts.add(NOON, KIND, Usage(2, request_bytes=2**63))
    taken = counts.unwritten()
    counts.add(NOON, KIND, Usage(1, request_bytes=10))
    assert counts.give_up(taken) == 2
    # what was written of it, and what came meanwhile
    assert list(counts.unwritten().values()) == [Usage(4, request_bytes=40)]
    assert counts.give_up(counts.unwritten()) == 1
    assert counts.unwritten() == {}
    counts.add(NOON, KIND, Usage(1, request_bytes=5))
    assert list(counts.unwritten().values()) == [Usage(4, request_bytes=35)]


def test_a_total_that_is_given_up_whole_begins_anew() -> None:
    counts = UsageCounts()
    counts.add(NOON, KIND, Usage(3))
    assert counts.give_up(counts.unwritten()) == 3
    assert (counts.unwritten(), counts._totals) == ({}, {})
    counts.add(NOON, KIND, Usage(1))
    taken = counts.unwritten()
    counts.add(NOON, KIND, Usage(2))
    assert counts.give_up(taken) == 1
    assert list(write_all(counts).values()) == [Usage(2)]


def test_what_was_postponed_is_still_known_to_be_written_in_part() -> None:
    counts = UsageCounts()
    counts.add(NOON, KIND, Usage(3))
    write_all(counts)
    counts.add(NOON, KIND, Usage(2))
    counts.postpone(counts.unwritten())
    counts.add(NOON, KIND, Usage(1))
    assert counts.give_up(counts.unwritten()) == 3
