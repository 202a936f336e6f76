"""Questions over HTTP: what they answer, what opens each figure, what is refused, and that they
change nothing."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, update

from pipelines.context import LakeContext
from pipelines.runner import run_export
from shop_api.app import App, create_app
from shop_api.db.tenancy import tenant_session
from shop_api.models import audit_entries, idempotency_records, lake_snapshots
from tests.factories.operations import operations
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

QUERY = "/api/v1/analytics/query"
ROWS = "/api/v1/analytics/rows"
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
REVENUE = "/api/v1/analytics/revenue"
SALES_REPORT = "/api/v1/analytics/reports/sales"


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, lake: LakeContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application that reads the lake of this module."""
    settings = database.settings(
        tmp_path_factory.mktemp("data"), redis_url, lake_url=lake.location, cache_bytes=0
    )
    built = create_app(settings)
    yield built
    built.close()


def export(app: App, lake: LakeContext) -> int:
    """Export what happened, wait until the application follows, and name the snapshot."""
    outcome = run_export(lake, datetime.now(UTC))
    assert outcome.snapshot is not None
    deadline = time.monotonic() + 5
    while app.lake.snapshot().id < outcome.snapshot.id:
        assert time.monotonic() < deadline, "the new snapshot is not seen"
        time.sleep(0.005)
    return outcome.snapshot.id


@pytest.fixture(scope="module")
def shop(app: App, lake: LakeContext) -> Shop:
    """Two products, three orders, of which one is cancelled and one partly refunded."""
    shop = open_shop(ApiClient(app, AnswerChecker(app)))
    prices = {"Tea": "10.00", "Cup": "2.50"}
    tea, cup = (shop.product(price, name=name) for name, price in prices.items())
    variants = [product["variants"][0]["id"] for product in (tea, cup)]
    both = shop.order((variants[0], 2), (variants[1], 1)).json
    gone = shop.order((variants[1], 3)).json
    assert shop.order((variants[0], 1)).status == 201
    assert shop.api.post(f"/api/v1/orders/{gone['id']}/cancel").status == 200
    paid = f"/api/v1/orders/{both['id']}"
    assert shop.api.post(f"{paid}/payments", {"method": "cash"}).status == 201
    assert shop.api.post(f"{paid}/refunds", {"amount": Decimal("1.25")}).status == 201
    export(app, lake)
    return shop


def ask(shop: Shop, *metrics: str, **changes: Any) -> dict[str, Any]:
    answered = shop.api.post(QUERY, {"metrics": list(metrics), "period": "7d", **changes})
    assert answered.status == 200, answered.body
    found: dict[str, Any] = answered.json
    return found


def opened(shop: Shop, figures: dict[str, Any], limit: int = 2) -> list[dict[str, Any]]:
    """All rows behind figures, page by page."""
    rows: list[dict[str, Any]] = []
    path = f"{figures['rows']}&limit={limit}"
    query: dict[str, str] = {}
    while True:
        answered = shop.api.get(path + "".join(f"&{k}={v}" for k, v in query.items()))
        assert answered.status == 200, answered.body
        rows += answered.json["data"]
        if not answered.json["page_info"]["has_next_page"]:
            assert answered.json["row_count"] == len(rows)
            assert "Link" not in answered.headers
            return rows
        assert 'rel="next"' in answered.headers["Link"]
        query = {"after": answered.json["page_info"]["end_cursor"]}


def test_the_whole_is_what_revenue_says(shop: Shop) -> None:
    for basis in ("order_date", "event_date"):
        revenue = shop.api.get(REVENUE, query={"period": "7d", "basis": basis}).json
        answer = ask(shop, *revenue["metrics"], basis=basis, compare="previous_period")
        assert answer["totals"]["metrics"] == revenue["metrics"]
        assert answer["totals"]["change"] == revenue["change"]
        assert answer["data"][0]["metrics"] == revenue["metrics"]
        for name in ("period", "timezone", "currency", "basis", "channel", "interval"):
            assert answer[name] == revenue[name]
        assert answer["compared_with"].keys() == revenue["compared_with"].keys()


def test_products_are_named_and_add_up(shop: Shop) -> None:
    answer = ask(shop, "gross_sales", "returns", "units", dimensions=["product"])
    sold = [
        (part["labels"]["product"], part["metrics"]["gross_sales"], part["metrics"]["units"])
        for part in answer["data"]
    ]
    # of a refund by amount no line is told
    assert sold == [
        ("Tea", Decimal("30.00"), 3),
        ("Cup", Decimal("2.50"), 1),
        (None, Decimal("0.00"), 0),
    ]
    assert answer["data"][2]["metrics"]["returns"] == Decimal("1.25")
    for name in ("gross_sales", "returns", "units"):
        parts = sum(part["metrics"][name] for part in answer["data"])
        assert parts == answer["totals"]["metrics"][name]


def test_the_sales_report_opens_and_downloads(shop: Shop) -> None:
    query = {"period": "7d", "group_by": "product,channel", "metrics": "gross_sales,returns"}
    report = shop.api.get(SALES_REPORT, query=query).json
    answer = ask(shop, "gross_sales", "returns", dimensions=["product", "channel"])
    assert report["data"] == answer["data"]
    assert report["pagination"] == {"offset": 0, "limit": 100, "total": 3, "has_more": False}
    for part in (report["totals"], *report["data"]):
        rows = opened(shop, part)
        for name, figure in part["metrics"].items():
            assert sum(row["amounts"][name] for row in rows) == figure
    assert "hit" in shop.api.get(SALES_REPORT, query=query).headers["Cache-Status"]
    for form in ("csv", "xlsx", "parquet"):
        answered = shop.api.get(SALES_REPORT, query={**query, "format": form})
        assert answered.status == 200, answered.body
        assert "sales-by-product-channel-" in answered.headers["Content-Disposition"]
        if form == "csv":
            first = answered.body.decode().split("\r\n")[1]
            assert first.endswith(",Tea,web,USD,30.00,0.00")


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ({"group_by": "moon"}, 400, "group_by"),
        ({"group_by": "day,month"}, 400, "group_by"),
        ({"group_by": "channel,channel"}, 422, "group_by"),
        ({"group_by": "product", "metrics": "orders"}, 422, "metrics"),
        ({"metrics": "email"}, 400, "metrics"),
        ({"group_by": "day", "sort": "country"}, 422, "sort"),
        ({"interval": "day"}, 400, "interval"),
        ({"format": "pdf"}, 400, "format"),
    ],
)
def test_a_sales_report_that_cannot_be(
    shop: Shop, query: dict[str, str], status: int, pointer: str
) -> None:
    answered = shop.api.get(SALES_REPORT, query=query)
    assert answered.status == status, answered.body
    assert [error["pointer"] for error in answered.json["errors"]] == [pointer]


@pytest.mark.parametrize("basis", ["order_date", "event_date"])
@pytest.mark.parametrize("interval", ["day", "hour"])
def test_figures_of_every_answer_open(shop: Shop, basis: str, interval: str) -> None:
    """Each linked part of revenue, orders and the dashboard, the last points of each series."""
    query = {"period": "today", "basis": basis, "interval": interval, "channel": "web"}
    revenue = shop.api.get(REVENUE, query=query).json
    orders = shop.api.get("/api/v1/analytics/orders", query=query).json
    dashboard = shop.api.get("/api/v1/analytics/dashboard", query=query).json
    of_orders = dashboard["orders"]
    parts: list[tuple[str, dict[str, Any]]] = [
        *((answer["rows"], answer["metrics"]) for answer in (revenue, orders)),
        *((answer["previous_rows"], answer["previous"]) for answer in (revenue, orders)),
        *((point["rows"], point) for answer in (revenue, orders) for point in answer["series"]),
        *((part["rows"], part) for part in revenue["by_category"] + revenue["top_products"]),
        (dashboard["revenue"]["rows"], dashboard["revenue"]),
        (of_orders["rows"], {f"{k}_orders": v for k, v in of_orders.items()}),
        *((p["rows"], {"total_sales": p["value"]}) for p in dashboard["revenue"]["trend"]),
        *((p["rows"], {"placed_orders": p["value"]}) for p in of_orders["trend"]),
    ]
    for url, figures in parts:
        answered = shop.api.get(f"{url}&limit=100")
        assert answered.status == 200, answered.body
        found = answered.json["figures"]
        shared = found.keys() & figures.keys()
        assert len(shared) > len(found) / 2
        assert {name: found[name] for name in shared} == {name: figures[name] for name in shared}
        for name in shared - {"average_order_value", "profit_margin", "cost_coverage"}:
            assert sum(row["amounts"][name] for row in answered.json["data"]) == figures[name]
    assert revenue["metrics"]["gross_sales"] == Decimal("32.50")


def test_every_day_is_there(shop: Shop) -> None:
    answer = ask(shop, "orders", dimensions=["time"], interval="day")
    assert len(answer["data"]) == 7
    assert [part["metrics"]["orders"] for part in answer["data"]] == [0] * 6 + [2]
    assert [part["dimensions"]["time"] for part in answer["data"]] == sorted(
        part["dimensions"]["time"] for part in answer["data"]
    )


def test_what_it_is_compared_with_opens_too(shop: Shop) -> None:
    answer = ask(shop, "net_sales", "orders", period="today", compare="previous_period")
    totals = answer["totals"]
    assert "until=" in totals["previous_rows"]
    opened_before = shop.api.get(totals["previous_rows"])
    assert opened_before.json["figures"] == totals["previous"] == {"net_sales": 0, "orders": 0}
    assert ask(shop, "orders")["totals"]["previous_rows"] is None


@pytest.mark.parametrize("basis", ["order_date", "event_date"])
@pytest.mark.parametrize("dimensions", [[], ["product", "channel"], ["hour_of_day"], ["country"]])
def test_each_figure_opens(shop: Shop, basis: str, dimensions: list[str]) -> None:
    answer = ask(shop, "net_sales", "units", dimensions=dimensions, basis=basis)
    for part in (answer["totals"], *answer["data"]):
        rows = opened(shop, part)
        for name, figure in part["metrics"].items():
            assert sum(row["amounts"][name] for row in rows) == figure
        numbers = {row["order_id"]: row["order_number"] for row in rows}
        for order_id, number in numbers.items():
            assert shop.api.get(f"/api/v1/orders/{order_id}").json["number"] == number


def test_pages_are_of_one_snapshot(app: App, lake: LakeContext, shop: Shop) -> None:
    first = ask(shop, "gross_sales", "returns", dimensions=["product"], limit=1)
    assert first["page_info"]["has_next_page"]
    late = shop.product("1000.00", name="Pot")
    assert shop.order((late["variants"][0]["id"], 1)).status == 201
    export(app, lake)
    after = first["page_info"]["end_cursor"]
    second = ask(shop, "gross_sales", "returns", dimensions=["product"], limit=2, after=after)
    assert second["snapshot"] == first["snapshot"]
    assert [part["labels"]["product"] for part in second["data"]] == ["Cup", None]
    assert second["page_info"] == {"has_next_page": False, "end_cursor": None}
    assert len(opened(shop, first["data"][0])) == 2
    newest = ask(shop, "gross_sales", dimensions=["product"], limit=1)
    assert newest["data"][0]["labels"]["product"] == "Pot"
    body = {"metrics": ["units"], "period": "7d", "dimensions": ["product"], "after": after}
    refused = shop.api.post(QUERY, body)
    assert (refused.status, refused.code) == (400, "invalid_cursor")


def test_a_snapshot_that_is_gone_is_told(
    app: App, lake: LakeContext, shop: Shop, database: Database
) -> None:
    answer = ask(shop, "gross_sales")
    product = shop.product("3.00")
    assert shop.order((product["variants"][0]["id"], 1)).status == 201
    export(app, lake)
    assert shop.api.get(answer["totals"]["rows"]).status == 200
    with database.exporter_engine.begin() as connection:
        gone = lake_snapshots.c.id == int(answer["snapshot"])
        connection.execute(update(lake_snapshots).where(gone).values(versions={"orders": 10**6}))
    no_version = shop.api.get(answer["totals"]["rows"])
    with database.exporter_engine.begin() as connection:
        connection.execute(lake_snapshots.delete().where(gone))
    no_record = shop.api.get(answer["totals"]["rows"])
    for refused in (no_version, no_record):
        assert (refused.status, refused.code) == (422, "snapshot_gone"), refused.body
        assert refused.json["errors"][0]["pointer"] == "snapshot"


@pytest.mark.parametrize(
    ("changes", "pointer", "told"),
    [
        ({"metrics": ["sales"]}, "/metrics/0", "net_sales"),
        ({"metrics": []}, "/metrics", "1 to 20"),
        ({"metrics": ["orders", "orders"]}, "/metrics/1", "twice"),
        ({"dimensions": ["colour"]}, "/dimensions/0", "channel"),
        ({"dimensions": ["product"]}, "/metrics/0", "country"),
        ({"filters": [{"dimension": "product", "values": [None]}]}, "/metrics/0", "country"),
        ({"filters": [{"dimension": "time", "values": ["x"]}]}, "/filters/0/dimension", "channel"),
        ({"filters": [{"dimension": "weekday", "values": ["x"]}]}, "/filters/0/values/0", "whole"),
        (
            {"filters": [{"dimension": "country", "values": ["é" * 250] * 9}]},
            "/filters",
            "6000 bytes",
        ),
        ({"sort": "net_sales"}, "/sort", "orders"),
        ({"limit": 1001}, "/limit", "1000"),
        ({"period": "7d", "from": "2026-01-01", "to": "2026-02-01"}, "/period", "not both"),
        ({"compare": "tomorrow"}, "/compare", "previous_year"),
    ],
)
def test_what_is_not_known_is_named(
    shop: Shop, changes: dict[str, Any], pointer: str, told: str
) -> None:
    refused = shop.api.post(QUERY, {"metrics": ["orders"], **changes})
    assert refused.status == 422, refused.body
    assert refused.code in ("validation_failed", "unanswerable")
    error = refused.json["errors"][0]
    assert error["pointer"] == pointer
    assert told in error["detail"]


IMPOSSIBLE: dict[str, tuple[Any, str]] = {
    "weekday": (25, "1, 2, 3, 4, 5, 6, 7"),
    "hour_of_day": (24, "0, 1, 2"),
    "customer_type": ("guest", "new, returning"),
    "customer_segment": ("vip", "champions, loyal"),
    "country": ("Italy", "two capital letters"),
    "product": ("tea", "a UUID"),
    "category": (ID + "0", "a UUID"),
    "device": ("phone", "desktop, mobile, tablet, other"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_values_that_nothing_has_are_refused_wherever_they_are_asked(shop: Shop, name: str) -> None:
    value, told = IMPOSSIBLE[name]
    metric = "sessions" if name == "device" else "units"
    filters = [{"dimension": name, "values": [None, value], "operator": "not_in"}]
    refusals = [
        (shop.api.post(QUERY, {"metrics": [metric], "filters": filters}), "/filters/0/values/1"),
        (shop.api.get(ROWS, query={"metric": metric, name: value}), name),
        (shop.api.get(ROWS, query={"metric": metric, f"not_{name}": f",{value}"}), f"not_{name}"),
    ]
    if metric == "units":
        refusals.append((shop.api.get(SALES_REPORT, query={name: value}), name))
    for refused, pointer in refusals:
        assert (refused.status, refused.code) == (422, "unanswerable"), refused.body
        assert refused.json["errors"][0]["pointer"] == pointer
        assert told in refused.json["errors"][0]["detail"]


def test_filters_hold_together(shop: Shop) -> None:
    found = ask(shop, "units", dimensions=["product"])["data"][1]["dimensions"]["product"]
    cup = {"dimension": "product", "values": [found]}
    some = ask(shop, "units", filters=[cup, {"dimension": "channel", "values": ["web", None]}])
    assert some["totals"]["metrics"]["units"] > 0
    none = ask(shop, "units", filters=[cup, {**cup, "operator": "not_in"}])
    assert none["totals"]["metrics"]["units"] == 0
    assert opened(shop, none["totals"]) == []
    rest = ask(shop, "units", filters=[{**cup, "operator": "not_in"}])
    whole = ask(shop, "units")
    parts = some["totals"]["metrics"]["units"] + rest["totals"]["metrics"]["units"]
    assert parts == whole["totals"]["metrics"]["units"]


def test_another_tenant_opens_nothing_of_it(shop: Shop, other_shop: Shop) -> None:
    figures = ask(shop, "orders")["totals"]
    foreign = other_shop.api.get(figures["rows"])
    assert (foreign.status, foreign.json["data"], foreign.json["row_count"]) == (200, [], 0)


def test_a_question_changes_nothing(app: App, shop: Shop) -> None:
    """No record of a key, no entry in the log, and the quota of figures."""
    body = {"metrics": ["orders"]}
    counted = [select(func.count()).select_from(t) for t in (audit_entries, idempotency_records)]

    def count() -> list[int]:
        with tenant_session(app.services.engine, shop.tenant_id) as session:
            return [session.execute(statement).scalar_one() for statement in counted]

    before = count()
    for metrics in (["orders"], ["units"]):
        answered = shop.api.post(QUERY, {**body, "metrics": metrics}, key="the-same")
        assert answered.status == 200
        assert '"analytics";' in answered.headers["RateLimit-Policy"]
        assert '"mutations";' not in answered.headers["RateLimit-Policy"]
    assert count() == before


def test_no_other_operation_is_a_read_by_post() -> None:
    found = {o.id for o in operations() if o.is_read and o.method != "GET"}
    assert found == {"query_figures"}
    assert all(o.scope == "analytics:read" for o in operations() if o.id in found)


def test_rows_refuse_what_has_none(shop: Shop) -> None:
    for query, code, pointer in (
        ({"metric": "orders", "product": ID}, "unanswerable", "metric"),
        ({"metric": "orders,orders"}, "unanswerable", "metric"),
        ({"metric": "orders", "time": "2026-13-01"}, "unanswerable", "time"),
        ({"metric": "orders,sales"}, "invalid_parameter", "metric"),
        ({"metric": "orders", "weekday": "x"}, "invalid_parameter", "weekday"),
        ({"metric": "orders", "from": "2026-01-01"}, "invalid_parameter", "to"),
        ({"metric": "orders", "snapshot": "999999"}, "snapshot_not_found", "snapshot"),
    ):
        refused = shop.api.get(ROWS, query=query)
        assert refused.status in (400, 422)
        assert refused.code == code, refused.body
        assert refused.json["errors"][0]["pointer"] == pointer


def test_the_sales_report_knows_no_dimension_of_visits(app: App, shop: Shop) -> None:
    for name in ("referrer", "not_device"):
        answered = shop.api.get(SALES_REPORT, query={"group_by": "channel", name: "x"})
        assert answered.status == 400, answered.body
        assert name in answered.body.decode()
