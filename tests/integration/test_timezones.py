"""A tenant's days are those of the package tzdata, whatever zones the host and the engines know."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from marshmallow import ValidationError
from sqlalchemy import select

from analytics.periods import find_zone, local_date
from analytics.tenant_lake import open_lake as open_analysts_lake
from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.kernel.timezones import timezones
from shop_api.models import orders
from shop_api.web.fields import Timezone
from tests.factories.rows import make_tenant
from tests.factories.sales import cancel, place, refund, selling
from tests.fixtures.lake import new_lake, now, rows
from tests.fixtures.stores import Database

HOUR, ONE_DAY = timedelta(hours=1), timedelta(days=1)

# Zones whose clocks the editions of the database tell differently (Vancouver and Casablanca stay on
# one time from 2026 on), whose clocks move at midnight or by half an hour, which are off the hour,
# which skipped a date, and whose names Postgres takes for abbreviations.
INSTANTS = {
    "America/Vancouver": datetime(2026, 11, 20, tzinfo=UTC),
    "Africa/Casablanca": datetime(2026, 11, 20, tzinfo=UTC),
    "America/Sao_Paulo": datetime(2018, 11, 4, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 12, tzinfo=UTC),
    "Asia/Kathmandu": datetime(2026, 7, 10, 12, tzinfo=UTC),
    "Pacific/Apia": datetime(2011, 12, 30, tzinfo=UTC),
    "CET": datetime(2026, 7, 10, 12, tzinfo=UTC),
    "WET": datetime(2026, 7, 10, 12, tzinfo=UTC),
}


@pytest.mark.parametrize(
    "name", ["Factory", "localtime", "posixrules", "posix/UTC", "right/UTC", "Mars/Olympus", ""]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Timezone().deserialize(name)


def test_every_zone_of_a_tenant_has_its_clocks_told() -> None:
    """By tzdata, and to imports, which read local times, by Polars."""
    assert {"UTC", "Europe/Rome", "Asia/Kathmandu", "America/Sao_Paulo"} <= timezones()
    wall = pl.Series([datetime(2020, 7, 1, 12, 34)])  # noqa: DTZ001 - a time on the wall
    for name in timezones():
        local = wall[0].replace(tzinfo=find_zone(name))
        assert wall.dt.replace_time_zone(name).dt.convert_time_zone("UTC")[0] == local, name


def sell_around(database: Database, zone: str) -> UUID:
    """A shop with a sale at half past each of 24 hours, one cancelled, one refunded."""
    tenant_id = make_tenant(database, timezone=zone)
    start = INSTANTS[zone]
    with selling(database, tenant_id) as work:
        sold = [place(work, n, start + (n - 0.5) * HOUR) for n in range(1, 25)]
        cancel(work, sold[2], start + 20 * HOUR)
        refund(work, sold[4], start + 22 * HOUR, Decimal(1))
    return tenant_id


@pytest.mark.parametrize("zone", INSTANTS)
def test_all_that_cuts_days_cuts_the_same(database: Database, tmp_path: Path, zone: str) -> None:
    tenant_id = sell_around(database, zone)
    lake = new_lake(database, tmp_path)
    run_export(lake, now())
    with database.exporter_engine.connect() as connection:
        query = select(orders.c.placed_at).where(orders.c.tenant_id == tenant_id)
        placed = list(connection.execute(query).scalars())
    on_day = Counter(local_date(at, find_zone(zone)) for at in placed)
    rollup = rows(lake, "daily_sales").filter(
        pl.col("tenant_id") == str(tenant_id), pl.col("basis") == "order_date"
    )
    counted = pl.col("orders") + pl.col("cancelled_orders")
    assert dict(rollup.select("day", counted).rows()) == on_day
    found = run_verify(lake, now())
    assert [d for d in found.differences if d.tenant_id == str(tenant_id)] == []
    check_answers(lake, tenant_id, zone)


def check_answers(lake: LakeContext, tenant_id: UUID, zone: str) -> None:
    """Each day's figure is the sum of its hours, and the same from the rollup and from facts."""
    first = INSTANTS[zone].date() - ONE_DAY
    span = {"start": first, "end": first + 4 * ONE_DAY, "compare": "none"}
    with open_analysts_lake(str(tenant_id), lake.location) as opened:
        by_day = opened.revenue(**span, interval="day", basis="event_date")
        by_hour = opened.revenue(**span, interval="hour", basis="event_date")
    assert by_day["metrics"] == by_hour["metrics"]
    assert sum(point["units"] for point in by_day["series"]) == 23 * 2
    hours = Counter[date]()
    for point in by_hour["series"]:
        start = datetime.fromisoformat(point["date"])
        hours[local_date(start, find_zone(zone))] += point["units"]
    units = {point["date"]: point["units"] for point in by_day["series"]}
    assert {day.isoformat(): n for day, n in hours.items() if n} == {
        day: n for day, n in units.items() if n
    }


def test_the_hosts_zones_do_not_matter(tmp_path: Path) -> None:
    """A host whose files say that Vancouver's clocks are those of UTC."""
    file = tmp_path / "America" / "Vancouver"
    file.parent.mkdir()
    file.write_bytes((files("tzdata") / "zoneinfo" / "UTC").read_bytes())
    program = (
        "from datetime import date; from zoneinfo import ZoneInfo;"
        "from analytics.periods import day_start, find_zone;"
        "day = date(2026, 7, 1); name = 'America/Vancouver';"
        "print(*(day_start(day, z).hour for z in (ZoneInfo(name), find_zone(name))))"
    )
    environment = {**os.environ, "PYTHONTZPATH": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["0", "7"]
