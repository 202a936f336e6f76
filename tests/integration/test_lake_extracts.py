"""What people take out of the lake by hand is what is in it, and of one tenant alone."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from analytics.contracts import CONTRACTS
from pipelines.context import LakeContext
from pipelines.extracts import write_table
from pipelines.runner import run_export
from tests.factories.rows import make_tenant
from tests.factories.sales import add_customer, add_product, day, place, selling
from tests.fixtures.lake import everything, invoke, new_lake, now
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")

BY_STATUS = "SELECT status, count(*) AS orders, sum(total) AS total FROM orders GROUP BY 1"


@pytest.fixture
def lake(database: Database, tenant_id: UUID, tmp_path: Path) -> LakeContext:
    """A lake with two tenants, each of whom sold three things."""
    made = new_lake(database, tmp_path / "lake")
    for tenant in (tenant_id, make_tenant(database)):
        with selling(database, tenant) as work:
            product, buyer = add_product(work, "=Thing"), add_customer(work)
            for number in range(3):
                place(work, number, day(20 * number), product_id=product, customer_id=buyer)
    run_export(made, now())
    return made


def test_a_statement_is_answered_of_one_tenant(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    for form in ("csv", "json"):
        done = invoke(database, lake, "sql", str(tenant_id), BY_STATUS, "--format", form)
        assert done.exit_code == 0, done.output
        if form == "csv":
            [row] = csv.DictReader(io.StringIO(done.stdout))
        else:
            row = json.loads(done.stdout)
        assert int(row["orders"]) == 3
        assert Decimal(row["total"]) == Decimal("74.2500")
    # an instant, for which DuckDB's client wants pytz
    at = invoke(database, lake, "sql", str(tenant_id), "SELECT max(placed_at) AS at FROM orders")
    assert "+00:00" in at.stdout, at.output
    shown = invoke(database, lake, "sql", str(tenant_id), "SELECT name FROM dim_products")
    assert "=Thing" in shown.stdout
    assert shown.stdout.rstrip().endswith("1 rows")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("SELECT nothing FROM orders", "no column 'nothing'"),
        ("SELECT placed FROM orders", "Nearest: placed_at. Columns: DESCRIBE orders."),
        ("SELECT o.chanel FROM orders o", "Nearest: channel"),
        ("SELECT 1 FROM ordrs", "no table 'ordrs'. Nearest: orders, order_lines"),
        ("DESCRIBE ordrs", "SHOW TABLES lists all"),
        ("DROP TABLE orders", "one SELECT at a time"),
        ("SELECT 1 AS a; SELECT 2 AS b", "one SELECT at a time"),
        ("", "one SELECT at a time"),
        ("SELECT * FROM read_parquet('/etc/passwd')", "Permission Error"),
        ("SELECT * FROM read_text('/etc/passwd')", "Permission Error"),
        ("SELECT CAST(status AS INTEGER) FROM orders", "Conversion Error"),
    ],
)
def test_a_statement_that_cannot_be_run_is_refused_in_a_sentence(
    database: Database, tenant_id: UUID, lake: LakeContext, statement: str, says: str
) -> None:
    refused = invoke(database, lake, "sql", str(tenant_id), statement)
    assert refused.exit_code == 1
    assert says in refused.output
    assert "Traceback" not in refused.output


def test_tables_and_columns_are_listed(
    database: Database, tenant_id: UUID, lake: LakeContext
) -> None:
    def asked(statement: str) -> list[Any]:
        done = invoke(database, lake, "sql", str(tenant_id), statement, "--format", "json")
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert [row["table"] for row in asked("show tables;")] == list(CONTRACTS)
    columns = asked("DESCRIBE orders")
    assert [row["column"] for row in columns] == list(CONTRACTS["orders"].column_names)
    (total,) = (row for row in columns if row["column"] == "total")
    assert (total["type"], total["unit"]) == ("DECIMAL(18,4)", "currency")


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


def test_rows_wider_than_the_terminal_stand_under_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [{"id": "x" * 36, "name": "[bold]Mug", "total": Decimal("19.9000")}] * 2
    wide, narrow, file = Terminal(), Terminal(), io.StringIO()
    write_table([{**row, "note": "y" * 30} for row in rows], wide)
    lines = wide.getvalue().splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("row", "id"))] == [
        ["row", "1"],
        ["id", "x" * 36],
        ["row", "2"],
        ["id", "x" * 36],
    ]
    assert max(map(len, lines)) <= 60
    assert "[bold]Mug" in wide.getvalue()
    write_table([{"name": "Mug"}], narrow)
    assert "row 1" not in narrow.getvalue()
    # a pager takes any width
    write_table([{**row, "note": "y" * 300} for row in rows], file)
    assert "row 1" not in file.getvalue()
    assert "y" * 300 in file.getvalue()


def test_tables_are_written_as_files_that_hold_all_rows(
    database: Database, tenant_id: UUID, lake: LakeContext, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    done = invoke(database, lake, "export", str(tenant_id), str(folder))
    assert done.exit_code == 0, done.output
    in_lake = everything(lake)
    for table in CONTRACTS:
        written = pl.read_parquet(folder / f"{table}.parquet")
        theirs = in_lake[table].filter(pl.col("tenant_id") == str(tenant_id)).drop("tenant_id")
        assert written.columns == list(CONTRACTS[table].column_names)
        assert written.height == theirs.height
    orders = pl.read_parquet(folder / "orders.parquet")
    assert orders["total"].sum() == Decimal("74.2500")

    again = invoke(database, lake, "export", str(tenant_id), str(folder), "--table", "orders")
    assert again.exit_code == 1
    assert "orders.parquet stands there already" in again.output
    as_text = ["--table", "orders", "--table", "dim_products", "--format", "csv"]
    assert invoke(database, lake, "export", str(tenant_id), str(folder), *as_text).exit_code == 0
    with (folder / "orders.csv").open() as file:
        assert sum(Decimal(row["total"]) for row in csv.DictReader(file)) == Decimal("74.25")
    assert sorted(path.name for path in folder.glob("*.csv")) == ["dim_products.csv", "orders.csv"]


def test_a_tenant_of_whom_nothing_is_there_is_told_so(
    database: Database, lake: LakeContext
) -> None:
    unknown = invoke(database, lake, "sql", "nobody", "SELECT 1 AS one")
    assert "There is no tenant 'nobody'" in unknown.output
    empty = invoke(database, lake, "sql", str(make_tenant(database)), "SELECT 1 AS one")
    assert "There is no tenant" in empty.output
    assert (unknown.exit_code, empty.exit_code) == (1, 1)
