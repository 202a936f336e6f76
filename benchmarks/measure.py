"""Pairs of runs, and the table of what they gave.

Belongs here: medians of paired ratios and their printing. Does not: what is run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Result:
    """One budget: what was measured, beside what, and what it must reach."""

    name: str
    measured: float
    floor: float
    unit: str
    ratio: float
    # the ratio must be at least (or at most) this
    budget: float
    is_at_most: bool = False

    @property
    def is_met(self) -> bool:
        return self.ratio <= self.budget if self.is_at_most else self.ratio >= self.budget


def paired(
    ours: Callable[[], float], floor: Callable[[], float], rounds: int = 5
) -> tuple[float, float, float]:
    """(ours, floor, ratio): medians over rounds in which both ran one after the other."""
    runs = [(ours(), floor()) for _ in range(rounds)]
    return (
        median(run[0] for run in runs),
        median(run[1] for run in runs),
        median(run[0] / run[1] for run in runs),
    )


def print_results(results: list[Result]) -> None:
    """One table of ratios."""
    table = Table(title="Budgets (median of paired runs on this machine)")
    for heading in ("what", "measured", "floor", "ratio", "budget", ""):
        table.add_column(heading, justify="left" if heading in ("what", "") else "right")
    for result in results:
        sign = "≤" if result.is_at_most else "≥"
        table.add_row(
            result.name,
            f"{result.measured:,.1f} {result.unit}",
            f"{result.floor:,.1f} {result.unit}",
            f"{result.ratio:.3f}",
            f"{sign} {result.budget:g}",
            "met" if result.is_met else "MISSED",
        )
    Console(width=120).print(table)
