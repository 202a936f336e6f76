"""When the demo shop sells: weekdays, seasons, growth and hours.

Belongs here: drawing the instants of orders. Does not: what is in them (history.py).
"""

from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

DAYS = 548
# Monday first
WEEKDAYS = (0.92, 0.88, 0.92, 1.0, 1.15, 1.35, 1.08)
# January first
MONTHS = (0.82, 0.8, 0.9, 0.95, 1.0, 0.98, 0.9, 0.88, 1.0, 1.05, 1.4, 1.65)
GROWTH = 0.9
BLACK_FRIDAY = 2.6
WEB_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 9, 10, 11, 12, 13, 12, 11, 11, 12, 13, 15, 18, 20, 18, 11, 5)
STORE_HOURS = (0,) * 9 + (4, 8, 11, 13, 12, 10, 11, 13, 14, 11, 6) + (0,) * 4
WEB_SHARE = 0.68

Sale = tuple[datetime, str]


def draw_sales(rng: Random, count: int, now: datetime, zone_name: str) -> list[Sale]:
    """`count` instants before `now` with the channel of each, oldest first."""
    zone = ZoneInfo(zone_name)
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=DAYS - i) for i in range(DAYS + 1)]
    weights = list(accumulate(_weight(day, i / DAYS) for i, day in enumerate(days)))
    channels = {
        "web": list(accumulate(WEB_HOURS)),
        "pos": list(accumulate(STORE_HOURS)),
    }
    hours = range(24)
    sales: list[Sale] = []
    while len(sales) < count:
        day = rng.choices(days, cum_weights=weights)[0]
        channel = "web" if rng.random() < WEB_SHARE else "pos"
        hour = rng.choices(hours, cum_weights=channels[channel])[0]
        local = datetime.combine(
            day,
            time(hour, rng.randrange(60), rng.randrange(60), rng.randrange(1_000_000)),
            zone,
        )
        instant = local.astimezone(UTC)
        if instant < now:
            sales.append((instant, channel))
    return sorted(sales)


def _weight(day: date, progress: float) -> float:
    is_black_friday = day.month == 11 and day.weekday() == 4 and 23 <= day.day <= 29
    return (
        WEEKDAYS[day.weekday()]
        * MONTHS[day.month - 1]
        * (1 + GROWTH * progress)
        * (BLACK_FRIDAY if is_black_friday else 1.0)
    )
