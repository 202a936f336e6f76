"""Instants to the local days they belong to, by the edges of days that analytics/periods.py makes.

Belongs here: looking instants up among edges. Does not: where a day begins (analytics/periods.py).
Polars has a time-zone database of its own, so it compares instants here and converts none.
"""

from datetime import date, datetime
from functools import lru_cache

import polars as pl

from analytics.periods import day_starts
from pipelines.frames import DATE, INSTANT

# What an import takes.
FIRST_YEAR, LAST_YEAR = 1900, 2199


def local_day(instant: pl.Expr, timezone: str) -> pl.Expr:
    """The day of a timezone that each instant belongs to: the one it begins or lies in."""
    return instant.map_batches(
        lambda instants: _local_days(instants, timezone), return_dtype=DATE, is_elementwise=True
    )


def _local_days(instants: pl.Series, timezone: str) -> pl.Series:
    first, last = instants.dt.min(), instants.dt.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return instants.cast(DATE)  # nothing but NULL
    if first.year < FIRST_YEAR or last.year > LAST_YEAR:
        raise pl.exceptions.OutOfBoundsError(
            f"{instants.name} is from {first} to {last},"
            f" and days are of the years {FIRST_YEAR} to {LAST_YEAR}"
        )
    years = range(first.year, last.year + 1)
    edges = pl.concat([_edges_of_year(year, timezone) for year in years])
    edges = edges.unique("start", keep="last", maintain_order=True)
    place = edges["start"].search_sorted(instants, side="right").cast(pl.Int64) - 1
    return edges["day"].gather(place.set(instants.is_null(), None)).alias(instants.name)


@lru_cache(maxsize=4_096)
def _edges_of_year(year: int, timezone: str) -> pl.DataFrame:
    """The days on which instants of a year of UTC can fall, and when they start."""
    days = day_starts(date(year - 1, 12, 30), date(year + 1, 1, 2), timezone)
    return pl.DataFrame(days, schema={"day": DATE, "start": INSTANT}, orient="row")
