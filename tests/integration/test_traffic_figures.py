"""Figures of traffic: by rows computed by hand, and whatever is sent in whatever order, as plain
Python counts it.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.dashboard.answers import build_dashboard
from analytics.dashboard.question import AnalyticsRequest
from analytics.dashboard.traffic import NAMES, RATE, build_traffic
from analytics.engine import Engine
from analytics.lake import Lake, Snapshot
from analytics.periods import find_zone, local_date
from pipelines.context import LakeContext
from pipelines.runner import run_export
from pipelines.traffic import run_traffic
from shop_api.db.request_redis import RequestRedis
from shop_api.spine.traffic_stream import TrafficEvent, TrafficIntake, count_online, microseconds
from tests.factories.lake import write_lake
from tests.factories.rows import make_tenant
from tests.fixtures.lake import new_lake, now, published
from tests.fixtures.stores import Database

TENANT = "0198c0de-0000-7000-8000-00000000000a"
D = Decimal
STEP_OF = {"product_view": 1, "add_to_cart": 2, "checkout_started": 3, "purchase": 4}


def request(snapshot: Snapshot, tenant_id: str = TENANT, **changes: Any) -> AnalyticsRequest:
    known: dict[str, Any] = {
        "timezone": "Europe/Rome",
        "currency": "EUR",
        "currency_digits": 2,
        "now": datetime(2026, 6, 1, tzinfo=UTC),
        "start": date(2026, 3, 28),
        "end": date(2026, 3, 31),
        "interval": "day",
        "compare": "none",
    }
    return AnalyticsRequest(tenant_id=tenant_id, snapshot=snapshot, **{**known, **changes})


def row(at: str, visitor: str, session: str, kind: str, **changes: Any) -> dict[str, Any]:
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return {
        "event_id": str(uuid4()),
        "hour_key": f"{instant:%Y-%m-%dT%H}",
        "occurred_at": instant,
        "received_at": instant,
        "kind": kind,
        "visitor_id": visitor,
        "session_id": session,
        "is_bot": False,
        **changes,
    }


# Rome has 23 hours on 29 March 2026: 23:00 UTC of the 28th to 22:00 of the 29th.
ROWS = [
    # a, on the 28th: a product, a cart; then midnight passes, and the purchase is of the 29th
    row("2026-03-28T22:50", "a", "1", "page_view", path="/", referrer_host="search.example"),
    row("2026-03-28T22:55", "a", "1", "product_view", product_id="mug", path="/mug"),
    row("2026-03-28T22:59:59.999999", "a", "1", "add_to_cart", product_id="mug"),
    row("2026-03-28T23:00", "a", "1", "purchase", order_id="o1"),
    # b, on the 29th: two sessions of which one buys without its cart being told
    row("2026-03-29T10:00", "b", "1", "page_view", path="/", utm_source="mail", device="mobile"),
    row("2026-03-29T10:01", "b", "1", "page_view", path="/", device="desktop"),
    row("2026-03-29T20:00", "b", "2", "page_view", path="/mug"),
    row("2026-03-29T21:59:59", "b", "2", "purchase", order_id="o2"),
    # c has the name of a session that a has, too: on the 30th, its first instant
    row("2026-03-29T22:00", "c", "1", "checkout_started"),
    # a crawler
    row("2026-03-29T12:00", "z", "1", "page_view", path="/", is_bot=True),
    # before and after the period
    row("2026-03-27T22:59:59", "d", "1", "purchase", order_id="o3"),
    row("2026-03-30T22:00", "d", "1", "page_view", path="/"),
]
PRODUCTS = [{"product_id": "mug", "name": "Mug", "sku": "M-1", "status": "active"}]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Lake, Snapshot]]:
    folder = tmp_path_factory.mktemp("lake")
    tables = {"traffic_events": ROWS, "dim_products": PRODUCTS}
    snapshot = write_lake(folder, {TENANT: tables})
    engine = Engine(str(folder))
    yield engine, Lake(str(folder)), snapshot
    engine.close()


def figures(*values: Any) -> dict[str, Any]:
    """In the order: sessions, product, cart, checkout, purchase, visitors, page views, rate."""
    return dict(zip((*NAMES, RATE), values, strict=True))


def test_figures_by_hand(place: tuple[Engine, Lake, Snapshot]) -> None:
    engine, lake, snapshot = place
    answer = build_traffic(engine, lake, request(snapshot))
    # sessions a1, b1, b2, c1
    assert answer["metrics"] == figures(4, 3, 3, 3, 2, 3, 4, D("0.5000"))
    assert answer["series"] == [
        {"date": "2026-03-28", **figures(1, 1, 1, 0, 0, 1, 1, D("0.0000"))},
        {"date": "2026-03-29", **figures(3, 2, 2, 2, 2, 2, 3, D("0.6667"))},
        {"date": "2026-03-30", **figures(1, 1, 1, 1, 0, 1, 0, D("0.0000"))},
    ]
    keys = ("step", "sessions", "share", "share_of_previous")
    assert [tuple(step[key] for key in keys) for step in answer["funnel"]] == [
        ("sessions", 4, D("1.0000"), D("1.0000")),
        ("product_view_sessions", 3, D("0.7500"), D("0.7500")),
        ("cart_sessions", 3, D("0.7500"), D("1.0000")),
        ("checkout_sessions", 3, D("0.7500"), D("1.0000")),
        ("converted_sessions", 2, D("0.5000"), D("0.6667")),
    ]  # fmt: skip
    assert answer["sources"] == {
        "by_referrer": [
            {"referrer_host": None, **sessions(3, 1, "0.3333")},
            {"referrer_host": "search.example", **sessions(1, 1, "1.0000")},
        ],
        "by_campaign": [
            {**campaign(None), **sessions(3, 2, "0.6667")},
            {**campaign("mail"), **sessions(1, 0, "0.0000")},
        ],
    }
    assert answer["devices"] == [
        {"device": None, **sessions(3, 2, "0.6667")},
        {"device": "mobile", **sessions(1, 0, "0.0000")},
    ]
    assert answer["top_pages"] == [
        {"path": "/", "page_views": 3, "sessions": 2},
        {"path": "/mug", "page_views": 1, "sessions": 1},
    ]
    assert answer["top_products"] == [
        {
            "product_id": "mug",
            "name": "Mug",
            "sku": "M-1",
            "product_views": 1,
            "cart_additions": 1,
            "sessions": 1,
        }
    ]
    assert (answer["previous"], answer["change"], answer["compared_with"]) == (None, None, None)


def sessions(count: int, converted: int, rate: str) -> dict[str, Any]:
    return {"sessions": count, "converted_sessions": converted, RATE: D(rate)}


def campaign(source: str | None) -> dict[str, Any]:
    return {"utm_source": source, "utm_medium": None, "utm_campaign": None}


def test_bots_count_when_they_are_asked_for(place: tuple[Engine, Lake, Snapshot]) -> None:
    engine, lake, snapshot = place
    answer = build_traffic(engine, lake, request(snapshot, include_bots=True))
    assert answer["metrics"] == figures(5, 3, 3, 3, 2, 4, 5, D("0.4000"))
    assert answer["include_bots"] is True
    assert answer["top_pages"][0] == {"path": "/", "page_views": 4, "sessions": 3}


def test_the_days_before_are_compared_with(place: tuple[Engine, Lake, Snapshot]) -> None:
    engine, lake, snapshot = place
    changes: dict[str, Any] = {"start": date(2026, 3, 29), "end": date(2026, 3, 30)}
    changes["compare"] = "previous_period"
    answer = build_traffic(engine, lake, request(snapshot, **changes))
    assert answer["previous"] == figures(1, 1, 1, 0, 0, 1, 1, D("0.0000"))
    assert answer["change"] == figures(
        D("2.0000"), D("1.0000"), D("1.0000"), None, None, D("1.0000"), D("2.0000"), None
    )
    assert answer["compared_with"]["until"] == "2026-03-28T23:00:00.000000Z"


def test_until_the_same_time_of_day_while_the_day_runs(
    place: tuple[Engine, Lake, Snapshot],
) -> None:
    engine, lake, snapshot = place
    # 12:01 in Rome, where it was 10:01 UTC on the 29th
    present = datetime(2026, 3, 30, 10, 1, 0, 500_000, tzinfo=UTC)
    changes: dict[str, Any] = {"start": date(2026, 3, 30), "end": date(2026, 3, 31), "now": present}
    answer = build_traffic(
        engine, lake, request(snapshot, **changes, compare="previous_period", interval="hour")
    )
    assert answer["previous"] == figures(2, 1, 1, 1, 1, 2, 1, D("0.5000"))
    assert len(answer["series"]) == 24
    assert answer["series"][0]["checkout_sessions"] == 1


def test_the_dashboard_shows_the_shortest_of_it(place: tuple[Engine, Lake, Snapshot]) -> None:
    engine, lake, snapshot = place
    answer = build_dashboard(engine, lake, request(snapshot, compare="previous_period"))
    assert answer["traffic"] == {
        "sessions": 4,
        "visitors": 3,
        "page_views": 4,
        RATE: D("0.5000"),
        "change": D("3.0000"),
        "trend": [
            {"date": "2026-03-28", "value": 1},
            {"date": "2026-03-29", "value": 3},
            {"date": "2026-03-30", "value": 1},
        ],
    }
    funnel = answer["conversion_funnel"]
    assert [step["sessions"] for step in funnel["steps"]] == [4, 3, 3, 3, 2]
    assert funnel[RATE] == D("0.5000")


def test_a_tenant_sees_its_own_traffic_only(place: tuple[Engine, Lake, Snapshot]) -> None:
    engine, lake, snapshot = place
    answer = build_traffic(engine, lake, request(snapshot, tenant_id=str(uuid4())))
    assert answer["metrics"] == figures(0, 0, 0, 0, 0, 0, 0, None)
    assert answer["top_pages"] == []


# --- whatever is sent ---------------------------------------------------------------------------

# São Paulo has no midnight on 15 October 2017, and 25 hours on 17 February 2018
ZONE = "America/Sao_Paulo"
EDGES = [datetime(2017, 10, 15, 3, tzinfo=UTC), datetime(2018, 2, 18, 2, tzinfo=UTC)]
PERIODS = [
    (date(2017, 10, 14), date(2017, 10, 17)),
    (date(2018, 2, 17), date(2018, 2, 19)),
    (date(2017, 10, 15), date(2018, 2, 18)),
]
BOUNDED = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
instants = st.builds(
    lambda edge, seconds: edge + timedelta(seconds=seconds),
    st.sampled_from(EDGES),
    st.sampled_from([-1, 0, 1]) | st.integers(-100_000, 100_000),
)
names = st.sampled_from(["a", "b", "c"])


@st.composite
def some_events(draw: st.DrawFn) -> list[tuple[TrafficEvent, list[int]]]:
    """Events, each with the seconds after it when it is received: once, or several times."""
    found = []
    for number in range(draw(st.integers(1, 25))):
        at = draw(instants)
        event = TrafficEvent(
            # in no order, and each its own
            str(UUID(int=draw(st.integers(0, 2**64)) * 100 + number)),
            microseconds(at) + draw(st.sampled_from([0, 1, 999_999])),
            draw(st.sampled_from(["session", "page_view", *STEP_OF])),
            draw(names),
            draw(names),
            draw(st.sampled_from([False, False, True])),
            path=draw(st.sampled_from(["/", "/x"])),
            referrer_host=draw(st.none() | names),
            device=draw(st.none() | st.sampled_from(["mobile", "desktop"])),
        )
        late = st.sampled_from([0, 60, 172_799]) | st.integers(0, 172_799)
        found.append((event, draw(st.lists(late, min_size=1, max_size=3))))
    return found


@pytest.fixture(scope="module")
def lake(database: Database, tenant_of_module: UUID) -> Iterator[LakeContext]:
    with tempfile.TemporaryDirectory() as folder:
        made = new_lake(database, Path(folder))
        run_export(made, now())
        yield made


@pytest.fixture(scope="module")
def tenant_of_module(database: Database) -> UUID:
    return make_tenant(database)


@given(sent=some_events(), shuffle=st.randoms(use_true_random=False), bots=st.booleans())
@BOUNDED
def test_whatever_is_sent_counts_as_plain_python_counts_it(
    lake: LakeContext,
    redis_url: str,
    sent: list[tuple[TrafficEvent, list[int]]],
    shuffle: Any,
    bots: bool,
) -> None:
    """In any order, twice, late, in several runs, with housekeeping between: through the real
    Redis and the real lake."""
    tenant_id = uuid4()
    intake = TrafficIntake(RequestRedis(redis_url), 1_000_000)
    deliveries = [(event, late) for event, lates in sent for late in lates]
    shuffle.shuffle(deliveries)
    with redis.Redis.from_url(redis_url) as client:
        for event, late in deliveries:
            received = datetime.fromtimestamp(event.occurred_at // 1_000_000 + 1 + late, UTC)
            assert intake.add(tenant_id, [event], [], received)
            if shuffle.random() < 0.2:
                run_traffic(lake, client, now())
        while run_traffic(lake, client, now()).snapshot is not None:
            pass
    snapshot = published(lake)
    engine = Engine(lake.location)
    try:
        for start, end in PERIODS:
            asked = request(
                snapshot, str(tenant_id), timezone=ZONE, start=start, end=end, include_bots=bots
            )
            answer = build_traffic(engine, Lake(lake.location), asked)
            check(answer, [event for event, _ in sent if bots or not event.is_bot], start, end)
    finally:
        engine.close()


def check(answer: dict[str, Any], events: list[TrafficEvent], start: date, end: date) -> None:
    zone = find_zone(ZONE)
    of_day: dict[date, list[TrafficEvent]] = defaultdict(list)
    for event in events:
        day = local_date(datetime.fromtimestamp(event.occurred_at / 1_000_000, UTC), zone)
        if start <= day < end:
            of_day[day].append(event)
    inside = [event for day in of_day.values() for event in day]
    assert answer["metrics"] == counted(inside)
    assert [point["date"] for point in answer["series"]] == [
        (start + timedelta(days=n)).isoformat() for n in range((end - start).days)
    ]
    for point in answer["series"]:
        expected = counted(of_day[date.fromisoformat(point["date"])])
        assert {name: point[name] for name in expected} == expected
    landings: dict[tuple[str, str], TrafficEvent] = {}
    for event in sorted(inside, key=lambda e: (e.occurred_at, e.event_id)):
        landings.setdefault((event.visitor_id, event.session_id), event)
    for kind, name, told in (
        ("by_referrer", "referrer_host", answer["sources"]["by_referrer"]),
        ("devices", "device", answer["devices"]),
    ):
        by_source: dict[str | None, int] = defaultdict(int)
        for event in landings.values():
            by_source[getattr(event, name)] += 1
        assert {one[name]: one["sessions"] for one in told} == by_source, kind
    pages: dict[str | None, int] = defaultdict(int)
    for event in inside:
        if event.kind == "page_view":
            pages[event.path] += 1
    assert {page["path"]: page["page_views"] for page in answer["top_pages"]} == pages


def counted(events: list[TrafficEvent]) -> dict[str, Any]:
    furthest: dict[tuple[str, str], int] = defaultdict(int)
    for event in events:
        key = (event.visitor_id, event.session_id)
        furthest[key] = max(furthest[key], STEP_OF.get(event.kind, 0))
    reached = [sum(step >= n for step in furthest.values()) for n in range(5)]
    rate = (
        (D(reached[4]) / len(furthest)).quantize(D("0.0001"), "ROUND_HALF_UP") if furthest else None
    )
    return figures(
        *reached,
        len({event.visitor_id for event in events}),
        sum(event.kind == "page_view" for event in events),
        rate,
    )


def test_who_is_online_is_counted_over_five_minutes(
    redis_url: str, redis_client: redis.Redis
) -> None:
    intake = TrafficIntake(RequestRedis(redis_url), 1_000_000)
    tenant_id, other = uuid4(), uuid4()
    start = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    event = TrafficEvent("e", 0, "session", "v", "s", is_bot=False)
    for number in range(1000):
        at = start + timedelta(seconds=number % 60)
        intake.add(tenant_id, [event], [f"v{number}", f"v{number % 10}"], at)
    intake.add(other, [event], ["x"], start)

    def online(seconds: int) -> int:
        return count_online(redis_client, tenant_id, start + timedelta(seconds=seconds))

    assert online(60) == pytest.approx(1000, rel=0.03)
    assert count_online(redis_client, other, start) == 1
    # the first half minute is over for five
    assert 300 < online(339) < 700
    assert online(360) == 0
    assert count_online(redis_client, uuid4(), start) == 0
