"""Drawing: a bar per day as SVG text, to stand inside a page.

Belongs here: how a chart looks. Does not: what it shows. Nothing is kept between two drawings, so
that threads can draw at once; fonts are the reader's own.
"""

import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

INK, BAR, LAST_BAR = "#1f2933", "#9fb3c8", "#2563eb"
SIZE_INCHES = (8.0, 2.6)
# Every so many days have a label, counted from the last.
LABEL_DAYS = 5
# The same figures draw the same text.
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def draw_days(points: Sequence[tuple[date, Decimal]], unit: str, title: str) -> str:
    """A bar per day; the last one stands out."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report", "text.color": INK}):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        places = range(len(points))
        colors = [BAR] * (len(points) - 1) + [LAST_BAR]
        axes.bar(places, [float(value) for _, value in points], width=0.8, color=colors)
        labelled = places[::-1][::LABEL_DAYS]
        axes.set_xticks(labelled, [f"{points[place][0]:%-d %b}" for place in labelled])
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_title(f"{title} ({unit})", loc="left", fontsize=10)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8, left=False)
        axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=NO_METADATA)
    drawing = text.getvalue()
    return drawing[drawing.index("<svg") :]
