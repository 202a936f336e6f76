"""Migrators take turns, give way to traffic, and change all or nothing."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config

from shop_api.db.migrate import alembic_config, migrate, newest_revision, upgrade
from tests.architecture.sources import ROOT
from tests.fixtures.stores import Server
from tests.migrations.databases import empty_database, tables


def start_migrator(url: str) -> subprocess.Popen[str]:
    program = f"from shop_api.db.migrate import migrate; migrate({url!r})"
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )


def revision(server: Server, name: str) -> list[str]:
    with psycopg.connect(server.url(name)) as connection:
        return [v for (v,) in connection.execute("SELECT version_num FROM alembic_version")]


def test_migrators_started_together_take_turns(server: Server) -> None:
    with empty_database(server) as (name, url):
        migrators = [start_migrator(url) for _ in range(3)]
        for migrator in migrators:
            _, errors = migrator.communicate(timeout=60)
            assert migrator.returncode == 0, errors
        assert revision(server, name) == [newest_revision()]


@pytest.fixture
def next_revision(tmp_path: Path) -> Path:
    """A copy of the history with one more revision; its text is the test's to write."""
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    head = newest_revision()
    path = tmp_path / "migrations" / "versions" / f"{int(head) + 1:04}_try_something.py"
    path.write_text(
        f"from alembic import op\nrevision = '{int(head) + 1:04}'\ndown_revision = '{head}'\n"
    )
    return path


def append_upgrade(path: Path, body: str) -> None:
    with path.open("a") as revision_file:
        revision_file.write(f"def upgrade():\n{body}\n")


def configuration(url: str, path: Path) -> Config:
    config = alembic_config(url)
    config.set_main_option("script_location", str(path.parents[1]))
    return config


def test_a_held_lock_makes_the_migration_give_way(server: Server, next_revision: Path) -> None:
    append_upgrade(
        next_revision,
        "    op.execute('CREATE TABLE gifts (tenant_id uuid)')\n"
        "    op.execute('ALTER TABLE orders ADD COLUMN gift text')",
    )
    with empty_database(server) as (name, url):
        migrate(url)
        with psycopg.connect(server.url(name)) as traffic:
            traffic.execute("SELECT count(*) FROM orders")  # an open transaction that reads orders
            started = time.monotonic()
            with pytest.raises(RuntimeError, match=r"gave way.*Nothing was changed"):
                upgrade(configuration(url, next_revision))
            assert 4 < time.monotonic() - started < 15
        assert "gifts" not in tables(server, name)
        assert revision(server, name) == [newest_revision()]
        upgrade(configuration(url, next_revision))  # the traffic has gone
        assert "gifts" in tables(server, name)


def test_an_index_can_be_built_beside_the_traffic(server: Server, next_revision: Path) -> None:
    """The form docs/guides/migrations.md gives for indexes on tables in use."""
    append_upgrade(
        next_revision,
        "    with op.get_context().autocommit_block():\n"
        "        op.execute('CREATE INDEX CONCURRENTLY ix_orders_note ON orders (note)')",
    )
    with empty_database(server) as (name, url):
        upgrade(configuration(url, next_revision))
        with psycopg.connect(server.url(name)) as connection:
            valid = connection.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_orders_note'::regclass"
            ).fetchone()
        assert valid == (True,)


def test_without_the_roles_the_migration_says_who_makes_them(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations.tenancy.ROLES", ("shop_migrator", "shop_absent"))
    with empty_database(server) as (name, url):
        with pytest.raises(
            RuntimeError, match=r"roles missing: shop_absent\. Run migrations/roles"
        ):
            migrate(url)
        assert tables(server, name) == set()
