"""A lake whose folder was lost and made anew, for a reader that knew the one before."""

import shutil
from pathlib import Path
from uuid import UUID

from analytics.lake import Lake
from pipelines.runner import run_export, run_rebuild
from tests.factories.sales import day, place, selling
from tests.fixtures.lake import new_lake, now, open_lake, published
from tests.fixtures.stores import Database


def test_a_reader_notices_a_table_made_anew_at_the_same_version(
    database: Database, tenant_id: UUID, tmp_path: Path
) -> None:
    context = new_lake(database, tmp_path / "lake")
    with selling(database, tenant_id) as work:
        place(work, 1, day(0))
    run_export(context, now())
    reader = Lake(context.location)
    before = published(context)
    assert reader.files("orders", before, str(tenant_id))
    shutil.rmtree(context.location)
    run_rebuild(open_lake(database, Path(context.location)), now())
    after = published(context)
    assert after.versions["orders"] == before.versions["orders"]
    files = reader.files("orders", after, str(tenant_id))
    assert files
    assert all(Path(file).exists() for file in files)
