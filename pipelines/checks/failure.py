"""The error of a failed check.

Belongs here: naming the table, the rule and some of the rows, and errors without what rows hold.
Does not: the rules.
"""

import polars as pl

EXAMPLES = 5


class CheckFailedError(Exception):
    """Rows that break a rule: none of the run's rows are published."""

    def __init__(self, table: str, rule: str, count: int, examples: list[dict[str, object]]):
        self.summary = f"{table}: {count} rows break the rule: {rule}"
        super().__init__(f"{self.summary}; first: {examples}")
        self.table = table
        self.rule = rule
        self.count = count
        self.examples = examples


def refuse(table: str, rule: str, rows: pl.DataFrame) -> None:
    """Raise when there are `rows`, which break `rule`."""
    if rows.height:
        raise CheckFailedError(table, rule, rows.height, rows.head(EXAMPLES).to_dicts())


def without_values(error: BaseException) -> str:
    """What failed, for records that are nobody's: no wall keeps those of a tenant to itself.

    The log has the rows.
    """
    if isinstance(error, CheckFailedError):
        return error.summary
    if isinstance(error, pl.exceptions.PolarsError):
        # it may quote what it cannot compute
        return "rows cannot be computed"
    return str(error)
