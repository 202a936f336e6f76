"""The lake's tables as people ask for them in SQL: listed, described, and misspelt.

Belongs here: `SHOW TABLES`, `DESCRIBE`, and what is said of a name that is not there. Does not:
what the tables hold (contracts/) and running statements (engine.py).
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from analytics.contracts import CONTRACTS

Row = dict[str, Any]

SHOW_TABLES = re.compile(r"\s*show\s+(?:all\s+)?tables\s*;?\s*", re.IGNORECASE)
DESCRIBE = re.compile(r"\s*(?:describe|desc|show)\s+\"?(\w+)\"?\s*;?\s*", re.IGNORECASE)
# as DuckDB says it
NO_TABLE = re.compile(r"Table with name (\w+) does not exist")
NO_COLUMN = re.compile(
    r"Referenced column \"(\w+)\" not found|does not have a column named \"(\w+)\""
)
NAMES_SHOWN = 3
LIKENESS_RATIO = 0.5


def tables_in(statement: str) -> set[str]:
    """The tables that a statement names."""
    return {table for table in CONTRACTS if re.search(rf"\b{table}\b", statement, re.IGNORECASE)}


def told_of_tables(statement: str) -> list[Row] | None:
    """The answer to SHOW TABLES, or to DESCRIBE of a table; None of another statement."""
    if SHOW_TABLES.fullmatch(statement):
        return [{"table": name, "a_row_is": one.grain} for name, one in CONTRACTS.items()]
    found = DESCRIBE.fullmatch(statement)
    if found is None or found[1].lower() not in CONTRACTS:
        return None
    return [
        {
            "column": column.name,
            "type": column.sql_type,
            "nullable": column.is_nullable,
            "unit": column.unit,
            "description": column.description,
        }
        for column in CONTRACTS[found[1].lower()].columns
    ]


def with_nearest_names(message: str, tables: Iterable[str]) -> str:
    """What DuckDB said, in other words where it knows no such table or column.

    `tables`: those that the statement names.
    """
    if found := NO_TABLE.search(message):
        near = _near(found[1], CONTRACTS)
        return f"There is no table {found[1]!r}.{near} SHOW TABLES lists all."
    if (found := NO_COLUMN.search(message)) and (asked := sorted(tables)):
        name = found[1] or found[2]
        near = _near(name, {c for table in asked for c in CONTRACTS[table].column_names})
        described = ", ".join(f"DESCRIBE {table}" for table in asked)
        return f"There is no column {name!r} here.{near} Columns: {described}."
    return message


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name.lower(), list(known), NAMES_SHOWN, LIKENESS_RATIO)
    return f" Nearest: {', '.join(near)}." if near else ""
