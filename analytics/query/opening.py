"""By what a figure is opened: the question whose rows add up to it.

Belongs here: names and values, as `/analytics/rows` takes them. Does not: the URL (shop_api) and
the rows (rows.py). A value that is none is written as nothing.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from analytics.dashboard.question import Question, format_instant
from analytics.metrics.dimensions import DIMENSIONS
from analytics.periods import Period
from analytics.query.asked import Asked, Filter, Value
from analytics.query.statement import SEGMENTS, segments_instant

NOT = "not_"
NOTHING = ""
_SPECIAL = re.compile(r"[\\,]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# a character, with the backslash before it
_UNIT = re.compile(r"\\?.", re.DOTALL)


# Parameters of a URL, in order.
Parameters = list[tuple[str, str]]


def opened_by(question: Question, asked: Asked, values: Mapping[str, Value]) -> Parameters:
    """The parameters that name the figures of one row, at the same snapshot."""
    return _parameters(question, asked, values, question.period)


def opened_before(
    question: Question, asked: Asked, values: Mapping[str, Value]
) -> Parameters | None:
    """Those that name the figures it is compared with; None where nothing is compared."""
    before, until = question.comparison, question.compared_until
    if before is None or until is None:
        return None
    chosen = _parameters(question, asked, values, before)
    return chosen if until == before.end_instant else [*chosen, ("until", format_instant(until))]


def opened_of(
    answer: Mapping[str, Any],
    metrics: Iterable[str],
    *,
    is_before: bool = False,
    basis: str | None = None,
) -> Parameters | None:
    """Those that name the totals of an answer that is no question's, by what it says they are of;
    of what it is compared with, None where nothing is compared.

    `basis` is that of figures which are told by one alone, whatever the answer's is.
    """
    days = answer["compared_with"] if is_before else answer["period"]
    if days is None:
        return None
    chosen = [
        ("metric", ",".join(metrics)),
        ("snapshot", answer["snapshot"]),
        ("from", days["from"]),
        ("to", days["to"]),
    ]
    # visits are of no currency and no channel, and counted by no basis
    if "basis" in answer:
        chosen += [("basis", basis or answer["basis"]), ("currency", answer["currency"])]
    if answer.get("include_bots"):
        chosen.append(("include_bots", "true"))
    if answer.get("converted"):
        chosen.append(("converted", "true"))
    if answer.get("channel") is not None:
        chosen.append(("channel", written((answer["channel"],))))
    return [*chosen, ("until", days["until"])] if is_before else chosen


def _parameters(
    question: Question, asked: Asked, values: Mapping[str, Value], period: Period
) -> Parameters:
    request = question.request
    chosen = [
        ("metric", ",".join(asked.metrics)),
        ("snapshot", str(request.snapshot.id)),
        ("from", period.start.isoformat()),
        ("to", period.end.isoformat()),
        ("basis", question.basis),
        ("currency", request.currency),
    ]
    if request.converted:
        chosen.append(("converted", "true"))
    if "time" in values:
        chosen.append(("interval", question.interval))
    if any(dimension.lookup == SEGMENTS for dimension in asked.read):
        chosen.append(("segmented_at", format_instant(segments_instant(question, asked))))
    own = (Filter(name, (value,)) for name, value in values.items())
    filters = [*asked.all_filters(request.channel), *own]
    for name in DIMENSIONS:
        chosen += _of_dimension(name, [f for f in filters if f.dimension == name])
    return chosen


def _of_dimension(name: str, filters: list[Filter]) -> Parameters:
    """All that is asked of a dimension as one list of values it has, and one that it has not."""
    allowed = [f.values for f in filters if f.is_in]
    refused = {value: None for f in filters if not f.is_in for value in f.values}
    chosen: Parameters = []
    if allowed:
        first, *others = allowed
        common = [value for value in first if all(value in other for other in others)]
        if not common:
            # nothing has both: what has a value and has it not
            common, refused = [first[0]], {first[0]: None}
        chosen.append((name, written(dict.fromkeys(common))))
    return chosen + ([(f"{NOT}{name}", written(refused))] if refused else [])


def written(values: Iterable[Value]) -> str:
    """Values as one parameter: a comma between two, a backslash before one that is part of one."""
    return ",".join(
        NOTHING if value is None else _SPECIAL.sub(r"\\\g<0>", str(value)) for value in values
    )


def read_values(text: str) -> list[str | None]:
    """The values of a parameter."""
    values, start = [], 0
    for comma in [*(m.start() for m in _UNIT.finditer(text) if m[0] == ","), len(text)]:
        values.append(_ESCAPED.sub(r"\1", text[start:comma]) or None)
        start = comma + 1
    return values
