"""The lake in a bucket: written, published and read there as in a folder."""

import os
import re
import time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from analytics import mirror as mirror_files
from analytics import open_lake
from analytics.contracts import CONTRACTS
from analytics.manifest import read_manifest
from analytics.mirror import KEPT_SECONDS, Mirror
from analytics.store import Store, StoreError
from analytics.tenant_lake import LakeNotFoundError
from pipelines.changeset import begin
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.sinks.delta import ForeignCommitError
from pipelines.verification import run_verify
from tests.factories.rows import make_tenant
from tests.factories.sales import add_product, cancel, day, place, selling
from tests.fixtures.lake import new_lake, now, published
from tests.fixtures.object_store import Bucket
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")


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
    assert run_compact(lake, now()).state == "idle"
    assert run_verify(lake, now()).differences == []


def test_a_right_to_one_tenants_prefixes_is_enough(
    database: Database, tenant_id: UUID, lake: LakeContext, bucket: Bucket, folder: Path
) -> None:
    """The guide's policy: what it allows, and no request beside it."""
    sell(database, tenant_id)
    run_export(lake, now())
    slug = read_manifest(lake.store, str(tenant_id)).slug
    bucket.requests.clear()
    with open_lake(slug, bucket.lake_url, bucket.options) as opened:
        opened.dashboard(period="all")
        opened.customers(period="all")
        for table in CONTRACTS:
            opened.scan(table).collect()
            opened.relation(table).fetchall()
    root = f"/{bucket.name}/shop/lake"
    reads = re.compile(
        rf"{root}/(_lake/snapshot.json|_lake/slugs/{slug}.json|_lake/tenants/{tenant_id}/[^?]+"
        rf"|\w+/tenant_id={tenant_id}/[^?]+)"
    )
    beside = [
        (method, path)
        for method, path in bucket.requests
        if not (method in ("GET", "HEAD") and reads.fullmatch(path))
        and not (
            method in ("PUT", "DELETE") and path.startswith(f"{root}/_lake/leases/{tenant_id}/")
        )
    ]
    # S3's request that deletes the lease by its key, which needs the right to that key
    assert beside == [("POST", f"/{bucket.name}")]
    assert any("/orders/tenant_id=" in path for _, path in bucket.requests)


def test_of_two_writers_of_a_bucket_one_is_refused(
    database: Database, tenant_id: UUID, lake: LakeContext, bucket: Bucket
) -> None:
    sell(database, tenant_id)
    run_export(lake, now())
    one, other = (begin(in_bucket(database, bucket), None, now()) for _ in range(2))
    for changeset in (one, other):
        changeset.remove_tenant(str(tenant_id))
    one.commit(1)
    with pytest.raises(ForeignCommitError):
        other.commit(1)
    # nobody published it: the next run takes it back
    assert run_verify(lake, now()).differences == []


def test_a_bucket_that_is_away_is_told_of_soon() -> None:
    options = {"aws_endpoint_url": "http://127.0.0.1:1", "aws_allow_http": "true"}
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "aws_region": "us-east-1"}
    began = time.monotonic()
    with pytest.raises(StoreError):
        Store("s3://nothing/lake", options | keys).write("a.json", b"{}")
    assert time.monotonic() - began < 10
    with pytest.raises(LakeNotFoundError) as told:
        open_lake("acme", "s3://nothing/lake", options | keys)
    assert "Nothing listens there: is the object store up" in str(told.value)
    assert "Debug source" not in str(told.value)
    with pytest.raises(LakeNotFoundError, match="Name options as Polars does: aws_region"):
        open_lake("acme", "s3://nothing/lake", {"region_of_aws": "x"})


def test_a_mirror_leaves_what_somebody_begins_to_read(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(bucket.lake_url, bucket.options)
    uris = [store.uri(f"orders/{name}.parquet") for name in "ab"]
    for uri in uris:
        store.write(store.key(uri), b"x" * 100)
    mirror = Mirror(store, tmp_path, limit_bytes=0)
    look = mirror_files._files

    def look_and_be_overtaken(folder: Path) -> list[mirror_files._File]:
        found = list(look(folder))
        for file in found:
            os.utime(file.path)
        return found

    try:
        with mirror.held(uris[:1]) as local:
            path = Path(local[uris[0]])
        long_ago = time.time() - KEPT_SECONDS - 100
        os.utime(path, (long_ago, long_ago))
        monkeypatch.setattr(mirror_files, "_files", look_and_be_overtaken)
        with mirror.held(uris[1:]):
            assert path.exists()
    finally:
        mirror.close()


def test_a_mirror_keeps_what_was_read_last(bucket: Bucket, tmp_path: Path) -> None:
    store = Store(bucket.lake_url, bucket.options)
    for name in "abc":
        store.write(f"orders/{name}.parquet", name.encode() * 100)
    uris = {name: store.uri(f"orders/{name}.parquet") for name in "abc"}
    mirror = Mirror(store, tmp_path, limit_bytes=250)
    other = Mirror(store, tmp_path, limit_bytes=250)
    try:
        paths = {}
        for age, name in enumerate("ab"):
            with mirror.held([uris[name]]) as local:
                paths[name] = Path(local[uris[name]])
                assert paths[name].read_bytes() == name.encode() * 100
            long_ago = time.time() - KEPT_SECONDS - 100 + age
            os.utime(paths[name], (long_ago, long_ago))
        bucket.requests.clear()
        # who holds a file is safe from itself, however old it looks
        with mirror.held([uris["a"]]), mirror.held([uris["c"]]):
            assert paths["a"].exists()
            assert not paths["b"].exists()
        assert [path.rsplit("/", 1)[1] for _, path in bucket.requests] == ["c.parquet"]
        # what was just read is safe from other processes, too
        with other.held([uris["b"]]) as local:
            assert paths["a"].exists()
            assert Path(local[uris["b"]]).read_bytes() == b"b" * 100
        with pytest.raises(FileNotFoundError), other.held([store.uri("orders/nothing.parquet")]):
            pass
        assert not list(tmp_path.rglob("*.part"))
    finally:
        mirror.close()
        other.close()
