"""The statements, one per file, written over the tables of the contracts by their names.

Belongs here: `.sql` files that also run on Spark and Trino through sqlglot: plain joins, unions and
grouping sets, parameters as `$name`. `{metrics}` stands for the definitions of analytics/metrics.
Does not: where the tables' files are (lake.py) and running a statement (engine.py).
"""

from functools import cache
from importlib.resources import files


@cache
def load_query(name: str) -> str:
    """The text of `<name>.sql`."""
    return (files(__package__) / f"{name}.sql").read_text(encoding="utf-8")
