"""Taking in storefront events: what is accepted, what is refused, and what it costs."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import redis

from shop_api.app import App, create_app
from shop_api.domains.tracking.service import is_bot
from shop_api.metrics.definitions import traffic_events
from shop_api.spine.traffic_stream import STREAM, WAITING, TrafficQueue
from tests.factories.traffic import sent
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.lake import now
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

TRACK = "/api/v1/track"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
# as under load: a credential that was checked is trusted
APP_SETTINGS = {"credential_cache_seconds": 600.0, "traffic_event_limit": 2_000}


@pytest.fixture(autouse=True)
def _emptied(redis_client: redis.Redis) -> None:
    """No events of other tests."""


@pytest.fixture
def page(shop: Shop) -> ApiClient:
    """A page's script, with its publishable key."""
    made = shop.api.post("/api/v1/api_keys", {"name": "page", "kind": "publishable"})
    return shop.api.with_token(made.json["key"])


def track(api: ApiClient, *events: dict[str, Any], **options: Any) -> Any:
    return api.post(TRACK, {"events": list(events)}, **options)


def counted(outcome: str) -> float:
    value: float = traffic_events.labels(outcome)._value.get()
    return value


def waiting(client: redis.Redis) -> list[Any]:
    return [event for batch in TrafficQueue(client).read(100) for event in batch.events]


def test_a_page_sends_events_with_its_publishable_key(
    page: ApiClient, redis_client: redis.Redis
) -> None:
    before = counted("accepted")
    answered = track(page, sent(), sent("purchase"), headers={"User-Agent": FIREFOX})
    assert (answered.status, answered.json) == (
        202,
        {"accepted": 2, "refused": {"too_old": 0, "in_future": 0}},
    )
    assert [event.kind for event in waiting(redis_client)] == ["page_view", "purchase"]
    assert counted("accepted") - before == 2


def test_a_batch_takes_no_statement_and_one_call(
    app: App, page: ApiClient, redis_client: redis.Redis
) -> None:
    events = [sent(visitor_id=f"v_{number}") for number in range(100)]
    assert track(page, *events).status == 202
    commands = redis_client.info("commandstats")
    with statements(app.services.engine) as seen:
        assert track(page, *[event | {"id": str(uuid4())} for event in events]).status == 202
    assert seen == []
    after = redis_client.info("commandstats")
    calls = {
        name: after[name]["calls"] - commands.get(name, {"calls": 0})["calls"] for name in after
    }
    # what the rate limits ask is another script's
    assert calls["cmdstat_xadd"] == 1
    assert calls["cmdstat_evalsha"] <= 2
    assert calls.get("cmdstat_eval", 0) == 0


def test_events_whose_time_is_out_of_bounds_are_refused_one_by_one(
    shop: Shop, redis_client: redis.Redis
) -> None:
    before = counted("too_old"), counted("in_future")
    present = now()
    times = [
        present - timedelta(hours=48, seconds=5),
        present - timedelta(hours=48) + timedelta(seconds=5),
        present,
        present + timedelta(seconds=30),
        present + timedelta(seconds=90),
        present + timedelta(days=400),
    ]
    answered = track(shop.api, *(sent(at=at) for at in times))
    assert answered.json == {"accepted": 3, "refused": {"too_old": 1, "in_future": 2}}
    assert len(waiting(redis_client)) == 3
    assert (counted("too_old") - before[0], counted("in_future") - before[1]) == (1, 2)
    none = track(shop.api, sent(at=times[0]))
    assert (none.status, none.json["accepted"]) == (202, 0)


@pytest.mark.parametrize(
    ("kind", "changes", "pointer"),
    [
        ("page_view", {"path": "/a?utm_source=x"}, "path"),
        ("page_view", {"path": "shop"}, "path"),
        ("page_view", {"path": "/a b"}, "path"),
        ("page_view", {"path": "/" + "a" * 512}, "path"),
        ("session", {"referrer_host": "https://www.example.com/"}, "referrer_host"),
        ("session", {"referrer_host": "Example.com"}, "referrer_host"),
        ("session", {"visitor_id": "ada@example.com"}, "visitor_id"),
        ("session", {"session_id": "s" * 65}, "session_id"),
        ("session", {"id": "1"}, "id"),
        ("session", {"device": "fridge"}, "device"),
        ("session", {"utm_source": "a" * 101}, "utm_source"),
        ("session", {"occurred_at": "2026-01-31T12:00:00"}, "occurred_at"),
        ("login", {}, "kind"),
        ("session", {"ip_address": "10.0.0.1"}, "ip_address"),
    ],
)
def test_an_event_of_another_form_refuses_the_batch(
    shop: Shop, redis_client: redis.Redis, kind: str, changes: dict[str, Any], pointer: str
) -> None:
    refused = track(shop.api, sent(), sent(kind, **changes))
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert [error["pointer"] for error in refused.json["errors"]] == [f"/events/1/{pointer}"]
    assert redis_client.xlen(STREAM) == 0


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("page_view", "path"),
        ("product_view", "product_id"),
        ("add_to_cart", "product_id"),
        ("purchase", "order_id"),
    ],
)
def test_an_event_has_what_its_kind_needs(shop: Shop, kind: str, needed: str) -> None:
    event = sent(kind)
    del event[needed]
    refused = track(shop.api, event)
    assert refused.json["errors"][0]["pointer"] == f"/events/0/{needed}"


def test_a_batch_has_at_most_500_events_also_of_a_page(
    page: ApiClient, redis_client: redis.Redis
) -> None:
    longest: dict[str, Any] = {
        "path": "/" + "p" * 200,
        "referrer_host": "www.example.com",
        "device": "mobile",
    }
    assert track(page, *(sent(**longest) for _ in range(500))).json["accepted"] == 500
    assert track(page, *(sent() for _ in range(501))).status == 422
    assert track(page).status == 422
    assert redis_client.hget(WAITING, "all") == b"500"
    huge = page.post(TRACK, data=b" " * 524_289, content_type="application/json")
    assert (huge.status, huge.code) == (413, "body_too_large")


def test_a_full_stream_refuses_whole_batches_and_says_so(
    app: App, api: ApiClient, redis_client: redis.Redis
) -> None:
    """At most 2 000 wait, of a tenant half."""
    one, two, three = (open_shop(api) for _ in range(3))
    before = counted("stream_full")
    for shop in (one, two):
        for _ in range(2):
            assert track(shop.api, *(sent() for _ in range(500))).status == 202
        refused = track(shop.api, sent(), sent())
        assert (refused.status, refused.code) == (503, "traffic_stream_full")
        assert refused.headers["Retry-After"] == "30"
    assert track(three.api, sent()).code == "traffic_stream_full"
    assert counted("stream_full") - before == 5
    queue = TrafficQueue(redis_client)
    batches = queue.read(1)
    # acknowledged twice it makes room once
    queue.acknowledge(batches)
    queue.acknowledge(batches)
    assert redis_client.hgetall(WAITING) == {
        b"all": b"1500",
        str(one.tenant_id).encode(): b"500",
        str(two.tenant_id).encode(): b"1000",
    }
    assert track(three.api, sent()).status == 202


def test_without_redis_nothing_is_taken_in_and_nothing_dropped_in_silence(
    database: Database, tmp_path_factory: pytest.TempPathFactory, shop: Shop
) -> None:
    settings = database.settings(tmp_path_factory.mktemp("away"), "redis://127.0.0.1:1/0")
    alone = create_app(settings)
    before = counted("redis_away")
    try:
        api = ApiClient(alone, AnswerChecker(alone), shop.api.token)
        for _ in range(5):
            refused = track(api, sent(), sent())
            assert (refused.status, refused.code) == (503, "traffic_unavailable")
            assert int(refused.headers["Retry-After"]) >= 1
    finally:
        alone.close()
    assert counted("redis_away") - before == 10


def test_an_idempotency_key_is_taken_and_no_answer_kept(
    shop: Shop, redis_client: redis.Redis
) -> None:
    event, key = sent(), uuid4().hex
    first, again = (track(shop.api, event, key=key) for _ in range(2))
    assert (again.status, again.body) == (first.status, first.body)
    assert "Idempotency-Replayed" not in again.headers
    # both are in the stream: the lake takes the event once (test_traffic.py)
    assert [e.event_id for e in waiting(redis_client)] == [event["id"]] * 2
    assert track(shop.api, sent(), key=key).status == 202
    assert track(shop.api, sent(), key="").code == "invalid_idempotency_key"


def test_bots_are_marked_by_the_visitors_user_agent(
    shop: Shop, page: ApiClient, redis_client: redis.Redis
) -> None:
    for agent in (FIREFOX, GOOGLE, ""):
        track(page, sent(), headers={"User-Agent": agent})
    # a server's own User-Agent says nothing of the visitors
    track(shop.api, sent(), sent(user_agent=GOOGLE), headers={"User-Agent": "curl/8.5.0"})
    assert [e.is_bot for e in waiting(redis_client)] == [False, True, True, False, True]


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (FIREFOX, False),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT_P30) Chrome/80 Mobile Safari/537.36", False),
        ("python-requests/2.31", True),
        ("curl/8.5.0", True),
        (GOOGLE, True),
        ("", True),
        (None, False),
    ],
)
def test_known_crawlers_are_bots(agent: str | None, expected: bool) -> None:
    assert is_bot(agent) is expected


def test_nothing_of_a_person_is_kept(page: ApiClient, redis_client: redis.Redis) -> None:
    agent = FIREFOX + " Peculiar/77"
    track(page, sent(), headers={"User-Agent": agent, "X-Forwarded-For": "203.0.113.77"})
    kept = [redis_client.dump(key) for key in redis_client.keys("{traffic}*")]
    entries: Any = redis_client.xrange(STREAM)
    ((_, held),) = entries
    fields = b" ".join(value for pair in held.items() for value in pair)
    for secret in (b"Peculiar", b"203.0.113.77", b"127.0.0.1"):
        assert secret not in fields
        assert not [value for value in kept if value is not None and secret in value]
    assert len(msgspec.msgpack.decode(held[b"events"])[0]) == 15
