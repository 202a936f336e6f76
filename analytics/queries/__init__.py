"""The statements, one per file, written over the tables of the contracts by their names.

Belongs here: `.sql` files that also run on Spark and Trino through sqlglot: plain joins, unions and
grouping sets, parameters as `$name`. `{metrics}` stands for the definitions of analytics/metrics,
as `{scores}` and `{segment}` do, and `{query name}` for another statement of this folder. Does not:
where the tables' files are (lake.py) and running a statement (engine.py).
"""

import re
from functools import cache
from importlib.resources import files

from analytics.metrics.customers import RFM_SCORES, SEGMENT
from analytics.metrics.metric import select_list

_QUERY = re.compile(r"\{query (\w+)\}")


@cache
def load_query(name: str) -> str:
    """The text of `<name>.sql`, with the statements it stands on in it."""
    text = (files(__package__) / f"{name}.sql").read_text(encoding="utf-8")
    text = text.replace("{scores}", select_list(RFM_SCORES))
    text = text.replace("{segment}", select_list((SEGMENT,)))
    return _QUERY.sub(lambda found: load_query(found[1]), text)
