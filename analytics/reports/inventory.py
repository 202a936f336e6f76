"""The inventory report: stock at the end of a period, what it is worth and how it sold.

Belongs here: its choices, the values of its rows and totals. Does not: the statement
(queries/inventory.sql), the metrics' definitions (metrics/inventory.py) and HTTP.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from analytics.dashboard.question import (
    OF_CONVERSION,
    AnalyticsRequest,
    Question,
    format_instant,
)
from analytics.engine import Engine, Row
from analytics.lake import Lake
from analytics.metrics.definitions import money, ratio, select_list
from analytics.metrics.inventory import INVENTORY
from analytics.periods import ONE_DAY, day_start, find_zone, local_date

InventoryGroup = Literal["variant", "product", "category", "location"]
InventorySort = Literal[
    "stock_on_hand",
    "stock_reserved",
    "stock_value",
    "units_sold",
    "gross_sales",
    "net_sales",
    "sell_through",
    "days_of_inventory",
    "last_sold_at",
    "name",
    "sku",
]
AbcBy = Literal["gross_sales", "net_sales"]
INVENTORY_GROUPS: tuple[str, ...] = get_args(InventoryGroup)
INVENTORY_SORTS: tuple[str, ...] = get_args(InventorySort)
ABC_METRICS: tuple[str, ...] = get_args(AbcBy)
ABC_CLASSES = ("A", "B", "C")
DEAD_AFTER_DAYS = 90

_SELECT = select_list(INVENTORY)


@dataclass(frozen=True, slots=True)
class InventoryOptions:
    """Which rows, in which order; None filters nothing."""

    group_by: str = "variant"
    sort: str = "stock_value"
    order: str = "desc"
    limit: int = 20
    offset: int = 0
    dead_after_days: int = DEAD_AFTER_DAYS
    abc_by: str = "gross_sales"
    abc_class: str | None = None
    dead_stock: bool | None = None
    in_stock: bool | None = None
    location_id: str | None = None
    category_id: str | None = None
    product_id: str | None = None


def build_inventory(
    engine: Engine, lake: Lake, request: AnalyticsRequest, options: InventoryOptions
) -> dict[str, Any]:
    """A page of the report, and the totals of all its rows."""
    question = Question(engine, lake, request)
    days, dead_before = _days(question, options.dead_after_days)
    rows = question.ask_stock(
        "inventory",
        _SELECT,
        group_by=options.group_by,
        sort=options.sort,
        is_descending=options.order == "desc",
        limit=options.limit,
        offset=options.offset,
        dead_before=dead_before,
        abc_by=options.abc_by,
        abc_class=options.abc_class,
        dead_stock=options.dead_stock,
        in_stock=options.in_stock,
        location_id=options.location_id,
        category_id=options.category_id,
        product_id=options.product_id,
    )
    rows.sort(key=lambda row: row["place"])
    total, *page = rows
    count = int(total["row_count"])
    return {
        **question.envelope("channel", "interval", "compared_with", *OF_CONVERSION),
        "stock_at": format_instant(min(question.period.end_instant, request.snapshot.as_of)),
        "days": days,
        "group_by": options.group_by,
        "abc_by": options.abc_by,
        "dead_after_days": options.dead_after_days,
        "totals": {
            **_figures(total, days, question.digits),
            "rows": count,
            "dead_stock": {
                "rows": int(total["dead_rows"]),
                "units": int(total["dead_units"]),
                "value": money(total["dead_value"], question.digits),
            },
        },
        "data": [
            {
                **{name: row[name] for name in ("id", "product_id", "name", "title", "sku")},
                **_figures(row, days, question.digits),
                "abc_class": row["abc_class"],
                "is_dead_stock": row["is_dead_stock"],
            }
            for row in page
        ],
        "pagination": {
            "offset": options.offset,
            "limit": options.limit,
            "total": count,
            "has_more": options.offset + len(page) < count,
        },
    }


def _days(question: Question, dead_after_days: int) -> tuple[int, Any]:
    """The days of the period up to today, and before which instant what sold last is dead."""
    period = question.period
    zone = find_zone(period.timezone)
    end = min(period.end, local_date(question.request.now, zone) + ONE_DAY)
    dead_before = day_start(end - timedelta(days=dead_after_days), zone)
    return max((end - period.start).days, 0), dead_before


def _figures(row: Row, days: int, digits: int) -> dict[str, Any]:
    on_hand, sold = int(row["units_on_hand"]), int(row["units_sold"])
    last_sold_at = row["last_sold_at"]
    return {
        "stock_on_hand": int(row["stock_on_hand"]),
        "stock_reserved": int(row["stock_reserved"]),
        "stock_value": money(row["stock_value"], digits),
        "stock_value_coverage": ratio(int(row["costed_units"]), on_hand),
        "units_sold": sold,
        "gross_sales": money(row["stock_gross_sales"], digits),
        "net_sales": money(row["stock_net_sales"], digits),
        "sell_through": ratio(sold, sold + on_hand),
        "days_of_inventory": ratio(on_hand * days, sold),
        "last_sold_at": last_sold_at and format_instant(datetime.fromisoformat(last_sold_at)),
    }
