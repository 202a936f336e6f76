"""Names in PromQL, found without a parser of it.

Belongs here: which metrics and labels an expression reads. Does not: whether it is valid PromQL,
which `promtool` knows.
"""

import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]")
_NAME = re.compile(r"(?<![\w:.$])([a-zA-Z_:][a-zA-Z0-9_:]*)\b(?!\s*\()")
_KEYWORDS = frozenset({"and", "or", "unless", "offset", "bool", "inf", "nan"})
# what Prometheus makes of a histogram, and what it makes itself
_PARTS = re.compile(r"_(?:bucket|sum|count)$")
MADE_BY_PROMETHEUS = frozenset({"up"})


def metrics_in(expression: str) -> set[str]:
    """The names of the series an expression reads."""
    bare = _RANGE.sub("", _GROUPING.sub("", _STRING.sub('""', expression)))
    bare = re.sub(r"\{[^}]*\}", "", bare)
    return {name for name in _NAME.findall(bare) if name.lower() not in _KEYWORDS}


def labels_in(expression: str) -> dict[str, set[str]]:
    """The labels an expression chooses by, for each metric it chooses of."""
    found: dict[str, set[str]] = {}
    for name, matchers in _SELECTOR.findall(_STRING.sub('""', expression)):
        labels = {
            match.strip() for match in re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", matchers)
        }
        found.setdefault(name, set()).update(labels)
    return found


def groupings_in(expression: str) -> set[str]:
    """The labels an expression groups by."""
    return {
        label.strip()
        for labels in _GROUPING.findall(_STRING.sub('""', expression))
        for label in labels.split(",")
        if label.strip()
    }


def family_of(series: str, known: set[str]) -> str:
    """The metric a series belongs to: a histogram's parts to the histogram."""
    return series if series in known else _PARTS.sub("", series)
