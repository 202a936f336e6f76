"""Figures of customers over a shop of 15 orders: every one is worked out by hand."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from analytics.dashboard.customers import build_customers
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.metrics.segments import SEGMENTS, segment_of
from tests.factories import customer_shop
from tests.factories.lake import write_lake

NOW = datetime(2026, 4, 10, 15, 0, tzinfo=UTC)
# until 1 April 04:00 in UTC
QUARTER = {"start": date(2026, 1, 1), "end": date(2026, 4, 1), "interval": "month"}

D = Decimal
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", params=["month", "year"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, Lake, Snapshot]]:
    folder = tmp_path_factory.mktemp("lake")
    snapshot = write_lake(folder, {customer_shop.TENANT: customer_shop.TABLES}, request.param)
    engine = Engine(str(folder))
    yield engine, Lake(str(folder)), snapshot
    engine.close()


@pytest.fixture
def ask(place: tuple[Engine, Lake, Snapshot]) -> Ask:
    engine, lake, snapshot = place

    def asked(**changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "tenant_id": customer_shop.TENANT,
            "snapshot": snapshot,
            "timezone": customer_shop.TIMEZONE,
            "currency": "USD",
            "currency_digits": 2,
            "now": NOW,
            **QUARTER,
            **changes,
        }
        return build_customers(engine, lake, AnalyticsRequest(**values))

    return asked


def counts(answer: dict[str, Any]) -> tuple[Any, ...]:
    """Customers, new, returning, the rate of these, and orders of guests."""
    return (
        answer["customers"],
        answer["new_customers"],
        answer["returning_customers"],
        answer["returning_customer_rate"],
        answer["guest_orders"],
    )


def cells(cohort: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(c["retained_customers"], c["retention_rate"], c["net_sales"]) for c in cohort["cells"]]


def test_who_came_and_who_came_back(ask: Ask) -> None:
    """ann, bob, cat and dan came; dan did once only. fay and eve did not, in dollars."""
    answer = ask()
    assert counts(answer["metrics"]) == (4, 4, 3, D("0.7500"), 1)
    assert counts(answer["previous"]) == (0, 0, 0, None, 0)
    assert set(answer["change"].values()) == {None}


def test_every_month_has_its_own_customers(ask: Ask) -> None:
    """In February cat returns, whose first order was in euros in January; dan is new."""
    assert [(point["date"], *counts(point)) for point in ask()["series"]] == [
        ("2026-01-01", 2, 2, 0, D("0.0000"), 0),
        ("2026-02-01", 3, 1, 2, D("0.6667"), 0),
        ("2026-03-01", 3, 0, 3, D("1.0000"), 1),
    ]


def test_what_is_compared_is_counted_like_the_period(ask: Ask) -> None:
    """March against [29 Jan, 1 Mar): ann, bob, cat, dan, of whom bob and dan are new."""
    answer = ask(start=date(2026, 3, 1))
    assert counts(answer["metrics"]) == (3, 0, 3, D("1.0000"), 1)
    assert counts(answer["previous"]) == (4, 2, 2, D("0.5000"), 0)
    assert counts(answer["change"]) == (D("-0.2500"), D("-1.0000"), D("0.5000"), D("1.0000"), None)


def test_cohorts_by_order_date(ask: Ask) -> None:
    """January: ann, bob and, for the euros, cat; the refund of April is February's.

    Net sales: January 100 + 40; February 45 + (80 − 30); March 20 + 20 + 25. dan is February's, and
    his order of March was cancelled.
    """
    cohorts = ask()["cohorts"]
    assert (cohorts["interval"], cohorts["until"]) == ("month", "2026-04-01T04:00:00.000000Z")
    january, february, march = cohorts["data"]
    assert (january["cohort"], january["customers"]) == ("2026-01-01", 3)
    assert cells(january) == [
        (2, D("0.6667"), D("140.00")),
        (2, D("0.6667"), D("95.00")),
        (3, D("1.0000"), D("65.00")),
    ]
    assert (january["net_sales"], january["lifetime_value"]) == (D("300.00"), D("100.00"))
    assert [c["periods_since"] for c in january["cells"]] == [0, 1, 2]
    assert [c["date"] for c in january["cells"]] == ["2026-01-01", "2026-02-01", "2026-03-01"]
    assert all(c["is_complete"] for c in january["cells"])
    assert (february["customers"], february["lifetime_value"]) == (1, D("60.00"))
    assert cells(february) == [(1, D("1.0000"), D("60.00")), (0, D("0.0000"), D("0.00"))]
    assert (march["customers"], march["lifetime_value"]) == (0, None)
    assert cells(march) == [(0, None, D("0.00"))]


def test_cohorts_by_event_date(ask: Ask) -> None:
    """Until 23 March dan's order of 20 March stands; from 2 April on cat has 30.00 back."""
    january, february, _ = ask(basis="event_date", end=date(2026, 3, 23))["cohorts"]["data"]
    assert cells(january)[1:] == [(2, D("0.6667"), D("125.00")), (2, D("0.6667"), D("45.00"))]
    assert cells(february)[1] == (0, D("0.0000"), D("500.00"))
    assert [c["is_complete"] for c in january["cells"]] == [True, True, False]
    january, february, *_ = ask(basis="event_date", end=date(2026, 6, 1))["cohorts"]["data"]
    assert cells(january)[2:] == [(3, D("1.0000"), D("65.00")), (0, D("0.0000"), D("-30.00"))]
    assert january["cells"][3]["is_complete"] is False
    assert january["lifetime_value"] == D("100.00")
    assert cells(february)[1:] == [(0, D("0.0000"), D("0.00"))] * 2


def test_a_cancelled_order_before_the_first_counts_with_it(ask: Ask) -> None:
    """eve's 1000 of January is reversed in February: both count on 3 February, her first order."""
    asked = {"currency": "JPY", "currency_digits": 0}
    for basis in ("order_date", "event_date"):
        (february, _) = ask(**asked, basis=basis)["cohorts"]["data"]
        assert (february["cohort"], february["customers"]) == ("2026-02-01", 1)
        assert cells(february) == [(1, D("1.0000"), D("2000")), (0, D("0.0000"), D("0"))]
        assert str(february["lifetime_value"]) == "2000"


def test_cohorts_of_a_channel_and_a_currency(ask: Ask) -> None:
    """cat, of January's, ordered at the till in March and once in euros."""
    till = ask(channel="pos")
    assert counts(till["metrics"]) == (1, 1, 1, D("1.0000"), 1)
    january = till["cohorts"]["data"][0]
    assert january["customers"] == 1
    assert cells(january) == [
        (0, D("0.0000"), D("0.00")), (0, D("0.0000"), D("0.00")), (1, D("1.0000"), D("25.00")),
    ]  # fmt: skip
    euro = ask(currency="EUR")["cohorts"]["data"]
    assert cells(euro[0]) == [(1, D("1.0000"), D("7.00"))] + [(0, D("0.0000"), D("0.00"))] * 2


def test_cohorts_by_week(ask: Ask) -> None:
    """The week of 26 January has bob, who ordered on Saturday night in New York; then 8 March."""
    weeks = {c["cohort"]: c for c in ask(interval="week")["cohorts"]["data"]}
    assert next(iter(weeks)) == "2026-01-05"
    assert len(weeks) == 13
    bob = weeks["2026-01-26"]
    assert bob["customers"] == 1
    assert {c["date"]: c["net_sales"] for c in bob["cells"] if c["retained_customers"]} == {
        "2026-01-26": D("40.00"),
        "2026-03-02": D("20.00"),
    }


def test_segments(ask: Ask) -> None:
    """On 1 April 00:00 in New York, of 4 customers:

    | who | last order, whole days | orders | net sales | scores    |
    | ann |  0                     | 3      | 165.00    | 5, 4, 5   | champions
    | bob | 23                     | 3      |  60.00    | 2, 4, 1   | at risk
    | cat | 21                     | 2      |  75.00    | 4, 2, 4   | potential loyalists
    | dan | 30                     | 1      |  60.00    | 1, 1, 1   | lost

    Of the three others, 0, 1, 2, 3 are better or worse: ⌊5 × 0, 1, 2, 3 ÷ 3⌋ is 0, 1, 3, 5.
    """
    rfm = ask()["rfm"]
    assert (rfm["customers"], rfm["net_sales"]) == (4, D("360.00"))
    assert [segment["segment"] for segment in rfm["segments"]] == [s.name for s in SEGMENTS]
    assert {
        s["segment"]: (s["customers"], s["customer_share"], s["orders"], s["net_sales"])
        for s in rfm["segments"]
        if s["customers"]
    } == {
        "champions": (1, D("0.2500"), 3, D("165.00")),
        "potential_loyalists": (1, D("0.2500"), 2, D("75.00")),
        "at_risk": (1, D("0.2500"), 3, D("60.00")),
        "lost": (1, D("0.2500"), 1, D("60.00")),
    }
    assert all(s["net_sales"] == 0 for s in rfm["segments"] if not s["customers"])


def test_lifetime_value_is_of_everybody_by_then(ask: Ask) -> None:
    """In a quiet week of March as in all the quarter: (165 + 60 + 75 + 60 − ann's last 20) ÷ 4."""
    assert ask()["lifetime_value"] == {
        "customers": 4,
        "net_sales": D("360.00"),
        "lifetime_value": D("90.00"),
    }
    week = ask(start=date(2026, 3, 24), end=date(2026, 3, 31))
    assert week["metrics"]["customers"] == 0
    assert week["lifetime_value"]["lifetime_value"] == D("85.00")
    by_event = ask(start=date(2026, 3, 24), end=date(2026, 3, 31), basis="event_date")
    assert by_event["lifetime_value"]["net_sales"] == D("370.00")


def test_repeat_intervals(ask: Ask) -> None:
    """30 d, 50 d, 35 d 2 h, 1 h (2 on the wall), 23 d: 11 934 000 s over 5; the middle is 30 d."""
    assert ask()["repeat_interval"] == {
        "repeat_orders": 5,
        "mean_days": D("27.6250"),
        "median_days": D("30.0000"),
    }


def test_an_even_number_of_repeat_intervals(ask: Ask) -> None:
    """In March 1 h, 23 d, 35 d 2 h and 50 d: 9 342 000 s over 4; between 23 d and 35 d 2 h."""
    assert ask(start=date(2026, 3, 1))["repeat_interval"] == {
        "repeat_orders": 4,
        "mean_days": D("27.0313"),
        "median_days": D("29.0417"),
    }


def test_nobody(ask: Ask) -> None:
    for changes in (
        {"currency": "GBP"},
        {"tenant_id": "0198c0de-0000-7000-8000-00000000ffff"},
        {"start": date(2026, 6, 1), "end": date(2026, 7, 1), "currency": "GBP"},
    ):
        answer = ask(**changes)
        assert counts(answer["metrics"]) == (0, 0, 0, None, 0)
        assert answer["cohorts"]["data"] == []
        assert answer["rfm"]["customers"] == 0
        assert answer["lifetime_value"]["lifetime_value"] is None
        assert answer["repeat_interval"]["median_days"] is None


def test_only_so_many_cohorts(ask: Ask) -> None:
    with pytest.raises(ValueError, match="200 cohorts"):
        ask(interval="week", end=date(2031, 1, 1), now=datetime(2032, 1, 1, tzinfo=UTC))


def test_every_triple_of_scores_has_a_segment() -> None:
    named = {segment_of(*scores).name for scores in product(range(1, 6), repeat=3)}
    assert named == {segment.name for segment in SEGMENTS}
