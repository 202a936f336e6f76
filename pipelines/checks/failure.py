"""The error of a failed check.

Belongs here: naming the table, the rule and some of the rows. Does not: the rules.
"""

import polars as pl

EXAMPLES = 5


class CheckFailedError(Exception):
    """Rows that break a rule: none of the run's rows are published."""

    def __init__(self, table: str, rule: str, count: int, examples: list[dict[str, object]]):
        super().__init__(f"{table}: {count} rows break the rule: {rule}; first: {examples}")
        self.table = table
        self.rule = rule
        self.count = count
        self.examples = examples


def refuse(table: str, rule: str, rows: pl.DataFrame) -> None:
    """Raise when there are `rows`, which break `rule`."""
    if rows.height:
        raise CheckFailedError(table, rule, rows.height, rows.head(EXAMPLES).to_dicts())
