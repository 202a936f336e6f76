"""The inventory report: stock at the end of a period, what it is worth and how it sold.

Belongs here: its choices, the values of its rows and totals, its columns in a file. Does not: the
statement (queries/inventory.sql), the metrics' definitions (metrics/inventory.py), how files are
written (formats.py) and HTTP.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from analytics.contracts.contract import Column
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
from analytics.reports.formats import EVERY_ROW, ReportFile, Table, write_file

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
DEFAULT_LIMIT = 20

_SELECT = select_list(INVENTORY)

COLUMNS: tuple[Column, ...] = (
    Column("id", "text", "What the row is of.", is_nullable=True),
    Column("product_id", "text", "The product.", is_nullable=True),
    Column("name", "text", "Of the product or category.", is_nullable=True),
    Column("title", "text", "Of the variant.", is_nullable=True),
    Column("sku", "text", "Of the variant.", is_nullable=True),
    Column("currency", "text", "ISO 4217 currency of sales, costs and values."),
    Column("stock_on_hand", "integer", "Units at the end of the period.", "items"),
    Column("stock_reserved", "integer", "Of them, promised to open orders.", "items"),
    Column("stock_value", "money_sum", "Units on hand × cost now, where known.", "currency"),
    Column("stock_value_coverage", "money_sum", "Units of known cost ÷ units.", is_nullable=True),
    Column("units_sold", "integer", "Of orders placed in the period.", "items"),
    Column("gross_sales", "money_sum", "Of those units.", "currency"),
    Column("net_sales", "money_sum", "gross_sales − discounts − returns.", "currency"),
    Column("sell_through", "money_sum", "Sold ÷ (sold + on hand).", is_nullable=True),
    Column("days_of_inventory", "money_sum", "On hand ÷ sold in a day.", is_nullable=True),
    Column("last_sold_at", "instant", "By the end of the period.", is_nullable=True),
    Column("abc_class", "text", "By falling sales: A, B or C."),
    Column("is_dead_stock", "boolean", "On hand, and nothing sold of it for long."),
)


@dataclass(frozen=True, slots=True)
class InventoryOptions:
    """Which rows, in which order; None filters nothing."""

    group_by: str = "variant"
    sort: str = "stock_value"
    order: str = "desc"
    # None: 20 of a page, all of a file
    limit: int | None = None
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
    limit = DEFAULT_LIMIT if options.limit is None else options.limit
    chosen = _parameters(options, dead_before, limit)
    total, *page = question.ask_stock("inventory", _SELECT, **chosen)
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
        "data": [_row(row, days, question.digits) for row in page],
        "pagination": {
            "offset": options.offset,
            "limit": limit,
            "total": count,
            "has_more": options.offset + len(page) < count,
        },
    }


def build_inventory_file(
    engine: Engine, lake: Lake, request: AnalyticsRequest, options: InventoryOptions, form: str
) -> ReportFile:
    """The report as a file; all rows unless a limit is told."""
    question = Question(engine, lake, request)
    days, dead_before = _days(question, options.dead_after_days)
    limit = EVERY_ROW if options.limit is None else options.limit
    chosen = _parameters(options, dead_before, limit)
    batches = question.stream_stock("inventory", _SELECT, **chosen)
    table = Table(
        "Inventory",
        COLUMNS,
        question.digits,
        request.snapshot.as_of,
        (
            [_file_row(row, days, question) for row in rows if row["kind"] == "row"]
            for rows in batches
        ),
    )
    period = question.period
    name = f"inventory-by-{options.group_by}-{period.start}-{period.last_day}-{request.currency}"
    return write_file(name, form, table)


def _parameters(options: InventoryOptions, dead_before: datetime, limit: int) -> dict[str, Any]:
    """What the statement takes of the choices."""
    return {
        "group_by": options.group_by,
        "sort": options.sort,
        "is_descending": options.order == "desc",
        "limit": limit,
        "offset": options.offset,
        "dead_before": dead_before,
        "abc_by": options.abc_by,
        "abc_class": options.abc_class,
        "dead_stock": options.dead_stock,
        "in_stock": options.in_stock,
        "location_id": options.location_id,
        "category_id": options.category_id,
        "product_id": options.product_id,
    }


def _row(row: Row, days: int, digits: int) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "product_id", "name", "title", "sku")},
        **_figures(row, days, digits),
        "abc_class": row["abc_class"],
        "is_dead_stock": row["is_dead_stock"],
    }


def _file_row(row: Row, days: int, question: Question) -> Row:
    values = _row(row, days, question.digits)
    last_sold_at = row["last_sold_at"]
    return {
        **values,
        "currency": question.request.currency,
        "last_sold_at": last_sold_at and datetime.fromisoformat(last_sold_at),
    }


def _days(question: Question, dead_after_days: int) -> tuple[int, datetime]:
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
