"""Orders of one shop placed at once: each number once, and events in the order of the commits."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.etag import make_etag
from tests.fixtures.api import Answered, Shop

THREADS = 8
ORDERS = 60


def rows(app: App, shop: Shop, query: str, **values: Any) -> list[Any]:
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        return list(session.execute(text(query), values))


def follow(app: App, shop: Shop, is_over: Event) -> list[Any]:
    """The events as one who asks for what is above the last he saw meets them."""
    seen: list[Any] = []
    while True:
        was_over = is_over.is_set()
        seen += rows(
            app,
            shop,
            "SELECT sequence, type, data->>'number' AS number FROM events"
            " WHERE sequence > :last ORDER BY sequence",
            last=seen[-1].sequence if seen else 0,
        )
        if was_over:
            return seen


def test_numbers_and_events_follow_the_commits_without_gaps(app: App, shop: Shop) -> None:
    """Between orders that are refused, read by one who asks meanwhile."""
    many = [shop.product(quantity=1000)["variants"][0]["id"] for _ in range(3)]
    none = shop.product(quantity=0)["variants"][0]["id"]
    is_over = Event()

    def buy(index: int) -> Answered:
        wanted = [(many[index % 3], 1), (many[(index + 1) % 3], 1)]
        return shop.order(*wanted, *([(none, 1)] if index % 4 == 0 else []), key=f"order-{index}")

    with ThreadPoolExecutor(THREADS + 1) as pool:
        reading = pool.submit(follow, app, shop, is_over)
        answers = list(pool.map(buy, range(ORDERS)))
        is_over.set()
        seen = reading.result()
    placed = [answer.json for answer in answers if answer.status == 201]
    assert (len(placed), len(answers) - len(placed)) == (45, 15)
    assert sorted(order["number"] for order in placed) == list(range(1, 46))
    assert [event.sequence for event in seen] == list(range(1, len(seen) + 1))
    created = [event.number for event in seen if event.type == "order_created"]
    assert created == [str(number) for number in range(1, 46)]


def test_all_that_is_told_of_an_order_has_its_number(app: App, shop: Shop) -> None:
    variant_id = shop.product(quantity=1000)["variants"][0]["id"]
    for number in (1, 2):
        answered = shop.order((variant_id, 1), key=f"key-{number}")
        order = answered.json
        assert order["number"] == number
        assert answered.headers["ETag"] == make_etag(answered.body, 1)
        (event,) = rows(app, shop, "SELECT data FROM events WHERE subject_id = :id", id=order["id"])
        assert event.data["number"] == number
        (entry,) = rows(
            app, shop, "SELECT changes FROM audit_entries WHERE subject_id = :id", id=order["id"]
        )
        assert entry.changes["after"]["number"] == number
        replayed = shop.order((variant_id, 1), key=f"key-{number}")
        assert replayed.headers.pop("Idempotency-Replayed") == "true"
        assert replayed.body == answered.body
        for name in ("ETag", "Location", "Content-Type"):
            assert replayed.headers[name] == answered.headers[name]
