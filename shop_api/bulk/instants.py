"""Times of an export to instants.

Belongs here: reading a written time and placing it in a zone. Does not: buckets of days
(analytics/periods.py). An hour that occurs twice is taken at its first occurrence: it keeps its
local day. A time that does not exist moves forward by the gap, as if the clock had not yet changed.
"""

from datetime import datetime

import polars as pl

EARLIEST = datetime(1900, 1, 1)  # noqa: DTZ001 - compared with UTC without its label
LATEST = datetime(2200, 1, 1)  # noqa: DTZ001
ISO_NAIVE = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")
ISO_WITH_OFFSET = "%Y-%m-%d %H:%M:%S%.f%#z"
OFFSET = r"(?:Z|z|[+-]\d\d:?\d\d)$"
OFFSET_DIRECTIVES = ("%z", "%:z")


def to_utc(text: pl.Expr, zone: str, time_format: str | None) -> pl.Expr:
    """The instant (UTC, zone stripped) of each text; null where it is none.

    `time_format` first, then ISO 8601, with an offset or without; without one the time is local to
    `zone`.
    """
    stripped = text.str.strip_chars()
    iso = stripped.str.replace("T", " ", literal=True)
    naive = [_parsed(iso, written) for written in ISO_NAIVE]
    with_offset = pl.when(stripped.str.contains(OFFSET)).then(_numeric_offset(iso))
    aware = [_parsed_in_utc(with_offset, ISO_WITH_OFFSET)]
    if time_format and _has_offset(time_format):
        aware.insert(0, _parsed_in_utc(_numeric_offset(stripped), time_format))
    elif time_format:
        naive.insert(0, _parsed(stripped, time_format))
    instant = pl.coalesce(*aware, localise(pl.coalesce(*naive), zone))
    return pl.when(instant.is_between(EARLIEST, LATEST, closed="left")).then(instant)


def _has_offset(time_format: str) -> bool:
    plain = time_format.replace("%%", "")
    return any(directive in plain for directive in OFFSET_DIRECTIVES)


def _numeric_offset(text: pl.Expr) -> pl.Expr:
    """A Z at the end as the offset it stands for, which the directives read."""
    return text.str.replace(r"[Zz]$", "+00:00")


def _parsed(text: pl.Expr, written: str) -> pl.Expr:
    return text.str.to_datetime(written, time_unit="us", strict=False)


def _parsed_in_utc(text: pl.Expr, written: str) -> pl.Expr:
    aware = text.str.to_datetime(written, time_unit="us", time_zone="UTC", strict=False)
    return aware.dt.replace_time_zone(None)


def localise(naive: pl.Expr, zone: str) -> pl.Expr:
    """The instant (UTC, zone stripped) of local times of `zone`."""

    def in_utc(local: pl.Expr) -> pl.Expr:
        placed = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        return placed.dt.convert_time_zone("UTC").dt.replace_time_zone(None)

    # a day earlier the clock had not changed yet: its offset carries over the gap
    return pl.coalesce(in_utc(naive), in_utc(naive - pl.duration(days=1)) + pl.duration(days=1))
