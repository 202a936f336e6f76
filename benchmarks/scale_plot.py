"""What answers and runs cost by the number of orders, drawn from the measurement's own file.

Belongs here: how the drawing looks. Does not: what is in it (bench_scale.py).
"""

from math import nan
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK, GRID = "#1f2933", "#e4e7eb"
COLORS = (
    "#1e3a8a", "#2563eb", "#93c5fd", "#047857", "#10b981", "#6ee7b7",
    "#b45309", "#fbbf24", "#7c3aed", "#dc2626",
)  # fmt: skip
# The same figures draw the same text.
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def draw_costs(measured: dict[str, Any], target: Path) -> None:
    """A line per kind of answer, over orders, both by powers of ten."""
    sizes = [size["orders"] for size in measured["sizes"]]
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scale", "text.color": INK}):
        figure = Figure(figsize=(9.0, 5.0), layout="constrained")
        axes = figure.add_subplot()
        for color, name in zip(COLORS, measured["sizes"][0]["milliseconds"], strict=True):
            costs = [size["milliseconds"][name] for size in measured["sizes"]]
            drawn = [nan if cost is None else cost for cost in costs]
            axes.plot(sizes, drawn, marker="o", markersize=4, color=color, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(sizes, [f"{orders / 1e6:.1f} M" for orders in sizes])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("orders in the lake, half of them the tenant's", color=INK, fontsize=9)
        axes.set_title("Milliseconds, nothing kept", loc="left", fontsize=10)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8, left=False)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        figure.legend(loc="outside right center", fontsize=8, frameon=False)
        figure.savefig(target, format="svg", metadata=NO_METADATA)
