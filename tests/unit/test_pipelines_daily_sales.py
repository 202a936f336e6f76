"""The rollup's definitions, on orders made by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from analytics.contracts import DAILY_SALES, ORDERS, REFUNDS
from pipelines.checks.failure import CheckFailedError
from pipelines.exports.daily_sales import Facts, export_daily_sales
from pipelines.frames import polars_schema
from pipelines.sinks.delta import empty
from pipelines.transforms.daily_sales import MEASURES, additions, negated, summed

ORDER_SCHEMA = {"tenant_id": pl.String(), **polars_schema(ORDERS)}
REFUND_SCHEMA = {"tenant_id": pl.String(), **polars_schema(REFUNDS)}
PLACED = datetime(2026, 3, 1, 12, tzinfo=UTC)
ZERO = Decimal("0.0000")


def order(placed_at: datetime = PLACED, **changes: Any) -> dict[str, Any]:
    return {
        "tenant_id": "t",
        "order_id": "o",
        "status": "pending",
        "channel": "web",
        "currency": "USD",
        "placed_at": placed_at,
        "gross_sales": Decimal(100),
        "discounts": Decimal(10),
        "shipping": Decimal(5),
        "taxes": Decimal(7),
        "units": 3,
        **changes,
    }


def cancelled_order(days_later: int = 3) -> dict[str, Any]:
    return order(status="cancelled", cancelled_at=PLACED + timedelta(days=days_later))


def refund(days_later: int, **changes: Any) -> dict[str, Any]:
    return {
        "tenant_id": "t",
        "channel": "web",
        "currency": "USD",
        "placed_at": PLACED,
        "refunded_at": PLACED + timedelta(days=days_later),
        "goods_amount": Decimal(20),
        "tax_amount": Decimal(2),
        "shipping_amount": Decimal(1),
        **changes,
    }


def rollup(
    orders: list[dict[str, Any]], refunds: list[dict[str, Any]], timezone: str = "UTC"
) -> dict[tuple[str, date], dict[str, Any]]:
    """Measures that are not zero, by basis and day."""
    rows = summed(
        additions(
            pl.DataFrame(orders, schema=ORDER_SCHEMA).lazy(),
            pl.DataFrame(refunds, schema=REFUND_SCHEMA).lazy(),
            timezone,
        ),
        timezone,
    ).collect()
    return {
        (row["basis"], row["day"]): {name: row[name] for name in MEASURES if row[name]}
        for row in rows.to_dicts()
    }


AMOUNTS: dict[str, Any] = {
    "units": 3,
    "gross_sales": Decimal(100),
    "discounts": Decimal(10),
    "shipping": Decimal(5),
    "taxes": Decimal(7),
}
REVERSED = {name: -amount for name, amount in AMOUNTS.items()}
DAY = PLACED.date()


@pytest.mark.parametrize("status", ["pending", "processing", "completed"])
def test_an_order_counts_on_its_day_on_both_bases(status: str) -> None:
    counted = {"orders": 1, f"{status}_orders": 1, **AMOUNTS}
    assert rollup([order(status=status)], []) == {
        ("order_date", DAY): counted,
        ("event_date", DAY): counted,
    }


def test_a_cancelled_order_leaves_its_day_or_reverses_on_the_day_of_cancelling() -> None:
    assert rollup([cancelled_order()], []) == {
        ("order_date", DAY): {"cancelled_orders": 1},
        ("event_date", DAY): {"orders": 1, **AMOUNTS},
        ("event_date", DAY + timedelta(days=3)): {"orders": -1, "cancelled_orders": 1, **REVERSED},
    }


def test_a_refund_counts_on_the_orders_day_or_on_its_own() -> None:
    returned = {"returns": Decimal(20), "shipping": Decimal(-1), "taxes": Decimal(-2)}
    assert rollup([], [refund(5)]) == {
        ("order_date", DAY): returned,
        ("event_date", DAY + timedelta(days=5)): returned,
    }


def test_refunds_of_a_cancelled_order_reverse_with_it_or_settle_it() -> None:
    cancelled_at = PLACED + timedelta(days=3)
    before, after = refund(1, cancelled_at=cancelled_at), refund(4, cancelled_at=cancelled_at)
    at_once = refund(3, cancelled_at=cancelled_at)
    assert rollup([], [after, at_once]) == {}
    assert rollup([], [before]) == {
        ("event_date", DAY + timedelta(days=1)): {
            "returns": Decimal(20),
            "shipping": Decimal(-1),
            "taxes": Decimal(-2),
        },
        ("event_date", DAY + timedelta(days=3)): {
            "returns": Decimal(-20),
            "shipping": Decimal(1),
            "taxes": Decimal(2),
        },
    }


def test_both_bases_have_the_same_sum_over_all_days() -> None:
    cancelled_at = PLACED + timedelta(days=3)
    rows = rollup(
        [order(), cancelled_order(), order(status="completed")],
        [refund(2), refund(1, cancelled_at=cancelled_at), refund(9, cancelled_at=cancelled_at)],
    )

    def total(basis: str, measure: str) -> Any:
        return sum(row.get(measure, 0) for (of, _), row in rows.items() if of == basis)

    for measure in MEASURES:
        assert total("order_date", measure) == total("event_date", measure), measure


def test_channels_and_currencies_stay_apart() -> None:
    rows = summed(
        additions(
            pl.DataFrame(
                [order(), order(channel="pos"), order(currency="EUR"), order()],
                schema=ORDER_SCHEMA,
            ).lazy(),
            pl.DataFrame(schema=REFUND_SCHEMA).lazy(),
            "UTC",
        ),
        "UTC",
    ).collect()
    on_order_date = rows.filter(pl.col("basis") == "order_date").sort("currency", "channel")
    assert on_order_date.select("currency", "channel", "orders", "gross_sales").rows() == [
        ("EUR", "web", 1, Decimal(100)),
        ("USD", "pos", 1, Decimal(100)),
        ("USD", "web", 2, Decimal(200)),
    ]


def test_what_is_put_in_and_taken_out_is_nothing() -> None:
    rows = additions(
        pl.DataFrame([order(), cancelled_order()], schema=ORDER_SCHEMA).lazy(),
        pl.DataFrame([refund(2)], schema=REFUND_SCHEMA).lazy(),
        "UTC",
    )
    assert summed(pl.concat([rows, negated(rows)]), "UTC").collect().height == 0


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        # clocks went from 00:00 to 01:00: the day has no midnight and 23 hours
        ("2018-11-04T02:59:59.999999", "2018-11-03"),
        ("2018-11-04T03:00:00", "2018-11-04"),
        ("2018-11-05T01:59:59.999999", "2018-11-04"),
        ("2018-11-05T02:00:00", "2018-11-05"),
        # clocks went from 00:00 back to 23:00: 23:30 came twice, both on the day of 25 hours
        ("2018-02-18T01:30:00", "2018-02-17"),
        ("2018-02-18T02:30:00", "2018-02-17"),
        ("2018-02-18T03:00:00", "2018-02-18"),
    ],
)
def test_days_of_sao_paulo_where_its_clocks_turn(instant: str, day: str) -> None:
    placed_at = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    rows = rollup([order(placed_at)], [], "America/Sao_Paulo")
    assert rows.keys() == {
        (basis, date.fromisoformat(day)) for basis in ("order_date", "event_date")
    }


@pytest.mark.parametrize(
    ("timezone", "instant", "day"),
    [
        ("Asia/Kathmandu", "2026-01-01T18:14:59", "2026-01-01"),
        ("Asia/Kathmandu", "2026-01-01T18:15:00", "2026-01-02"),
        ("Australia/Lord_Howe", "2026-04-04T14:59:59", "2026-04-05"),
        ("Pacific/Kiritimati", "2026-01-01T10:00:00", "2026-01-02"),
        # on UTC-7 all year since 2026
        ("America/Vancouver", "2026-11-20T07:00:00", "2026-11-20"),
        # a minute past midnight back to a minute past eleven: the day had begun
        ("America/St_Johns", "2006-10-29T02:30:00", "2006-10-29"),
        ("America/St_Johns", "2006-10-29T03:00:00", "2006-10-29"),
        # midnight of the year's end, in UTC a day later and a day earlier
        ("Pacific/Apia", "2024-12-31T11:00:00", "2025-01-01"),
        ("Pacific/Midway", "2025-01-01T10:59:59", "2024-12-31"),
        ("Pacific/Apia", "2011-12-30T10:00:00", "2011-12-31"),
    ],
)
def test_days_of_zones_off_the_hour(timezone: str, instant: str, day: str) -> None:
    placed_at = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert ("order_date", date.fromisoformat(day)) in rollup([order(placed_at)], [], timezone)


def test_days_of_a_time_no_clock_showed_are_refused() -> None:
    with pytest.raises(pl.exceptions.PolarsError, match="placed_at is from 9999"):
        rollup([order(datetime(9999, 12, 31, tzinfo=UTC))], [])


def test_a_zone_that_is_not_known_is_refused() -> None:
    nothing = Facts(empty(ORDERS), empty(REFUNDS))
    with pytest.raises(CheckFailedError, match="Nowhere-3"):
        export_daily_sales("Nowhere-3", empty(DAILY_SALES), nothing, nothing)
