"""What can be made of an expression of sums: its columns, what one row adds, what some rows add.

Belongs here: sales metrics as texts. Does not: the metrics (definitions.py). Their expressions are
made of sums of one column each, so these texts are made of them and of nothing a client says.
"""

import re

_SUM = re.compile(r"sum\((\w+)\)")


def summed_columns(expression: str) -> frozenset[str]:
    """The columns it sums."""
    return frozenset(_SUM.findall(expression))


def of_one_row(expression: str) -> str:
    """What one row adds to it."""
    return _SUM.sub(r"\1", expression)


def of_rows_where(expression: str, condition: str) -> str:
    """The same over the rows that meet a condition alone."""
    return _SUM.sub(rf"sum(CASE WHEN {condition} THEN \1 ELSE 0 END)", expression)
