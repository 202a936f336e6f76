"""The history is one line of numbered revisions that only go forward."""

import re
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from shop_api.db.migrate import alembic_config, newest_revision
from tests.architecture.sources import ROOT
from tests.migrations.statements import unsafe_statements

VERSIONS = ROOT / "migrations" / "versions"
REVISIONS = sorted(path for path in VERSIONS.glob("*.py") if path.name != "__init__.py")
# Until here the tables were made; from here on they hold a running shop's rows.
FIRST_ON_A_RUNNING_SHOP = "0009"


def test_files_are_numbered_verb_noun() -> None:
    for path in REVISIONS:
        assert re.fullmatch(r"\d{4}_[a-z]+(_[a-z0-9]+)+\.py", path.name), path.name


def test_each_revision_follows_the_one_before() -> None:
    scripts = ScriptDirectory.from_config(alembic_config(""))
    history = [(s.revision, s.down_revision) for s in scripts.walk_revisions()][::-1]
    numbers = [path.name[:4] for path in REVISIONS]
    assert numbers == [f"{index:04}" for index in range(1, len(numbers) + 1)]
    assert history == list(zip(numbers, [None, *numbers], strict=False))


def test_the_head_file_names_the_newest() -> None:
    """Two branches that both add a revision conflict in this file, not in production."""
    assert (ROOT / "migrations" / "HEAD").read_text().strip() == newest_revision()


@pytest.mark.parametrize("path", REVISIONS, ids=lambda path: path.stem)
def test_a_revision_only_goes_forward(path: Path) -> None:
    """A mistake is corrected by the next revision (docs/guides/migrations.md)."""
    assert "def downgrade" not in path.read_text()


@pytest.mark.parametrize("path", REVISIONS, ids=lambda path: path.stem)
def test_a_revision_does_not_stop_a_running_shop(path: Path) -> None:
    if path.name[:4] >= FIRST_ON_A_RUNNING_SHOP:
        assert unsafe_statements(path.read_text()) == []


CREATED_HERE = "CREATE TABLE gifts (tenant_id UUID); CREATE INDEX ix_gifts ON gifts (tenant_id);"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (CREATED_HERE, 0),
        ("CREATE INDEX ix_orders_note ON orders (tenant_id, note)", 1),
        ("CREATE UNIQUE INDEX uq_orders_note ON orders (note)", 1),
        ("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_orders_note ON orders (note)", 0),
        ("DROP INDEX ix_orders_total", 1),
        ("DROP INDEX CONCURRENTLY ix_orders_total", 0),
        ("ALTER TABLE orders ADD COLUMN gift BOOLEAN", 0),
        ("ALTER TABLE orders ADD COLUMN gift BOOLEAN DEFAULT false NOT NULL", 0),
        ("ALTER TABLE orders ADD COLUMN key UUID DEFAULT gen_random_uuid()", 1),
        ("ALTER TABLE orders ADD COLUMN gift BOOLEAN NOT NULL", 1),
        ("ALTER TABLE orders ALTER COLUMN number TYPE NUMERIC", 1),
        ("ALTER TABLE orders ALTER COLUMN note SET NOT NULL", 1),
        ("ALTER TABLE orders ADD CONSTRAINT ck_x CHECK (total >= 0)", 1),
        ("ALTER TABLE orders ADD CONSTRAINT ck_x CHECK (total >= 0) NOT VALID", 0),
        ("ALTER TABLE orders ADD CONSTRAINT uq_x UNIQUE (note)", 1),
        ("ALTER TABLE orders ADD CONSTRAINT uq_x UNIQUE USING INDEX uq_orders_note", 0),
        ("ALTER TABLE orders RENAME COLUMN note TO remark", 1),
        ("ALTER TABLE orders DROP COLUMN note", 0),
        ("LOCK TABLE orders", 1),
        ("VACUUM FULL orders; CLUSTER orders; TRUNCATE orders", 3),
    ],
)
def test_the_rule_for_statements(text: str, count: int) -> None:
    assert len(unsafe_statements(text)) == count
