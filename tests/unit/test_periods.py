"""Where days begin, what period names mean, and which buckets a period has."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.periods import (
    BUCKET_LIMIT,
    PERIOD_NAMES,
    Period,
    bucket_starts,
    comparison_end,
    comparison_period,
    date_buckets,
    date_period,
    day_start,
    day_starts,
    default_interval,
    find_zone,
    floor_date,
    hour_buckets,
    hour_key,
    local_date,
    name_period,
)

ZONES = (
    "UTC",
    "America/Sao_Paulo",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "Pacific/Apia",
    "Africa/Cairo",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Chatham",
    "America/St_Johns",
)
DAYS = st.dates(date(1990, 1, 1), date(2040, 1, 1))
FROM = datetime(1990, 1, 1, tzinfo=UTC).replace(tzinfo=None)
ONE_DAY = timedelta(days=1)

# Friday, 23:30 on 15 May in New York, already the 16th in UTC.
NOW = datetime(2026, 5, 16, 3, 30, tzinfo=UTC)
FIRST_DAY = date(2024, 2, 29)


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("today", date(2026, 5, 15), date(2026, 5, 16)),
        ("yesterday", date(2026, 5, 14), date(2026, 5, 15)),
        ("7d", date(2026, 5, 9), date(2026, 5, 16)),
        ("30d", date(2026, 4, 16), date(2026, 5, 16)),
        ("90d", date(2026, 2, 15), date(2026, 5, 16)),
        ("365d", date(2025, 5, 16), date(2026, 5, 16)),
        ("mtd", date(2026, 5, 1), date(2026, 5, 16)),
        ("qtd", date(2026, 4, 1), date(2026, 5, 16)),
        ("ytd", date(2026, 1, 1), date(2026, 5, 16)),
        ("all", FIRST_DAY, date(2026, 5, 16)),
    ],
)
def test_names_mean_days_of_the_tenant(name: str, start: date, end: date) -> None:
    period = name_period(name, NOW, "America/New_York", FIRST_DAY)
    assert (period.start, period.end) == (start, end)


def test_every_name_is_tested_above() -> None:
    assert len(PERIOD_NAMES) == 10
    with pytest.raises(ValueError, match="`period` must be one of today"):
        name_period("fortnight", NOW, "UTC", FIRST_DAY)


def test_days_of_23_and_25_hours() -> None:
    spring = date_period(date(2026, 3, 8), date(2026, 3, 9), "America/New_York")
    autumn = date_period(date(2026, 11, 1), date(2026, 11, 2), "America/New_York")
    assert spring.end_instant - spring.start_instant == timedelta(hours=23)
    assert autumn.end_instant - autumn.start_instant == timedelta(hours=25)
    assert len(hour_buckets(spring)) == 23
    assert len(hour_buckets(autumn)) == 25


def test_midnight_that_does_not_exist() -> None:
    """São Paulo jumped from 24:00 on 14 October 2017 to 01:00."""
    zone = find_zone("America/Sao_Paulo")
    assert day_start(date(2017, 10, 15), zone) == datetime(2017, 10, 15, 3, 0, tzinfo=UTC)
    period = date_period(date(2017, 10, 15), date(2017, 10, 16), "America/Sao_Paulo")
    hours = hour_buckets(period)
    assert hours[0].isoformat() == "2017-10-15T01:00:00-02:00"
    assert len(hours) == 23


def test_jump_over_midnight_from_the_evening() -> None:
    """Toronto jumped from 23:30 on 30 March 1919 to 00:30."""
    zone = find_zone("America/Toronto")
    assert day_start(date(1919, 3, 31), zone) == datetime(1919, 3, 31, 4, 30, tzinfo=UTC)


def test_day_that_was_skipped_is_empty() -> None:
    """Samoa had no 30 December 2011."""
    period = date_period(date(2011, 12, 30), date(2011, 12, 31), "Pacific/Apia")
    assert period.start_instant == period.end_instant
    assert hour_buckets(period) == []


def test_a_skipped_day_has_no_edge_and_an_empty_bucket() -> None:
    """Samoa went from 29 to 31 December 2011."""
    edges = day_starts(date(2011, 12, 29), date(2012, 1, 1), "Pacific/Apia")
    assert [day.day for day, _ in edges] == [29, 31, 1]
    assert [start.isoformat()[8:16] for _, start in edges] == ["29T10:00", "30T10:00", "31T10:00"]
    period = date_period(date(2011, 12, 29), date(2012, 1, 1), "Pacific/Apia")
    starts = bucket_starts(period, "day")
    assert len(starts) == len(date_buckets(period, "day")) == 3
    assert starts[1] == starts[2]


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_the_first_bucket_starts_with_the_period(interval: str) -> None:
    period = date_period(date(2026, 2, 18), date(2026, 4, 2), "America/New_York")
    starts = bucket_starts(period, interval)
    assert starts[0] == period.start_instant
    assert starts == sorted(set(starts))
    if interval == "month":
        assert [start.isoformat()[:16] for start in starts[1:]] == [
            "2026-03-01T05:00",
            "2026-04-01T04:00",
        ]


def test_clocks_that_move_by_half_an_hour() -> None:
    period = date_period(date(2026, 4, 5), date(2026, 4, 6), "Australia/Lord_Howe")
    assert period.end_instant - period.start_instant == timedelta(hours=24, minutes=30)
    assert [hour.isoformat()[11:] for hour in hour_buckets(period)[:4]] == [
        "00:00:00+11:00",
        "01:00:00+11:00",
        "01:30:00+10:30",
        "02:00:00+10:30",
    ]


def test_clocks_that_move_a_minute_past_midnight() -> None:
    """Newfoundland went from 00:01 on 29 October 2006 back to 23:01."""
    period = date_period(date(2006, 10, 29), date(2006, 10, 30), "America/St_Johns")
    assert [hour.isoformat()[8:] for hour in hour_buckets(period)[:3]] == [
        "29T00:00:00-02:30",
        "28T23:01:00-03:30",
        "29T00:00:00-03:30",
    ]


def test_zone_off_the_hour() -> None:
    zone = find_zone("Asia/Kathmandu")
    assert day_start(date(2026, 1, 1), zone) == datetime(2025, 12, 31, 18, 15, tzinfo=UTC)
    assert local_date(datetime(2025, 12, 31, 18, 14, 59, tzinfo=UTC), zone) == date(2025, 12, 31)


@given(st.sampled_from(ZONES), DAYS)
def test_a_day_starts_with_its_first_instant(name: str, day: date) -> None:
    zone = find_zone(name)
    start = day_start(day, zone)
    assert local_date(start - timedelta(microseconds=1), zone) < day
    assert local_date(start, zone) >= day


@given(st.sampled_from(ZONES), DAYS, st.integers(1, 40))
def test_hours_cover_the_period_without_gap(name: str, day: date, days: int) -> None:
    period = date_period(day, day + timedelta(days=days), name)
    hours = hour_buckets(period)
    if not hours:
        assert period.start_instant == period.end_instant
        return
    assert hours[0].astimezone(UTC) == period.start_instant
    keys = [hour_key(hour) for hour in hours]
    assert len(set(keys)) == len(keys)
    edges = [hour.astimezone(UTC) for hour in hours] + [period.end_instant]
    lengths = [later - earlier for earlier, later in pairwise(edges)]
    assert min(lengths) > timedelta(0)
    assert max(lengths) <= timedelta(hours=1)
    middles = [edge + length / 2 for edge, length in zip(edges, lengths, strict=False)]
    assert [hour_key(middle.astimezone(hours[0].tzinfo)) for middle in middles] == keys


@given(DAYS, st.integers(1, 800), st.sampled_from(["day", "week", "month"]))
def test_every_day_has_its_bucket_and_no_bucket_is_without_days(
    start: date, days: int, interval: str
) -> None:
    period = date_period(start, start + timedelta(days=days), "UTC")
    expected = {floor_date(start + timedelta(days=n), interval) for n in range(days)}
    assert date_buckets(period, interval) == sorted(expected)


@given(DAYS, st.integers(1, 800))
def test_previous_period_ends_where_the_period_starts(start: date, days: int) -> None:
    period = Period(start, start + timedelta(days=days), "UTC")
    before = comparison_period(period, "previous_period")
    assert before is not None
    assert (before.end, before.days) == (period.start, period.days)


@given(DAYS, st.integers(1, 800))
def test_previous_year_is_never_empty(start: date, days: int) -> None:
    period = Period(start, start + timedelta(days=days), "UTC")
    before = comparison_period(period, "previous_year")
    assert before is not None
    assert before.days >= 1
    assert abs(before.days - period.days) <= 1


NAMES = st.sampled_from([name for name in PERIOD_NAMES if name not in ("yesterday", "all")])


@given(
    st.datetimes(FROM, FROM.replace(year=2040), timezones=st.just(UTC)),
    NAMES,
    st.sampled_from(ZONES),
    st.sampled_from(["previous_period", "previous_year"]),
)
def test_what_still_runs_is_compared_up_to_the_same_time_of_day(
    now: datetime, name: str, timezone: str, comparison: str
) -> None:
    zone = find_zone(timezone)
    period = name_period(name, now, timezone, FIRST_DAY)
    before = comparison_period(period, comparison)
    assert before is not None
    last_day = before.end - ONE_DAY
    until = comparison_end(period, before, now)
    assert day_start(last_day, zone) <= until <= before.end_instant
    here, there = now.astimezone(zone), until.astimezone(zone)
    is_ordinary = all(
        day_start(day + ONE_DAY, zone) - day_start(day, zone) == ONE_DAY
        for day in (here.date(), last_day)
    )
    if is_ordinary:
        assert there.date() == last_day
        assert there.time() == here.time().replace(microsecond=0)


@given(DAYS, st.integers(1, 800), st.integers(0, 10 * 24 * 60), st.sampled_from(ZONES))
def test_what_is_over_is_compared_whole(
    start: date, days: int, later_minutes: int, timezone: str
) -> None:
    period = Period(start, start + timedelta(days=days), timezone)
    before = comparison_period(period, "previous_period")
    assert before is not None
    after = period.end_instant + timedelta(minutes=later_minutes)
    assert comparison_end(period, before, after) == before.end_instant


def test_leap_day_a_year_before() -> None:
    leap_day = Period(date(2024, 2, 29), date(2024, 3, 1), "UTC")
    assert comparison_period(leap_day, "previous_year") == Period(
        date(2023, 2, 28), date(2023, 3, 1), "UTC"
    )
    assert comparison_period(leap_day, "none") is None
    with pytest.raises(ValueError, match="`compare` must be one of"):
        comparison_period(leap_day, "last_week")


@pytest.mark.parametrize(
    ("days", "interval"),
    [(1, "hour"), (2, "hour"), (3, "day"), (92, "day"), (365, "week"), (800, "month")],
)
def test_default_interval_follows_the_length(days: int, interval: str) -> None:
    start = date(2020, 1, 1)
    assert default_interval(Period(start, start + timedelta(days=days), "UTC")) == interval


def test_bounds() -> None:
    day = date(2026, 1, 1)
    with pytest.raises(ValueError, match="`from` must be before `to`"):
        date_period(day, day, "UTC")
    with pytest.raises(ValueError, match="between 1970-01-01 and 2100-01-01"):
        date_period(date(1969, 12, 31), day, "UTC")
    with pytest.raises(ValueError, match="between 1970-01-01 and 2100-01-01"):
        date_period(day, date(2100, 1, 2), "UTC")
    with pytest.raises(ValueError, match="not an IANA timezone"):
        date_period(day, day + ONE_DAY, "Nowhere/Land")
    with pytest.raises(ValueError, match="not an IANA timezone"):
        find_zone("../etc/passwd")
    with pytest.raises(ValueError, match="needs its offset"):
        local_date(datetime(2026, 1, 1), find_zone("UTC"))  # noqa: DTZ001
    with pytest.raises(ValueError, match="`interval` must be one of"):
        date_buckets(date_period(day, day + ONE_DAY, "UTC"), "minute")
    with pytest.raises(ValueError, match=f"more than {BUCKET_LIMIT} points"):
        hour_buckets(date_period(day, date(2027, 1, 1), "UTC"))
    with pytest.raises(ValueError, match=f"more than {BUCKET_LIMIT} points"):
        date_buckets(date_period(date(1970, 1, 1), day, "UTC"), "day")
