"""The lake in a bucket: written, published and read there as in a folder."""

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from analytics import open_lake
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.verification import run_verify
from tests.factories.rows import make_tenant
from tests.factories.sales import add_product, cancel, day, place, selling
from tests.fixtures.lake import new_lake, now, published
from tests.fixtures.object_store import Bucket
from tests.fixtures.stores import Database


def in_bucket(database: Database, bucket: Bucket) -> LakeContext:
    """The lake of a bucket, as a worker process opens it."""
    return LakeContext(
        database.exporter_engine, bucket.lake_url, 200_000, storage_options=bucket.options
    )


@pytest.fixture
def lake(database: Database, bucket: Bucket, tmp_path: Path) -> LakeContext:
    """An empty lake in a bucket."""
    new_lake(database, tmp_path)
    return in_bucket(database, bucket)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of an analyst."""
    monkeypatch.setenv("SHOP_DATA_DIR", str(tmp_path / "analyst"))
    return tmp_path / "analyst"


def sell(database: Database, tenant_id: UUID, first_number: int = 0) -> list[UUID]:
    with selling(database, tenant_id) as work:
        product = add_product(work, "Thing")
        return [place(work, first_number + n, day(20 * n), product_id=product) for n in range(3)]


def test_a_lake_in_a_bucket_is_exported_published_read_and_tidied(
    database: Database, tenant_id: UUID, lake: LakeContext, bucket: Bucket, folder: Path
) -> None:
    [first, *_] = sell(database, tenant_id)
    sell(database, make_tenant(database))
    assert run_export(lake, now()).state == "published"
    with open_lake(str(tenant_id), bucket.lake_url, bucket.options) as opened:
        assert opened.snapshot == published(lake)
        dashboard = opened.dashboard(period="all")
        assert dashboard["orders"]["total"] == 3
        total = opened.scan("orders").select(pl.sum("total")).collect().item()
        assert total == Decimal("74.25")
        assert opened.relation("orders").sum("total").fetchall() == [(total,)]
        assert opened.sql("SELECT sum(total) AS t FROM orders") == [{"t": total}]

        with selling(database, tenant_id) as work:
            cancel(work, first, day(90))
        assert run_export(lake, now()).state == "published"
        # pinned
        assert opened.dashboard(period="all") == dashboard
        assert opened.scan("orders").filter(pl.col("status") == "cancelled").collect().is_empty()
    with open_lake(str(tenant_id), bucket.lake_url, bucket.options) as later:
        assert later.sql("SELECT count(*) AS n FROM orders WHERE status = 'cancelled'") == [
            {"n": 1}
        ]
    assert run_compact(lake, now()).state in ("idle", "published")
    assert run_verify(lake, now()).differences == []
