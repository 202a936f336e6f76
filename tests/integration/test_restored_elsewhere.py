"""A database dumped and restored on another server, whose transaction ids are lower."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.db.engines import make_engine
from shop_api.domains.inventory.tasks import FIND_MOVED
from shop_api.settings import Settings
from shop_api.spine.waker import Waker
from shop_api.stack.postgres import EmbeddedPostgres, start_postgres
from tests.factories.sales import add_product, day, place, selling
from tests.fixtures.lake import new_lake, now, open_lake
from tests.fixtures.stores import Database, Server, store_folder

# More transactions than a restore takes.
AHEAD = 20_000


def spend_transactions(database: Database, count: int) -> None:
    """Bring the server's next transaction id forward."""
    database.server.execute(
        f"DO $$ BEGIN FOR i IN 1..{count} LOOP"
        " PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
        database.name,
    )


def next_xid(database: Database) -> int:
    with psycopg.connect(database.server.url(database.name)) as connection:
        row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[EmbeddedPostgres]:
    """A second server."""
    with store_folder() as folder:
        embedded = start_postgres(folder)
        yield embedded
        embedded.stop()


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake."""
    return new_lake(database, tmp_path / "lake")


@pytest.fixture
def restored(
    database: Database, tenant_id: UUID, lake: LakeContext, elsewhere: EmbeddedPostgres
) -> Iterator[Database]:
    """A shop that was exported, on its new server."""
    spend_transactions(database, AHEAD)
    with selling(database, tenant_id) as work:
        add_product(work, "Mug")
        for number in range(1, 6):
            place(work, number, day(number))
    assert run_export(lake, now()).state == "published"
    server = Server(elsewhere.server.get_uri())
    server.execute(f"CREATE DATABASE {database.name}")
    programs = elsewhere.server.bin_path
    dump = subprocess.run(
        [programs / "pg_dump", database.server.url(database.name)],
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(
        [programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", server.url(database.name)],
        input=dump.stdout,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    settings = Settings(_env_file=None, pool_preset="default")
    urls = {role: server.url(database.name, role) for role in ("shop_app", "shop_exporter")}
    copy = replace(
        database,
        server=server,
        application_url=urls["shop_app"],
        exporter_url=urls["shop_exporter"],
        engine=make_engine(urls["shop_app"], settings, statement_timeout_seconds=30),
        exporter_engine=make_engine(urls["shop_exporter"], settings, statement_timeout_seconds=600),
        waker=Waker(urls["shop_app"], database.waker.versions),
    )
    assert next_xid(copy) + AHEAD / 2 < next_xid(database)
    yield copy
    copy.waker.stop()
    copy.engine.dispose()
    copy.exporter_engine.dispose()
    server.execute(f"DROP DATABASE {database.name} WITH (FORCE)")


def export(lake: LakeContext) -> str:
    return run_export(lake, now()).state


def age(database: Database) -> None:
    """Make the snapshot one that is to be confirmed, so that a run looks for changes."""
    with database.exporter_engine.begin() as connection:
        connection.execute(text("UPDATE lake_snapshots SET as_of = now() - interval '1 hour'"))


def test_the_lake_is_made_anew_once_and_then_follows(
    restored: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    there = open_lake(restored, Path(lake.location))
    # at once, though the snapshot is young
    assert export(there) == "published"
    assert export(there) == "idle"
    age(restored)
    assert export(there) == "idle"
    with selling(restored, tenant_id) as work:
        place(work, 6, day(6))
    assert export(there) == "published"
    assert export(there) == "idle"

    # when the server comes to the old ids, nothing is lost and nothing repeats
    spend_transactions(restored, AHEAD)
    with selling(restored, tenant_id) as work:
        place(work, 7, day(7))
    run_export(there, now())
    age(restored)
    assert export(there) == "idle"
    assert run_verify(there, now()).differences == []


def test_an_empty_lake_is_not_made_anew_each_time(database: Database, tmp_path: Path) -> None:
    lake = new_lake(database, tmp_path / "lake")
    run_export(lake, now())
    with database.exporter_engine.begin() as connection:
        connection.execute(text("UPDATE lake_snapshots SET system_identifier = 1"))
    run_export(lake, now())
    with database.exporter_engine.begin() as connection:
        identifier = connection.execute(
            text(
                "SELECT (SELECT system_identifier FROM pg_control_system()), system_identifier"
                " FROM lake_snapshots ORDER BY id DESC LIMIT 1"
            )
        ).one()
    assert identifier[0] == identifier[1]


def test_products_are_not_looked_at_again_and_again(restored: Database) -> None:
    """The cursor of the stock that is left stands where the new server counts."""
    with psycopg.connect(restored.exporter_url) as connection:
        values = {"xid": str(next_xid(restored))}
        assert connection.execute(FIND_MOVED, values).fetchall() == []
