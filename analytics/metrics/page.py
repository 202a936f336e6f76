"""Every metric and dimension as a Markdown page: `python -m analytics.metrics.page`.

Belongs here: writing the definitions down for people. Does not: the definitions. The page
`docs/guides/metrics.md` is this module's output.
"""

import sys

from analytics.metrics.definitions import METRICS
from analytics.metrics.dimensions import ASKABLE, DIMENSIONS, dimensions_of

METRICS_BEGIN = """\
# Metrics and dimensions

What each figure is, and by what it can be asked ([how to ask](analytics.md)). The API says the same
at `GET /api/v1/analytics/metrics`. This page is made by `make docs` from `analytics/metrics/`.

## Metrics

The SQL aggregates rows of the source: `daily_sales`, or movements of its shape, which each order,
cancellation and refund makes; of payments what was captured, and taken back with its order.
`converted=true` aggregates movements in the shop's own currency, each at its order's
`exchange_rate`. Every converted answer says beside its figures how many orders had none, and so are
not in them: `unconverted_orders`.

| metric | unit | is | source | SQL | adds up |
|---|---|---|---|---|---|
"""
DIMENSIONS_BEGIN = """
## Dimensions

| dimension | is | values |
|---|---|---|
"""
KNOWN_BEGIN = """
## Which go together

What belongs to an order as a whole (shipping, taxes, the orders themselves) belongs to no line of
it, so it is not told by product, variant or category. How an order was paid, what discount it was
given and who ordered is told of all of it, its lines and refunds too. One that was paid in several
ways, or has several discounts, is `:mixed` or `:several`: no fact says which part of a sale each of
them is of. `captured_amount` is of payments, each of one method.

Customers and sessions are distinct ones: who ordered in two channels is a customer of both, so
parts add up to more than the whole. They are counted of other things than sales: ask for customers,
for sessions, for payments and for sales in a question each. A customer is opened to the last of the
orders that make one count, a session to its last event.

| metric | """


def render_page() -> str:
    """The page, in the order of the definitions."""
    metrics = "".join(
        _row(
            f"`{metric.name}`",
            metric.unit,
            metric.formula,
            f"`{metric.source}`",
            f"`{metric.expression}`",
            "yes" if metric.is_additive else "",
        )
        for metric in METRICS.values()
    )
    dimensions = "".join(
        _row(f"`{dimension.name}`", dimension.description, dimension.values)
        for dimension in DIMENSIONS.values()
    )
    return METRICS_BEGIN + metrics + DIMENSIONS_BEGIN + dimensions + _known()


def _known() -> str:
    header = KNOWN_BEGIN + " | ".join(f"`{name}`" for name in DIMENSIONS) + " |\n"
    rule = "|" + "---|" * (len(DIMENSIONS) + 1) + "\n"
    rows = (
        _row(f"`{metric.name}`", *("✓" if n in dimensions_of(metric) else "" for n in DIMENSIONS))
        for metric in ASKABLE.values()
    )
    return header + rule + "".join(rows)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(render_page())
