"""How a rebuild reads Postgres: in parts, by ranges of ids, and what a run need not read."""

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.context import LakeContext
from pipelines.frames import TEXT
from pipelines.runner import run_export, run_rebuild
from pipelines.sources import customers, orders, reader
from pipelines.sources.reader import one_instant
from pipelines.verification import run_verify
from tests.factories.rows import make_tenant
from tests.factories.sales import (
    add_customer,
    cancel,
    change_order,
    day,
    pay,
    place,
    refund,
    selling,
)
from tests.fixtures.lake import everything, new_lake, now, published, rows
from tests.fixtures.stores import Database

NUMBERS = "SELECT n FROM generate_series(1, 1000000) n"


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> LakeContext:
    """An empty lake, whose tenants are cut by month."""
    return new_lake(database, tmp_path / "lake", month_rows=0)


def test_ranges_and_parts_give_the_rows_that_joins_and_wholes_give(
    database: Database, tenant_id: UUID, lake: LakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with selling(database, tenant_id) as work:
        buyers = [add_customer(work) for _ in range(5)]
        for number in range(12):
            # months take turns, so that the ids of each span all of them
            placed_at = day(31 * (number % 3))
            order = place(work, number + 1, placed_at, customer_id=buyers[number % 4])
            pay(work, order, Decimal(number))
    asked: list[str] = []
    frame = reader.Reader.frame

    def told(self: reader.Reader, query: str, *arguments: object) -> object:
        asked.append(query)
        return frame(self, query, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reader.Reader, "frame", told)
    monkeypatch.setattr(orders, "DENSE_RATIO", 0)
    run_rebuild(lake, now())
    before = everything(lake)
    assert not any("BETWEEN" in query for query in asked)
    assert before["order_lines"].height >= 12
    monkeypatch.setattr(orders, "DENSE_RATIO", 100)
    monkeypatch.setattr(customers, "CHUNK_ROWS", 2)
    monkeypatch.setattr(reader, "PARSED_ROWS", 3)
    asked.clear()
    run_rebuild(lake, now())
    assert any("BETWEEN" in query for query in asked)
    for table, after in everything(lake).items():
        assert_frame_equal(before[table], after)


def test_a_run_leaves_customers_whose_orders_count_as_they_did(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    with selling(database, tenant_id) as work:
        buyer, other = add_customer(work), add_customer(work)
        order = place(work, 1, day(0), customer_id=buyer)
    run_export(lake, now())

    def known() -> dict[str, tuple[int, object]]:
        of_all = rows(lake, "dim_customers").select("customer_id", "orders", "last_order_at")
        return {id_: (orders, last) for id_, orders, last in of_all.rows()}

    version = published(lake).versions["dim_customers"]
    with selling(database, tenant_id) as work:
        change_order(work, order, channel="pos")
    assert run_export(lake, now()).rows_written["orders"] > 0
    assert published(lake).versions["dim_customers"] == version
    assert known()[str(buyer)] == (1, day(0))
    # moved in time, to somebody else, and cancelled: each tells something else of customers
    for change, of_buyer, of_other in (
        ({"placed_at": day(1)}, (1, day(1)), (0, None)),
        ({"customer_id": other}, (0, None), (1, day(1))),
    ):
        with selling(database, tenant_id) as work:
            change_order(work, order, **change)
        run_export(lake, now())
        assert (known()[str(buyer)], known()[str(other)]) == (of_buyer, of_other)
    worth = pl.col("net_sales", "last_moved_at")
    before = rows(lake, "dim_customers").filter(orders=1).select(worth).row(0)
    with selling(database, tenant_id) as work:
        refund(work, order, day(3), Decimal(4), tax=Decimal(1), shipping=Decimal(2))
    run_export(lake, now())
    after = rows(lake, "dim_customers").filter(orders=1).select(worth).row(0)
    assert after == (before[0] - 4, day(3))
    with selling(database, tenant_id) as work:
        cancel(work, order, day(4))
    run_export(lake, now())
    assert known()[str(other)] == (0, None)
    worthless = rows(lake, "dim_customers").filter(customer_id=str(other)).select(worth).row(0)
    assert worthless == (Decimal(0), day(4))
    assert run_verify(lake, now()).differences == []


def test_reading_that_is_given_up_leaves_the_transaction_fit(database: Database) -> None:
    """Whose data a run failed on is looked for in it, at the same instant."""
    with one_instant(database.exporter_engine) as first:
        instant = first.row("SELECT pg_current_snapshot()::text")
        chunks = first.chunks(NUMBERS, {"n": TEXT}, None, 10)
        assert next(chunks)["n"].to_list() == [str(number) for number in range(1, 11)]
        make_tenant(database)
        chunks.close()
        assert first.row("SELECT pg_current_snapshot()::text") == instant
        assert first.frame(NUMBERS, {"n": TEXT}).height == 1_000_000
