"""The shape of a metric.

Belongs here: what every definition says of itself. Does not: any one metric (definitions.py,
customers.py, traffic.py).
"""

from dataclasses import dataclass
from typing import Literal

# `days` are of 86 400 s; a `score` is 1 to 5; a `label` is a word
Unit = Literal["money", "count", "ratio", "days", "score", "label"]

# of whose rows each is of one part of a period
SUMMED = ("daily_sales", "payments", "period_sessions")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure: `expression` aggregates rows of `source`. A quotient names its two sides too."""

    name: str
    title: str
    unit: Unit
    formula: str
    grain: str
    source: str
    expression: str
    numerator: str | None = None
    denominator: str | None = None

    @property
    def is_additive(self) -> bool:
        """Whether figures of parts add up to the figure of the whole: sums over rows of which each
        is of one part."""
        is_sum = self.source in SUMMED and "count(" not in self.expression
        return is_sum and self.denominator is None


def select_list(metrics: tuple[Metric, ...]) -> str:
    """The metrics as the columns of a SELECT."""
    return ",\n    ".join(f"{m.expression} AS {m.name}" for m in metrics)
