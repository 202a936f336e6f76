"""Changed rows go to the files that hold them; the others stay as they are."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analytics.contracts import DIM_CUSTOMERS, PAYMENTS, Contract
from analytics.lake import Lake, Snapshot
from pipelines.frames import Grain, polars_schema
from pipelines.sinks.delta import ForeignCommitError, LakeTable, Rewrite, UnusableTableError
from pipelines.sinks.parquet import DIMENSION_FILE_ROWS, TAIL_ROWS, file_rows
from pipelines.sinks.upsert import replace_keys

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TENANT = "t"


def customers(keys: range, orders: int = 0) -> pl.DataFrame:
    """Rows of dim_customers, one per key."""
    values: dict[str, list[Any]] = {
        "customer_id": [f"{key:08}" for key in keys],
        "orders": [orders] * len(keys),
        "created_at": [NOW] * len(keys),
    }
    return filled(DIM_CUSTOMERS, values)


def filled(contract: Contract, values: dict[str, list[Any]]) -> pl.DataFrame:
    """Rows of a contract with some columns, the others null."""
    nulls = [pl.lit(None, t).alias(n) for n, t in polars_schema(contract).items()]
    known = pl.DataFrame(values, schema_overrides=polars_schema(contract), strict=False)
    rows = known.select(
        *[null for null in nulls if null.meta.output_name() not in values], pl.all()
    )
    return rows.select(pl.lit(TENANT).alias("tenant_id"), *contract.column_names)


def open_table(folder: Path) -> LakeTable:
    table = LakeTable(str(folder), DIM_CUSTOMERS)
    table.open()
    return table


def replace(table: LakeTable, rows: pl.DataFrame, *deleted: str) -> pl.DataFrame:
    """One run that replaces the rows' keys and deletes others."""
    rewrite = Rewrite(table, NOW)
    keys = {*rows["customer_id"], *deleted}
    old = replace_keys(rewrite, TENANT, keys, rows, "year")
    rewrite.commit(1)
    return old


def content(table: LakeTable) -> dict[str, int]:
    rows = Rewrite(table, NOW).read(Rewrite(table, NOW).files(TENANT))
    assert rows["customer_id"].is_unique().all()
    return dict(rows.select("customer_id", "orders").rows())


def test_only_the_file_that_holds_a_changed_row_is_written_anew(tmp_path: Path) -> None:
    table = open_table(tmp_path)
    everyone = range(3 * DIMENSION_FILE_ROWS)
    replace(table, customers(everyone))
    before = set(table.files()["path"])
    assert len(before) == 3
    changed = customers(range(DIMENSION_FILE_ROWS + 5, DIMENSION_FILE_ROWS + 7), orders=9)
    old = replace(table, changed)
    assert old["customer_id"].to_list() == changed["customer_id"].to_list()
    assert old["orders"].to_list() == [0, 0]
    after = set(table.files()["path"])
    assert len(before & after) == 2
    # nor the one whose changed rows turn out to be what they were
    assert_frame_equal(replace(table, changed), changed)
    assert set(table.files()["path"]) == after
    expected = {f"{key:08}": 0 for key in everyone}
    assert content(table) == {**expected, **dict(changed.select("customer_id", "orders").rows())}


def test_new_rows_fill_the_last_file(tmp_path: Path) -> None:
    table = open_table(tmp_path)
    replace(table, customers(range(DIMENSION_FILE_ROWS + 10)))
    for start in range(DIMENSION_FILE_ROWS + 10, DIMENSION_FILE_ROWS + 40, 10):
        replace(table, customers(range(start, start + 10)))
    assert sorted(table.files()["rows"]) == [40, DIMENSION_FILE_ROWS]
    replace(table, customers(range(DIMENSION_FILE_ROWS + 40, 2 * DIMENSION_FILE_ROWS + 5)))
    assert sorted(table.files()["rows"]) == [5, DIMENSION_FILE_ROWS, DIMENSION_FILE_ROWS]
    assert len(content(table)) == 2 * DIMENSION_FILE_ROWS + 5


def test_the_last_file_is_left_alone_once_it_costs_too_much(tmp_path: Path) -> None:
    table = open_table(tmp_path)
    replace(table, customers(range(TAIL_ROWS)))
    [closed] = table.files()["path"]
    for key in range(TAIL_ROWS, TAIL_ROWS + 3):
        replace(table, customers(range(key, key + 1)))
    files = table.files().sort("rows")
    assert files["rows"].to_list() == [3, TAIL_ROWS]
    assert files["path"][1] == closed


@pytest.mark.parametrize(
    ("period", "rows"),
    [
        ("all", 10_000),
        ("2026", 25_000),
        ("2026-01", 25_000),
        ("2025", 25_000),
        ("2025-12", 25_000),
        ("2025-11", 25_000),
        ("2025-10", 250_000),
        ("2024", 250_000),
    ],
)
def test_what_has_come_to_rest_lies_in_large_files(period: str, rows: int) -> None:
    assert file_rows(period, datetime(2026, 1, 10, tzinfo=UTC)) == rows


def test_a_key_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    table = open_table(tmp_path)
    replace(table, customers(range(10)))
    version = table.version
    assert replace(table, customers(range(0)), "00000003x").is_empty()
    assert table.version == version


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    runs=st.lists(
        st.tuples(st.sets(st.integers(0, 60), max_size=15), st.sets(st.integers(0, 60))),
        max_size=8,
    )
)
def test_any_runs_leave_what_a_dictionary_would_hold(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[set[int], set[int]]]
) -> None:
    table = open_table(tmp_path_factory.mktemp("lake"))
    expected: dict[str, int] = {}
    for number, (written, deleted) in enumerate(runs):
        rows = pl.concat(
            [customers(range(0)), *(customers(range(k, k + 1), number) for k in sorted(written))]
        )
        gone = {f"{key:08}" for key in deleted - written}
        old = replace(table, rows, *gone)
        touched = {*rows["customer_id"], *gone}
        assert set(old["customer_id"]) == touched & expected.keys()
        expected = {key: value for key, value in expected.items() if key not in gone}
        expected |= dict.fromkeys(rows["customer_id"], number)
        assert content(table) == expected


@pytest.mark.parametrize("grain", ["year", "month"])
def test_rows_go_to_the_period_of_their_order(tmp_path: Path, grain: Grain) -> None:
    table = LakeTable(str(tmp_path), PAYMENTS)
    table.open()
    placed = [NOW, NOW - timedelta(microseconds=1), NOW + timedelta(days=40)]
    rows = filled(
        PAYMENTS,
        {"order_id": ["a", "b", "c"], "payment_id": ["1", "2", "3"], "placed_at": placed},
    )
    rewrite = Rewrite(table, NOW)
    replace_keys(rewrite, TENANT, {"a", "b", "c"}, rows, grain)
    rewrite.commit(1)
    expected = {"year": {"2026", "2025"}, "month": {"2026-01", "2025-12", "2026-02"}}
    assert set(table.files()["period"]) == expected[grain]


def test_many_commits_are_checkpointed_and_read_again(tmp_path: Path) -> None:
    table = open_table(tmp_path)
    for number in range(60):
        replace(table, customers(range(number, number + 1), number))
    assert list((tmp_path / "dim_customers" / "_delta_log").glob("*.checkpoint.parquet"))
    assert len(content(open_table(tmp_path))) == 60


def test_what_died_before_publishing_is_taken_back(tmp_path: Path) -> None:
    table = open_table(tmp_path)
    replace(table, customers(range(10)))
    published = table.version
    replace(table, customers(range(5), orders=7), "00000009")
    table.go_back_to(published)
    assert content(table) == {f"{key:08}": 0 for key in range(10)}
    with pytest.raises(UnusableTableError):
        table.go_back_to(table.version + 1)


def test_readers_of_many_versions_each_see_their_own(tmp_path: Path) -> None:
    table = open_table(tmp_path)
    expected: dict[int, list[str]] = {}
    for number in range(12):
        replace(table, customers(range(number * TAIL_ROWS, (number + 1) * TAIL_ROWS)))
        files = Rewrite(table, NOW).files(TENANT)
        expected[table.version] = sorted(f"{table.root}/{file.path}" for file in files)
    lake = Lake(str(tmp_path))

    def read(turn: int) -> bool:
        version = 1 + turn * 7 % 12
        snapshot = Snapshot(version, NOW, {"dim_customers": version})
        return lake.files("dim_customers", snapshot, TENANT) == expected[version]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(200)))
    assert lake.files("dim_customers", Snapshot(1, NOW, {}), TENANT) == []


def test_readers_notice_that_a_table_was_made_anew(tmp_path: Path) -> None:
    table = open_table(tmp_path)
    replace(table, customers(range(5)))
    replace(table, customers(range(5, 9)))
    lake = Lake(str(tmp_path))
    assert lake.files("dim_customers", Snapshot(8, NOW, {"dim_customers": 2}), TENANT)
    shutil.rmtree(tmp_path / "dim_customers")
    anew = open_table(tmp_path)
    replace(anew, customers(range(3)))
    [path] = lake.files("dim_customers", Snapshot(9, NOW, {"dim_customers": 1}), TENANT)
    assert Path(path).exists()


def test_a_commit_of_another_writer_is_noticed(tmp_path: Path) -> None:
    table, other = open_table(tmp_path), open_table(tmp_path)
    mine = Rewrite(table, NOW)
    mine.add(TENANT, "all", customers(range(1)))
    replace(other, customers(range(5, 6)))
    with pytest.raises(ForeignCommitError):
        mine.commit(1)
