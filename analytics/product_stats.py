"""What each product of a tenant has sold: the figures beside it in the catalogue.

Belongs here: reading them from one snapshot. Does not: keeping them in Postgres (pipelines).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from hashlib import blake2b

from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.metrics.definitions import METRICS, select_list
from analytics.queries import load_query

TABLES = ("order_lines", "refunds")
MARGIN_QUANTUM = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class ProductStats:
    """A product's figures of all time, in one currency."""

    product_id: str
    currency: str
    # before tax and shipping, less discounts and returns: those can be told by product
    net_sales: Decimal
    # of the sales whose cost is known; None: there are none
    profit_margin: Decimal | None


def stats_files(lake: Lake, snapshot: Snapshot, tenant_id: str) -> dict[str, list[str]]:
    """The files a tenant's figures are read from."""
    return {table: lake.files(table, snapshot, tenant_id) for table in TABLES}


def files_digest(files: dict[str, list[str]]) -> str:
    """Stands for the files: the same files, the same figures."""
    names = "\n".join(path for table in TABLES for path in files[table])
    return blake2b(names.encode(), digest_size=16).hexdigest()


def read_product_stats(engine: Engine, files: dict[str, list[str]]) -> Sequence[ProductStats]:
    """The figures of every product that is on an order."""
    statement = load_query("product_stats").replace(
        "{metrics}", select_list((METRICS["net_sales"],))
    )
    return [
        ProductStats(
            row["product_id"],
            row["currency"],
            row["net_sales"],
            _margin(row["costed_sales"], row["cost"] or Decimal(0)),
        )
        for row in engine.run(statement, files, {})
    ]


def _margin(sales: Decimal, cost: Decimal) -> Decimal | None:
    """(sales − cost) ÷ sales; of no sales there is none."""
    if not sales:
        return None
    return ((sales - cost) / sales).quantize(MARGIN_QUANTUM, rounding=ROUND_HALF_UP)
