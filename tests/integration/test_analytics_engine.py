"""The engine's limits: its folder, its deadline, its memory."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

import polars as pl
import pytest

from analytics.engine import (
    BadStatement,
    Engine,
    FilesGone,
    QueryTimeout,
    QueryTooLarge,
    bind_files,
)

NUMBERS = "SELECT sum(number) AS total FROM orders"
# 10¹⁰ pairs: minutes of work
ENDLESS = "SELECT count(*) AS pairs FROM orders AS a, orders AS b WHERE a.number + b.number = 7"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("lake")
    pl.DataFrame({"number": range(100_000)}).write_parquet(folder / "a.parquet")
    pl.DataFrame({"number": range(100_000)}).write_parquet(folder.parent / "outside.parquet")
    return [str(folder / "a.parquet")]


@pytest.fixture(scope="module")
def engine(files: list[str]) -> Iterator[Engine]:
    engine = Engine(str(Path(files[0]).parent), memory_limit="64MB", threads=2)
    yield engine
    engine.close()


def test_rows_of_the_files(engine: Engine, files: list[str]) -> None:
    assert engine.run(NUMBERS, {"orders": files}, {}) == [{"total": 4999950000}]
    statement = NUMBERS + " WHERE number < $limit"
    assert engine.run(statement, {"orders": files}, {"limit": 3}) == [{"total": 3}]


def test_table_without_files_has_the_columns_of_its_contract(engine: Engine) -> None:
    statement = "SELECT count(*) AS n, sum(total) AS total FROM orders WHERE placed_at > now()"
    assert engine.run(statement, {"orders": []}, {}) == [{"n": 0, "total": None}]


def test_values_are_never_part_of_the_statement(files: list[str]) -> None:
    text, bound = bind_files(NUMBERS, {"orders": ["'); DROP TABLE x; --"]})
    assert "DROP" not in text
    assert bound == {"orders_files": ["'); DROP TABLE x; --"]}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_parquet('{outside}')",
        "SELECT * FROM read_parquet('{folder}/../outside.parquet')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
        "ATTACH '/tmp/other.db'",
        "COPY (SELECT 1) TO '/tmp/leak.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '64GB'",
        "SET lock_configuration = false",
    ],
)
def test_nothing_outside_the_lake_and_no_way_to_allow_it(
    engine: Engine, files: list[str], statement: str
) -> None:
    folder = Path(files[0]).parent
    text = statement.format(folder=folder, outside=folder.parent / "outside.parquet")
    with pytest.raises(BadStatement):
        engine.run(text, {}, {})


def test_folder_with_the_same_beginning_is_outside(engine: Engine, files: list[str]) -> None:
    folder = Path(files[0]).parent
    other = folder.parent / (folder.name + "-other")
    other.mkdir()
    pl.DataFrame({"number": [1]}).write_parquet(other / "a.parquet")
    with pytest.raises(BadStatement, match="Cannot access"):
        engine.run(NUMBERS, {"orders": [str(other / "a.parquet")]}, {})


def test_query_past_its_deadline_is_interrupted_alone(engine: Engine, files: list[str]) -> None:
    totals: list[int] = []

    def keep_asking() -> None:
        totals.extend(engine.run(NUMBERS, {"orders": files}, {})[0]["total"] for _ in range(20))

    other = threading.Thread(target=keep_asking)
    started = time.monotonic()
    other.start()
    with pytest.raises(QueryTimeout):
        engine.run(ENDLESS, {"orders": files}, {}, deadline_seconds=0.2)
    assert time.monotonic() - started < 3
    other.join()
    assert totals == [4999950000] * 20


def test_queries_take_turns_and_waiting_counts(files: list[str]) -> None:
    """One turn per thread: who waits past the deadline is told so, and a free turn is taken."""
    engine = Engine(str(Path(files[0]).parent), threads=1)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(engine.run, ENDLESS, {"orders": files}, {}, deadline_seconds=1.0)
        time.sleep(0.2)
        with pytest.raises(QueryTimeout, match="no turn"):
            engine.run(NUMBERS, {"orders": files}, {}, deadline_seconds=0.2)
        assert engine.run(NUMBERS, {"orders": files}, {}) == [{"total": 4999950000}]
        assert isinstance(long.exception(), QueryTimeout)
    engine.close()


def test_rows_a_part_at_a_time(engine: Engine, files: list[str]) -> None:
    statement = "SELECT number FROM orders ORDER BY number LIMIT 5"
    parts = engine.batches(statement, {"orders": files}, {}, batch_rows=2)
    assert [[row["number"] for row in part] for part in parts] == [[0, 1], [2, 3], [4]]
    with pytest.raises(QueryTimeout):
        list(engine.batches(ENDLESS, {"orders": files}, {}, deadline_seconds=0.2))


def test_the_next_query_has_its_turn_while_rows_are_written(files: list[str]) -> None:
    engine = Engine(str(Path(files[0]).parent), threads=1)
    parts = engine.batches(
        "SELECT number FROM orders", {"orders": files}, {}, batch_rows=10, deadline_seconds=2
    )
    next(parts)
    assert engine.run(NUMBERS, {"orders": files}, {}, deadline_seconds=1)
    time.sleep(2)
    with pytest.raises(QueryTimeout, match="not written before the deadline"):
        next(parts)
    engine.close()


def test_query_beyond_its_memory_is_refused(engine: Engine, files: list[str]) -> None:
    statement = (
        "SELECT length(string_agg(repeat(CAST(number AS VARCHAR), 500), ',')) AS n FROM orders"
    )
    with pytest.raises(QueryTooLarge):
        engine.run(statement, {"orders": files}, {}, deadline_seconds=20)
    assert engine.run(NUMBERS, {"orders": files}, {}) == [{"total": 4999950000}]


def test_file_that_was_deleted_is_told_from_other_failures(
    engine: Engine, files: list[str]
) -> None:
    gone = Path(files[0]).with_name("gone.parquet")
    pl.DataFrame({"number": [1]}).write_parquet(gone)
    assert engine.run(NUMBERS, {"orders": [str(gone)]}, {}) == [{"total": 1}]
    gone.unlink()
    with pytest.raises(FilesGone):
        engine.run(NUMBERS, {"orders": [*files, str(gone)]}, {})


def test_object_store_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="mirror"):
        Engine("s3://bucket/lake")


def test_parts_of_an_answer_are_worked_out_beside_each_other(engine: Engine) -> None:
    both, asker = threading.Barrier(2), ContextVar("asker", default="nobody")
    blocked, in_the_way = threading.Event(), threading.Event()
    asker.set("a request")

    def block() -> str:
        in_the_way.set()
        blocked.wait(10)
        return asker.get()

    with engine.beside() as beside:
        began = beside.begin(lambda: both.wait(10))
        # waits for ever unless the part runs meanwhile
        assert {both.wait(10), began()} == {0, 1}
        other = beside.begin(block)
        assert in_the_way.wait(10)
        # no thread is free for it: who asks for it works it out, and not later a second time
        done: list[int] = []
        beside.begin(lambda: done.append(threading.get_ident()))()
        assert done == [threading.get_ident()]
        blocked.set()
        assert other() == "a request"
    assert len(done) == 1


def test_a_part_that_is_not_begun_when_another_fails_never_is(engine: Engine) -> None:
    blocked, in_the_way, late = threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        in_the_way.set()
        blocked.wait(10)

    def fail() -> None:
        raise QueryTooLarge("too large")

    with pytest.raises(QueryTooLarge), engine.beside() as beside:
        beside.begin(block)
        assert in_the_way.wait(10)
        beside.begin(late.set)
        beside.begin(fail)()
    with engine.beside() as after:
        later = threading.Event()
        after.begin(later.set)
        blocked.set()
        # parts are begun one after the other
        assert later.wait(10)
    assert not late.is_set()


def test_an_engine_of_one_thread_works_out_each_part_when_it_is_asked_for(
    files: list[str],
) -> None:
    alone = Engine(str(Path(files[0]).parent), threads=1)
    done: list[int] = []
    with alone.beside() as beside:
        began = beside.begin(lambda: done.append(threading.get_ident()))
        assert done == []
        began()
    assert done == [threading.get_ident()]
    alone.close()


@pytest.mark.parametrize("is_closed", [True, False])
def test_what_still_runs_is_ended_by_closing_and_when_another_part_fails(
    files: list[str], is_closed: bool
) -> None:
    engine = Engine(str(Path(files[0]).parent), threads=2)
    running, is_over = threading.Event(), threading.Event()
    ended: list[type[Exception]] = []

    def ask() -> None:
        running.set()
        try:
            engine.run(ENDLESS, {"orders": files}, {})
        except QueryTimeout as error:
            ended.append(type(error))
        is_over.set()

    with pytest.raises(QueryTooLarge), engine.beside() as beside:
        beside.begin(ask)
        assert running.wait(10)
        time.sleep(0.2)
        started = time.monotonic()
        if is_closed:
            engine.close()
        raise QueryTooLarge("another part")
    assert is_over.wait(1)
    assert time.monotonic() - started < 3
    assert ended == [QueryTimeout]
    engine.close()
