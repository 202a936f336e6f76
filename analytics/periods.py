"""Days, periods and buckets in a tenant's timezone: the one place that knows where a day begins.

Belongs here: period names, half-open ranges, comparison periods, bucket edges. Does not: what is
summed over them (queries) and the clock (`now` is an argument). A day is a local date; its instants
run from the first instant of that date to the first of the next, so it has 23 or 25 hours when
clocks change, and begins at 01:00 where midnight is skipped.

What the clocks of a zone do is told by the package tzdata alone. The databases of the host, Python,
Polars, DuckDB and Postgres are of other editions; engines are handed instants made here and compare
them, and never convert to local time themselves.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

PeriodName = Literal["today", "yesterday", "7d", "30d", "90d", "365d", "mtd", "qtd", "ytd", "all"]
Interval = Literal["hour", "day", "week", "month"]
Comparison = Literal["previous_period", "previous_year", "none"]

PERIOD_NAMES: tuple[str, ...] = get_args(PeriodName)
INTERVALS: tuple[str, ...] = get_args(Interval)
COMPARISONS: tuple[str, ...] = get_args(Comparison)

FIRST_DATE = date(1970, 1, 1)
LAST_DATE = date(2100, 1, 1)
# Most points of one series: 13 years of days, 208 days of hours.
BUCKET_LIMIT = 5_000
# The coarsest interval that still draws a line, by the length of the period.
HOUR_DAYS, DAY_DAYS, WEEK_DAYS = 2, 92, 731

ONE_DAY = timedelta(days=1)


class BadParameter(ValueError):
    """A value that cannot be answered for; `parameter` is its name where clients give it."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Period:
    """The local dates [start, end) of a timezone."""

    start: date
    end: date
    timezone: str

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def last_day(self) -> date:
        """The last day inside: `start` of a period of no days."""
        return max(self.start, self.end - timedelta(days=1))

    @property
    def start_instant(self) -> datetime:
        return day_start(self.start, find_zone(self.timezone))

    @property
    def end_instant(self) -> datetime:
        return day_start(self.end, find_zone(self.timezone))


@cache
def _zone_names() -> frozenset[str]:
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


@cache
def find_zone(name: str) -> ZoneInfo:
    """The IANA timezone of that name, whatever zone files the host has."""
    if name not in _zone_names():
        raise BadParameter("timezone", f"`{name}` is not an IANA timezone")
    with (files("tzdata") / "zoneinfo" / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """The date on the wall at that instant."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs its offset")
    return instant.astimezone(zone).date()


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local date, in UTC: midnight, or the moment clocks jump over it."""
    return hour_start(day, 0, zone)


def hour_start(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, at which the clocks of a local date show an hour, or have jumped
    over it."""
    shown = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    start = shown.astimezone(UTC)
    if start.astimezone(zone).replace(tzinfo=None) == shown.replace(tzinfo=None):
        return start
    # It is skipped; reading it with the offset after the jump lands before the jump.
    early = shown.replace(fold=1).astimezone(UTC)
    return _jump_over(shown.replace(tzinfo=None), zone, early, start)


def _jump_over(shown: datetime, zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The jump between an instant before what clocks never show and one after it, to the second, by
    halving."""
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).replace(tzinfo=None) < shown:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def day_starts(start: date, end: date, timezone: str) -> list[tuple[date, datetime]]:
    """Each local date from `start` to `end`, both included, with its first instant in UTC.

    A date that the zone skipped has no instant and is left out.
    """
    zone = find_zone(timezone)
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    # of dates that would begin together only the last has instants
    by_start = {day_start(day, zone): day for day in days}
    return [(day, instant) for instant, day in by_start.items()]


class Stretch(NamedTuple):
    """Instants of one local day that share an offset from UTC: [start, end)."""

    day: date
    start: datetime
    end: datetime
    offset_seconds: int


def clock_stretches(period: Period) -> list[Stretch]:
    """The period cut where days begin and where clocks move, in order.

    Clocks move once a day at most: of all zones since 1970 none moved twice within two days.
    """
    zone = find_zone(period.timezone)
    days = day_starts(period.start, period.end - ONE_DAY, period.timezone)
    ends = [start for _, start in days[1:]] + [period.end_instant]
    stretches: list[Stretch] = []
    for (day, start), end in zip(days, ends, strict=True):
        if start >= end:
            continue
        move = _first_move(start, end, zone)
        edges = [start, end] if move is None else [start, move, end]
        for first, after in pairwise(edges):
            stretches.append(Stretch(day, first, after, _offset_seconds(first, zone)))
    return stretches


def _first_move(start: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """When clocks move after `start` and before `end`, to the second, by halving."""
    low, high = int(start.timestamp()), int(end.timestamp()) - 1
    offset = _offset_seconds(start, zone)
    if _offset_seconds(datetime.fromtimestamp(high, UTC), zone) == offset:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_seconds(datetime.fromtimestamp(middle, UTC), zone) == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _offset_seconds(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def name_period(name: str, now: datetime, timezone: str, first_day: date) -> Period:
    """The period a name means at `now`. It includes today; `all` starts on `first_day`."""
    today = local_date(now, find_zone(timezone))
    tomorrow = today + ONE_DAY
    if name == "today":
        return Period(today, tomorrow, timezone)
    if name == "yesterday":
        return Period(today - ONE_DAY, today, timezone)
    if name in ("7d", "30d", "90d", "365d"):
        return Period(tomorrow - timedelta(days=int(name[:-1])), tomorrow, timezone)
    if name == "mtd":
        return Period(today.replace(day=1), tomorrow, timezone)
    if name == "qtd":
        quarter_month = today.month - (today.month - 1) % 3
        return Period(today.replace(month=quarter_month, day=1), tomorrow, timezone)
    if name == "ytd":
        return Period(today.replace(month=1, day=1), tomorrow, timezone)
    if name == "all":
        return Period(min(first_day, today), tomorrow, timezone)
    raise BadParameter("period", f"`period` must be one of {', '.join(PERIOD_NAMES)}")


def date_period(start: date, end: date, timezone: str) -> Period:
    """The dates [start, end), checked."""
    if start >= end:
        raise BadParameter("from", "`from` must be before `to`: the day `to` is not in the period")
    if start < FIRST_DATE or end > LAST_DATE:
        raise BadParameter("from", f"`from` and `to` must lie between {FIRST_DATE} and {LAST_DATE}")
    find_zone(timezone)
    return Period(start, end, timezone)


def comparison_period(period: Period, comparison: str) -> Period | None:
    """The period to compare with: as many days directly before, or the same dates a year before."""
    if comparison == "none":
        return None
    if comparison == "previous_period":
        return Period(period.start - timedelta(days=period.days), period.start, period.timezone)
    if comparison == "previous_year":
        return Period(
            _year_before(period.start, is_end=False),
            _year_before(period.end, is_end=True),
            period.timezone,
        )
    raise BadParameter("compare", f"`compare` must be one of {', '.join(COMPARISONS)}")


def comparison_end(period: Period, before: Period, now: datetime) -> datetime:
    """The instant until which `before` is compared, so that like is compared with like.

    While the last day of the period runs, it is the same time of day on the last day of `before`,
    to the second; else its end.
    """
    zone = find_zone(period.timezone)
    local = now.astimezone(zone)
    if local.date() != period.end - ONE_DAY:
        return before.end_instant
    last_day = before.end - ONE_DAY
    same_time = datetime.combine(last_day, local.timetz().replace(microsecond=0))
    # where clocks jump over that time or the whole day, never out of it
    return min(max(same_time.astimezone(UTC), day_start(last_day, zone)), before.end_instant)


def _year_before(day: date, *, is_end: bool) -> date:
    """29 February has no counterpart: a start moves to the 28th, an exclusive end to 1 March."""
    if (day.month, day.day) == (2, 29):
        return date(day.year - 1, 3, 1) if is_end else date(day.year - 1, 2, 28)
    return day.replace(year=day.year - 1)


def default_interval(period: Period) -> Interval:
    """Hours for up to 2 days, days for up to a quarter, weeks for up to 2 years, then months."""
    if period.days <= HOUR_DAYS:
        return "hour"
    if period.days <= DAY_DAYS:
        return "day"
    return "week" if period.days <= WEEK_DAYS else "month"


def floor_date(day: date, interval: str) -> date:
    """The first date of the day's bucket: the Monday, or the first of the month."""
    if interval == "month":
        return day.replace(day=1)
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day


def date_buckets(period: Period, interval: str) -> list[date]:
    """The first date of every day, ISO week or month that has days in the period."""
    if interval not in ("day", "week", "month"):
        raise BadParameter("interval", f"`interval` must be one of {', '.join(INTERVALS)}")
    _check_bucket_count(period, interval)
    buckets = [floor_date(period.start, interval)]
    while (following := _next_bucket(buckets[-1], interval)) < period.end:
        buckets.append(following)
    return buckets


def _next_bucket(bucket: date, interval: str) -> date:
    if interval == "month":
        return (bucket + timedelta(days=31)).replace(day=1)
    return bucket + timedelta(days=7 if interval == "week" else 1)


def bucket_starts(period: Period, interval: str) -> list[datetime]:
    """The first instant in UTC of what each bucket has of the period, in order.

    A bucket ends where the next one starts, the last with the period. Where the zone skipped a
    date, its bucket is empty: it starts together with the next.
    """
    if interval == "hour":
        return [bucket.astimezone(UTC) for bucket in hour_buckets(period)]
    zone = find_zone(period.timezone)
    return [day_start(max(bucket, period.start), zone) for bucket in date_buckets(period, interval)]


def hour_buckets(period: Period) -> list[datetime]:
    """The first instant of every local clock hour of the period, with its offset.

    An hour that occurs twice is two buckets, told apart by the offset; one that is skipped is none.
    Where clocks move by half an hour, the hour they move in is two buckets, or a short one.
    """
    _check_bucket_count(period, "hour")
    zone = find_zone(period.timezone)
    cursor, end = period.start_instant, period.end_instant
    buckets: list[datetime] = []
    last: tuple[datetime, timedelta | None] | None = None
    while cursor < end:
        local = cursor.astimezone(zone)
        key = hour_key(local)
        if key != last:
            buckets.append(local)
            last = key
        minutes_left = 60 - local.minute
        cursor += timedelta(minutes=1 if _moves(local, minutes_left) else minutes_left)
    return buckets


def hour_key(local: datetime) -> tuple[datetime, timedelta | None]:
    """What makes a clock hour one bucket: the hour on the wall, and the offset it is read with."""
    return local.replace(minute=0, second=0, microsecond=0, tzinfo=None), local.utcoffset()


def _moves(local: datetime, minutes: int) -> bool:
    """Whether clocks change within the next minutes, or exactly at their end."""
    later = (local.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(local.tzinfo)
    return later.utcoffset() != local.utcoffset()


def _check_bucket_count(period: Period, interval: str) -> None:
    per_day = {"hour": 24.0, "day": 1.0, "week": 1 / 7, "month": 1 / 31}[interval]
    if period.days * per_day > BUCKET_LIMIT:
        raise BadParameter(
            "interval",
            f"the period has more than {BUCKET_LIMIT} points: ask for a longer `interval` or a"
            " shorter period",
        )
