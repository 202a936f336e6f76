"""The demo shop: the same for the same seed, whole, believable, written once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shop_api.bulk.demo_shop.seeding import seed_demo_shop
from shop_api.bulk.journal import Progress
from shop_api.commands.demo_days import ORDER_DAYS, ORDERS, LastDays
from shop_api.db.request_redis import RequestRedis
from shop_api.spine.traffic_stream import TrafficEvent, TrafficIntake
from tests.factories.imports import fingerprint, query
from tests.factories.rows import make_tenant
from tests.fixtures.stores import Database

NOW = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
ORDER_COUNT = 3000
CONTENT = (
    "SELECT o.external_id, o.placed_at, o.status, o.total, o.channel, l.sku, l.quantity,"
    " l.discount_total FROM orders o JOIN order_lines l ON l.order_id = o.id ORDER BY 1, 6"
)


def seed(database: Database, tenant_id: UUID, number: int = 7, now: datetime = NOW) -> bool:
    seen: list[Progress] = []
    is_new = seed_demo_shop(
        database.engine, database.waker, tenant_id, now, number, seen.append, ORDER_COUNT
    )
    assert not is_new or seen[-1].ratio == pytest.approx(1)
    return is_new


@pytest.fixture(scope="module")
def tenant(database: Database) -> UUID:
    """A tenant with a demo shop."""
    tenant_id = make_tenant(database, "EUR", "Europe/Berlin")
    assert seed(database, tenant_id)
    return tenant_id


def test_nothing_is_refused_and_all_is_there(database: Database, tenant: UUID) -> None:
    (counts,) = query(database, tenant, "SELECT counts FROM jobs")[0]
    assert {name: c["rejected"] for name, c in counts.items()} == dict.fromkeys(counts, 0)
    assert (counts["products"]["created"], counts["orders"]["created"]) == (500, ORDER_COUNT)
    assert query(
        database,
        tenant,
        "SELECT count(DISTINCT v.id) = count(DISTINCT (v.id, s.variant_id)),"
        " count(DISTINCT s.location_id), bool_and(v.track_quantity), count(s.*) / count(DISTINCT"
        " v.id) FROM variants v LEFT JOIN stock_levels s ON s.variant_id = v.id",
    ) == [(True, 2, True, 2)]


def test_it_looks_like_a_shop(database: Database, tenant: UUID) -> None:
    by_weekday = query(
        database,
        tenant,
        "SELECT extract(isodow FROM placed_at AT TIME ZONE 'Europe/Berlin')::int, count(*)"
        " FROM orders GROUP BY 1 ORDER BY 2 DESC",
    )
    assert by_weekday[0][0] == 6
    assert [row[0] for row in query(database, tenant, "SELECT DISTINCT channel FROM orders")] in (
        ["pos", "web"],
        ["web", "pos"],
    )
    months = dict(
        query(
            database,
            tenant,
            "SELECT to_char(placed_at, 'YYYY-MM'), count(*) FROM orders GROUP BY 1",
        )
    )
    assert len(months) == 19
    assert months["2025-12"] > 1.5 * months["2026-02"]
    assert months["2026-10"] > months["2025-10"]
    shares = query(
        database,
        tenant,
        "SELECT avg((status = 'cancelled')::int), avg((refunded_total > 0)::int),"
        " avg((discount_total > 0)::int), avg((customer_id IS NULL)::int) FROM orders",
    )[0]
    for share, low, high in zip(
        shares, (0.01, 0.03, 0.08, 0.1), (0.05, 0.2, 0.2, 0.4), strict=True
    ):
        assert low < share < high
    (best, every) = query(
        database,
        tenant,
        "SELECT max(n), sum(n) FROM (SELECT sum(quantity) AS n FROM order_lines"
        " GROUP BY product_id)",
    )[0]
    assert best / every < 0.03
    assert query(
        database,
        tenant,
        "SELECT count(*) > 200, max(n) <= 30 FROM (SELECT count(*) AS n FROM orders WHERE"
        " customer_id IS NOT NULL GROUP BY customer_id) c WHERE n > 1",
    ) == [(True, True)]


def test_nothing_happens_after_now(database: Database, tenant: UUID) -> None:
    assert query(
        database,
        tenant,
        "SELECT max(greatest(o.placed_at, o.completed_at, o.cancelled_at, r.created_at))"
        f" < '{NOW.isoformat()}' FROM orders o LEFT JOIN refunds r ON r.order_id = o.id",
    ) == [(True,)]


def test_amounts_agree_with_their_parts(database: Database, tenant: UUID) -> None:
    assert query(
        database,
        tenant,
        "SELECT count(*) FROM orders o CROSS JOIN LATERAL (SELECT sum(l.subtotal) AS subtotal,"
        " sum(l.discount_total) AS discount, sum(l.tax_total) AS tax FROM order_lines l"
        " WHERE l.order_id = o.id) l CROSS JOIN LATERAL (SELECT coalesce(sum(amount)"
        " FILTER (WHERE status = 'captured'), 0) AS paid FROM payments WHERE order_id = o.id) p"
        " CROSS JOIN LATERAL (SELECT coalesce(sum(amount), 0) AS refunded FROM refunds"
        " WHERE order_id = o.id) r WHERE (o.subtotal, o.discount_total, o.tax_total, o.paid_total,"
        " o.refunded_total) IS DISTINCT FROM (l.subtotal, l.discount, l.tax, p.paid, r.refunded)"
        " OR r.refunded > p.paid",
    ) == [(0,)]


def test_the_same_seed_gives_the_same_shop(database: Database, tenant: UUID) -> None:
    again, other = (make_tenant(database, "EUR", "Europe/Berlin") for _ in range(2))
    seed(database, again)
    seed(database, other, 8)
    assert query(database, again, CONTENT) == query(database, tenant, CONTENT)
    assert query(database, other, CONTENT) != query(database, tenant, CONTENT)


def test_a_filled_shop_is_left_alone(database: Database, tenant: UUID) -> None:
    before = fingerprint(database, tenant)
    assert not seed(database, tenant, 9, datetime(2027, 1, 1, tzinfo=UTC))
    assert fingerprint(database, tenant) == before


def test_a_run_that_was_cut_short_goes_on_as_of_its_beginning(
    database: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = make_tenant(database, "EUR", "Europe/Berlin")

    def stop(progress: Progress) -> None:
        if progress.step == "customers":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed_demo_shop(database.engine, database.waker, cut, NOW, 7, stop, ORDER_COUNT)
    assert query(database, cut, "SELECT count(*) FROM orders") == [(0,)]
    assert seed(database, cut, 9, datetime(2027, 1, 1, tzinfo=UTC))
    assert query(database, cut, CONTENT) == query(database, tenant, CONTENT)


class Intake(TrafficIntake):
    """Knows which events it took; its process is killed with the `last`th batch."""

    def __init__(self, redis_url: str, last: int | None = None) -> None:
        super().__init__(RequestRedis(redis_url), 1_000_000)
        self.batches: list[list[str]] = []
        self._last = last

    def add(
        self,
        tenant_id: UUID,
        events: Sequence[TrafficEvent],
        visitor_ids: Sequence[str],
        now: datetime,
    ) -> bool:
        is_added = super().add(tenant_id, events, visitor_ids, now)
        self.batches.append([event.event_id for event in events])
        if len(self.batches) == self._last:
            raise KeyboardInterrupt
        return is_added


def test_last_days_that_were_cut_short_are_gone_on_with_as_of_their_beginning(
    database: Database, redis_url: str
) -> None:
    tenant_id = make_tenant(database, "EUR", "Europe/Berlin")
    seed_demo_shop(database.engine, database.waker, tenant_id, NOW, 7, lambda _: None, 300)
    last = "SELECT count(*), max(placed_at) FROM orders WHERE external_id LIKE 'L%%'"

    def days() -> LastDays:
        return LastDays(database.engine, database.waker, tenant_id, 7)

    first = days()
    assert first.begun_at(NOW) == NOW
    first.place_orders(NOW)
    placed = query(database, tenant_id, last)
    assert placed == [(ORDERS, NOW - timedelta(days=ORDER_DAYS / ORDERS))]
    cut, whole = Intake(redis_url, 2), Intake(redis_url)
    with pytest.raises(KeyboardInterrupt):
        first.send_visits(cut, NOW)
    # the next start
    again = days()
    began = again.begun_at(NOW + timedelta(hours=5))
    assert began == NOW
    again.place_orders(began)
    assert query(database, tenant_id, last) == placed
    count = again.send_visits(whole, began)
    assert count == sum(map(len, whole.batches)) > 1000
    # an event that was sent before is the same: it counts once
    assert cut.batches == whole.batches[:2]


def test_a_shop_in_a_currency_without_decimals(database: Database) -> None:
    tenant_id = make_tenant(database, "JPY", "Asia/Tokyo")
    seed(database, tenant_id)
    assert query(
        database,
        tenant_id,
        "SELECT count(*) FILTER (WHERE currency = 'JPY') > 0.9 * count(*), count(*),"
        " bool_and(total = trunc(total)) FILTER (WHERE currency = 'JPY'),"
        " max(total) FILTER (WHERE currency = 'USD') < min(total) FILTER (WHERE currency = 'JPY')"
        " * 100 FROM orders",
    ) == [(True, ORDER_COUNT, True, True)]
