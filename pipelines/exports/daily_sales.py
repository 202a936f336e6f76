"""daily_sales: facts of the lake → transform → check.

Belongs here: rolling up tenants, whole or by what changed. Does not: the definitions
(transforms).
"""

from typing import NamedTuple

import polars as pl

from analytics.contracts import DAILY_SALES
from pipelines.checks.failure import refuse
from pipelines.checks.shape import check_shape
from pipelines.checks.timezone import check_timezone
from pipelines.transforms.daily_sales import KEY, MEASURES, additions, negated, summed


class Facts(NamedTuple):
    """What the rollup is made of."""

    orders: pl.DataFrame
    refunds: pl.DataFrame


def export_daily_sales(
    timezone: str, before: pl.DataFrame, removed: Facts, added: Facts
) -> pl.DataFrame:
    """The rollups `before`, less what the facts `removed` added, plus what those `added` add.

    All are of tenants of one timezone. `before` must hold all days the facts touch.
    """
    check_timezone(timezone)
    refuse(
        DAILY_SALES.name,
        f"days are of {timezone}, the tenant's timezone",
        before.filter(pl.col("timezone") != timezone).select(*KEY, "timezone"),
    )
    rows = summed(
        pl.concat(
            [
                before.lazy().select(*KEY, *MEASURES),
                negated(additions(removed.orders.lazy(), removed.refunds.lazy(), timezone)),
                additions(added.orders.lazy(), added.refunds.lazy(), timezone),
            ]
        ),
        timezone,
    ).collect()
    check_shape(DAILY_SALES, rows)
    return rows
