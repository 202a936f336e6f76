"""The sales report of random shops: rows are those of questions, files hold the same rows."""

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.periods import INTERVALS, BadParameter
from analytics.query.asked import Asked, Filter
from analytics.reports.formats import ReportFile
from analytics.reports.sales import (
    SALES_GROUPS,
    SalesOptions,
    build_sales_file,
    build_sales_page,
)
from tests.factories.random_shops import Tables, shops
from tests.integration.test_query_properties import BOUNDED, ZONES, Place, serve

OCTOBER = {"start": date(2017, 10, 1), "end": date(2017, 11, 1)}
groups = st.lists(st.sampled_from(SALES_GROUPS), min_size=1, max_size=3, unique=True).filter(
    lambda names: sum(name in INTERVALS for name in names) <= 1
)


def page(place: Place, options: SalesOptions, **changes: Any) -> dict[str, Any]:
    request = place.request(**OCTOBER, **changes)
    return build_sales_page(place.engine, place.lake, request, options)


def written(place: Place, options: SalesOptions, form: str, **changes: Any) -> ReportFile:
    request = place.request(**OCTOBER, **changes)
    return build_sales_file(place.engine, place.lake, request, options, form)


def told(part: dict[str, Any]) -> dict[str, Any]:
    """The values of a row of the page, by the columns of a file."""
    values = {**part["dimensions"]}
    values |= {f"{name}_name": label for name, label in part["labels"].items()}
    values["currency"] = "BRL"
    values |= part["metrics"]
    for name, figure in (part["previous"] or {}).items():
        values[f"previous_{name}"] = figure
        values[f"{name}_change"] = part["change"][name]
    return values


def as_text(value: Any) -> str:
    return "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


@BOUNDED
@given(shops(), st.sampled_from(ZONES), st.lists(groups, min_size=4, max_size=4), st.booleans())
def test_pages_are_those_of_a_question_and_files_hold_all_rows(
    tables: Tables, timezone: str, chosen: list[list[str]], is_by_event: bool
) -> None:
    changes = {
        "basis": "event_date" if is_by_event else "order_date",
        "compare": "previous_period",
    }
    filters = (Filter("channel", ("web", "pos")),)
    with serve(tables, timezone) as place:
        for names in chosen:
            options = SalesOptions(tuple(names), filters=filters, limit=1000)
            whole = page(place, options, **changes)
            times = [name for name in names if name in INTERVALS]
            asked = Asked(
                metrics=tuple(whole["metrics"]),
                dimensions=tuple("time" if name in times else name for name in names),
                filters=filters,
                limit=1000,
            )
            interval = times[0] if times else None
            question = place.figures(asked, **OCTOBER, **changes, interval=interval)
            assert whole["data"] == question["data"]
            assert whole["totals"] == question["totals"]
            assert "net_sales" in whole["metrics"]
            count = len(whole["data"])
            assert whole["pagination"]["total"] == count
            for limit, offset in ((2, 0), (3, 2), (2, 1000)):
                part = page(
                    place,
                    SalesOptions(tuple(names), None, filters, limit=limit, offset=offset),
                    **changes,
                )
                assert part["data"] == whole["data"][offset : offset + limit]
                assert part["pagination"]["total"] == count
                assert part["pagination"]["has_more"] == (offset + limit < count)

            rows = [told(part) for part in whole["data"]]
            everything = SalesOptions(tuple(names), filters=filters)
            text = b"".join(written(place, everything, "csv", **changes).read_in_parts()).decode()
            in_csv = list(csv.DictReader(io.StringIO(text, newline="")))
            assert in_csv == [{name: as_text(value) for name, value in row.items()} for row in rows]
            data = b"".join(written(place, everything, "parquet", **changes).read_in_parts())
            frame = pl.read_parquet(io.BytesIO(data))
            assert frame.height == count
            if rows:
                assert set(frame.columns) == rows[0].keys()
                assert frame["net_sales"].to_list() == [row["net_sales"] for row in rows]
                if times:
                    assert frame.schema["time"] in (pl.Date, pl.Datetime("us", "UTC"))


@pytest.fixture(scope="module")
def empty() -> Any:
    """A shop that has sold nothing."""
    with serve({}, "America/Sao_Paulo") as place:
        yield place


def test_a_shop_without_sales_has_its_days(empty: Place) -> None:
    answer = page(empty, SalesOptions())
    assert (len(answer["data"]), answer["group_by"]) == (31, ["day"])
    assert answer["pagination"] == {"offset": 0, "limit": 100, "total": 31, "has_more": False}
    assert page(empty, SalesOptions(("country",), offset=5))["pagination"]["total"] == 0
    file = written(empty, SalesOptions(("month", "country")), "csv")
    assert file.name == "sales-by-month-country-2017-10-01-2017-10-31-BRL.csv"
    text = b"".join(file.read_in_parts()).decode()
    assert text.startswith("time,country,currency,gross_sales,")
    assert text.count("\r\n") == 1


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        (SalesOptions(("day", "month")), "group_by"),
        (SalesOptions(("channel", "channel")), "dimensions/1"),
        (SalesOptions(("product",), metrics=("units", "orders")), "metrics/1"),
        (SalesOptions(("day",), sort="country"), "sort"),
    ],
)
def test_what_no_report_has_is_refused(empty: Place, options: SalesOptions, parameter: str) -> None:
    with pytest.raises(BadParameter) as refused:
        page(empty, options)
    assert refused.value.parameter == parameter
