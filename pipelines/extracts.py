"""What people take out of the lake by hand: rows as text, tables as files.

Belongs here: writing what was read. Does not: reading it (analytics/tenant_lake.py) and the options
of the commands (cli.py).
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec
import polars as pl
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from analytics.contracts import CONTRACTS
from analytics.engine import Row
from analytics.tenant_lake import TenantLake

FILE_FORMATS = ("parquet", "csv")
# Against which a table is measured.
WIDE = Console(width=100_000)
# On a terminal nobody reads more; all of them are counted.
SHOWN_ROWS = 200


def write_table(rows: Sequence[Row], out: TextIO) -> None:
    """The first rows as a table for people; one under the other where it is too wide for them."""
    console = Console(file=out)
    shown = rows[:SHOWN_ROWS]
    table = _table(shown)
    width = Measurement.get(WIDE, WIDE.options, table).maximum
    if not console.is_terminal:
        # a pager or a file takes any width
        console = Console(file=out, width=max(width, console.width))
    if shown and width <= console.width:
        console.print(table)
    elif shown:
        _print_blocks(shown, console)
    left = len(rows) - SHOWN_ROWS
    more = f", {left:,} of them not shown: --format csv writes all" if left > 0 else ""
    console.print(f"{len(rows):,} rows{more}", highlight=False)


def _table(rows: Sequence[Row]) -> Table:
    table = Table()
    for name in rows[0] if rows else ():
        is_number = isinstance(rows[0][name], int | float) or hasattr(rows[0][name], "quantize")
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    return table


def _print_blocks(rows: Sequence[Row], console: Console) -> None:
    """A row under the other, a column a line."""
    for number, row in enumerate(rows, 1):
        console.rule(f"row {number}", align="left")
        block = Table.grid(padding=(0, 2))
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for name, value in row.items():
            block.add_row(name, _shown(value))
        console.print(block)


def _shown(value: Any) -> Text:
    """A value as it is: brackets in a name are no markup."""
    return Text("" if value is None else str(value))


def write_csv(rows: Sequence[Row], out: TextIO) -> None:
    """All rows with a line of names, amounts exact, instants in RFC 3339."""
    if not rows:
        return
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([_text(value) for value in row.values()] for row in rows)


def write_json(rows: Sequence[Row], out: TextIO) -> None:
    """All rows, an object a line; amounts as text, so that none is rounded."""
    for row in rows:
        out.write(msgspec.json.encode(row).decode() + "\n")


WRITERS: dict[str, Callable[[Sequence[Row], TextIO], None]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
}


def write_tables(
    lake: TenantLake, folder: Path, tables: Sequence[str], form: str
) -> dict[Path, int]:
    """Write whole tables as files of `form` into the folder; the rows of each.

    Raises FileExistsError before anything is written, and other OSErrors as they come.
    """
    paths = {table: folder / f"{table}.{form}" for table in tables}
    standing = [path.name for path in paths.values() if path.exists()]
    if standing:
        raise FileExistsError(None, f"{', '.join(standing)} stands there already")
    folder.mkdir(parents=True, exist_ok=True)
    return {path: _write_file(lake, table, path, form) for table, path in paths.items()}


def _write_file(lake: TenantLake, table: str, path: Path, form: str) -> int:
    frame = lake.scan(table)
    if form == "csv":
        lists = [column.name for column in CONTRACTS[table].columns if column.type == "text_list"]
        frame.with_columns(pl.col(lists).list.join(", ")).sink_csv(path)
    else:
        frame.sink_parquet(path)
    return int(frame.select(pl.len()).collect().item())


def _text(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
