"""The process that follows the lake, when Postgres goes away and comes back."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import insert

from analytics.contracts import CONTRACTS
from shop_api.domains.insights.service import Insights, LakeAccess, Profile, keep_until
from shop_api.kernel.errors import DomainError
from shop_api.models import lake_snapshots
from tests.factories import golden_shop
from tests.factories.lake import write_lake
from tests.fixtures.stores import Database

TENANT = UUID(golden_shop.TENANT)


@pytest.fixture
def insights(database: Database, tmp_path: Path) -> Iterator[Insights]:
    following = Insights(database.application_url, database.engine, LakeAccess(str(tmp_path)))
    yield following
    following.close()


def publish(database: Database, folder: Path) -> int:
    """A snapshot of the golden shop, without telling anybody."""
    snapshot = write_lake(folder, {golden_shop.TENANT: golden_shop.TABLES})
    with database.exporter_engine.begin() as connection:
        statement = insert(lake_snapshots).values(
            as_of=snapshot.as_of,
            versions=dict(snapshot.versions),
            xid=1,
            transactions="1:1:",
            system_identifier=1,
        )
        return int(connection.execute(statement.returning(lake_snapshots.c.id)).scalar_one())


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def test_lost_connection_keeps_the_snapshot_and_is_made_anew(
    database: Database, insights: Insights, tmp_path: Path
) -> None:
    with pytest.raises(DomainError, match="lake_not_ready"):
        insights.snapshot()
    first = publish(database, tmp_path)
    wait_until(lambda: insights.current_version(TENANT) is not None)
    assert insights.snapshot().id == first

    database.server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{database.name}' AND query LIKE '%lake_snapshots%'"
        " AND pid <> pg_backend_pid()"
    )
    assert insights.snapshot().id == first
    second = publish(database, tmp_path)
    wait_until(lambda: insights.snapshot().id == second)


def test_snapshot_is_taken_only_when_its_files_can_be_listed(
    database: Database, insights: Insights, tmp_path: Path
) -> None:
    """A row that names a version that is not there leaves readers on the one before."""
    sound = publish(database, tmp_path)
    wait_until(lambda: insights.snapshot().id == sound)
    with database.exporter_engine.begin() as connection:
        connection.execute(
            insert(lake_snapshots).values(
                as_of=datetime.now(UTC),
                versions=dict.fromkeys(CONTRACTS, 999),
                xid=1,
                transactions="1:1:",
                system_identifier=1,
            )
        )
    time.sleep(1.5)
    assert insights.snapshot().id == sound


def test_what_is_current_is_the_same_to_every_process(
    database: Database, insights: Insights, tmp_path: Path
) -> None:
    publish(database, tmp_path)
    other = Insights(database.application_url, database.engine, LakeAccess(str(tmp_path)))
    try:
        assert other.current_version(TENANT) is not None
        wait_until(lambda: insights.current_version(TENANT) == other.current_version(TENANT))
    finally:
        other.close()


def test_kept_for_ten_minutes_and_not_past_midnight() -> None:
    profile = Profile(TENANT, "USD", "America/New_York")
    noon = datetime(2026, 3, 8, 16, 0, tzinfo=UTC)
    assert keep_until(profile, noon, 600) == noon + timedelta(seconds=600)
    late = datetime(2026, 3, 9, 3, 59, 30, tzinfo=UTC)
    assert keep_until(profile, late, 600) == datetime(2026, 3, 9, 4, 0, tzinfo=UTC)
