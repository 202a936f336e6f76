"""The cache stages over a real Redis: what is kept, for whom and how long."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis

from shop_api.gateway import kept_answers
from shop_api.gateway.purges import record_purge
from shop_api.kernel.exchange import Answer, Exchange
from shop_api.kernel.principal import Principal
from shop_api.spine.resources import CATALOGUE, ORDERS
from tests.factories.cache_stages import (
    DEAR,
    FIGURES,
    FREE,
    LIST,
    NOON,
    OTHER_TENANT,
    POLICIES,
    READER,
    TENANT,
    Start,
    plain,
    status,
)


def test_an_answer_is_kept_for_its_time(start_process: Start) -> None:
    process = start_process()
    first = process.get(LIST)
    assert status(first) == "fwd=miss; stored; ttl=300"
    later = NOON + timedelta(seconds=299)
    again = process.get(LIST, at=later)
    assert (status(again), again.body) == ("hit; ttl=1; detail=memory", first.body)
    assert status(process.get(LIST, at=NOON + timedelta(seconds=300))).startswith("fwd=stale")
    assert process.made == [LIST] * 2


def test_what_is_kept_in_memory_alone_is_kept_from_the_second_time(start_process: Start) -> None:
    process = start_process(keeps_first=False)
    assert status(process.get(LIST)) == "fwd=miss; detail=first"
    assert status(process.get(LIST, "a=1")) == "fwd=miss; detail=first"
    assert status(process.get(LIST)) == "fwd=miss; stored; ttl=300"
    assert status(process.get(LIST)).startswith("hit")
    # what is dear is kept for all from the first
    assert status(process.get(DEAR)).startswith("fwd=miss; stored")


def test_how_many_first_times_are_remembered_is_bounded(
    start_process: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answers, "MAX_ASKED", 3)
    process = start_process(keeps_first=False)
    for number in range(4):
        process.get(LIST, f"a={number}")
    assert status(process.get(LIST, "a=0")) == "fwd=miss; detail=first"
    assert status(process.get(LIST, "a=3")).startswith("fwd=miss; stored")


def test_who_may_see_the_same_is_answered_the_same_and_nobody_else(start_process: Start) -> None:
    process = start_process()
    others = [
        Principal(OTHER_TENANT, "user:1", READER.scopes, FREE),
        Principal(TENANT, "user:1", READER.scopes | {"orders:read"}, FREE),
        Principal(TENANT, "user:1", READER.scopes, FREE, is_publishable=True),
        Principal(TENANT, "user:1", READER.scopes, FREE, timezone="Asia/Kathmandu"),
        Principal(TENANT, "user:1", READER.scopes, FREE, currency="JPY"),
    ]
    for path in POLICIES:
        for principal in (READER, *others):
            assert status(process.get(path, principal=principal)).startswith("fwd=miss")
        colleague = Principal(TENANT, "user:2", READER.scopes, FREE)
        assert status(process.get(path, principal=colleague)).startswith("hit")


def test_the_order_of_parameters_is_no_matter_and_that_of_one_s_values_is(
    start_process: Start,
) -> None:
    process = start_process()
    assert status(process.get(LIST, "b=2&a=1&b=1")).startswith("fwd=miss")
    assert status(process.get(LIST, "a=1&b=2&b=1")).startswith("hit")
    assert status(process.get(LIST, "a=1&b=1&b=2")).startswith("fwd=miss")


def test_what_is_asked_for_now_is_made_now(start_process: Start) -> None:
    process = start_process()
    for _ in range(2):
        assert status(process.get(DEAR, "real_time=true")) == "fwd=bypass; detail=real_time"
    assert status(process.get(DEAR)).startswith("fwd=miss")
    assert status(process.get(DEAR, "real_time=false")).startswith("hit")
    assert len(process.made) == 3


def test_others_pass(start_process: Start) -> None:
    process = start_process()
    assert status(process.get("/orders")) == "fwd=bypass"
    assert status(process.get(LIST, method="HEAD")) == "fwd=method"
    assert status(process.get(LIST, method="POST")) == "fwd=method"


def test_a_change_is_seen_by_every_process(start_process: Start) -> None:
    writer, reader = start_process(), start_process()
    for path in (LIST, DEAR):
        reader.get(path)
        assert status(reader.get(path)).startswith("hit")
        writer.versions.touch({(TENANT, ORDERS), (OTHER_TENANT, CATALOGUE)})
        assert status(reader.get(path)).startswith("hit")
        writer.versions.touch({(TENANT, CATALOGUE)})
        assert status(reader.get(path)).startswith("fwd=stale")


def test_only_what_a_credential_sees_makes_its_answers_old(start_process: Start) -> None:
    process = start_process()
    manager = Principal(TENANT, "user:1", READER.scopes | {"orders:read"}, FREE)
    for principal in (READER, manager):
        process.get(LIST, principal=principal)
    process.versions.touch({(TENANT, ORDERS)})
    assert status(process.get(LIST)).startswith("hit")
    assert status(process.get(LIST, principal=manager)).startswith("fwd=stale")


@pytest.mark.parametrize("path", [LIST, DEAR])
def test_what_was_read_before_a_change_is_not_kept_after_it(
    start_process: Start, path: str
) -> None:
    """The reader reads, the writer commits and tells, and only then the reader keeps."""
    writer, reader = start_process(), start_process()

    def read_then_overtaken(_: Exchange) -> Answer:
        writer.versions.touch({(TENANT, CATALOGUE)})
        return plain("old")

    reader.make = read_then_overtaken
    reader.get(path)
    reader.make = lambda _: plain("new")
    for process in (reader, start_process(make=reader.make)):
        assert process.get(path).body == plain("new").body


def test_a_lost_version_is_never_the_same_again(
    start_process: Start, redis_client: redis.Redis
) -> None:
    process = start_process()
    process.get(LIST)
    redis_client.flushall()
    assert status(process.get(LIST)).startswith("fwd=stale")
    assert status(process.get(LIST)).startswith("hit")


def test_the_second_layer_serves_other_processes(
    start_process: Start, redis_client: redis.Redis
) -> None:
    first, second = start_process(), start_process()
    made = first.get(FIGURES)
    found = second.get(FIGURES, at=NOON + timedelta(seconds=10))
    assert status(found) == "hit; ttl=590; detail=redis"
    assert found.body == made.body
    assert status(second.get(FIGURES)).endswith("detail=memory")
    assert second.made == []
    (key,) = redis_client.keys("answer:*")
    # compressed, and gone when the answer is too old
    assert redis_client.strlen(key) < len(made.body) / 10  # type: ignore[arg-type]
    assert 0 < redis_client.ttl(key) <= 600
    assert redis_client.keys("lease:*") == []


def test_a_cheap_answer_is_kept_in_the_process_alone(
    start_process: Start, redis_client: redis.Redis
) -> None:
    start_process().get(LIST)
    assert redis_client.keys("answer:*") == []


def test_too_large_an_answer_stays_in_its_process(
    start_process: Start, redis_client: redis.Redis
) -> None:
    process = start_process()
    process.answers.limit_bytes = 10
    process.get(FIGURES)
    assert redis_client.keys("answer:*") == []
    assert status(process.get(FIGURES)).startswith("hit")


def test_figures_are_kept_while_the_lake_stays(start_process: Start) -> None:
    process, other = start_process(), start_process()
    process.get(FIGURES)
    process.lake_version = "snapshot 2"
    assert status(process.get(FIGURES)).startswith("fwd=stale")
    # this one has not heard of the snapshot: it does not take what is made of another
    assert status(other.get(FIGURES)).startswith("fwd=miss")
    other.lake_version = "snapshot 2"
    other.get(FIGURES)
    assert [len(process.made), len(other.made)] == [2, 2]


def test_what_is_made_of_is_not_known(start_process: Start) -> None:
    process = start_process(lake_version=None)
    assert [status(process.get(FIGURES)) for _ in range(2)] == [
        "fwd=bypass; detail=unavailable"
    ] * 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, [], b"{}"),
        plain("x", ("Set-Cookie", "a=b")),
        Answer(200, [], iter([b"stream"])),
    ],
    ids=["error", "cookie", "stream"],
)
def test_only_plain_successes_are_kept(start_process: Start, answer: Answer) -> None:
    process = start_process()
    for path in POLICIES:
        process.make = lambda _: Answer(answer.status, list(answer.headers), answer.body)
        assert status(process.get(path)) == "fwd=miss"
        process.make = lambda e: plain(e.path)
        assert status(process.get(path)).startswith("fwd=miss; stored")


def test_a_purge_is_heard_by_all_and_means_what_it_says(
    start_process: Start, redis_client: redis.Redis
) -> None:
    processes = [start_process(), start_process()]
    other = Principal(OTHER_TENANT, "user:1", READER.scopes, FREE)
    asked = [(path, who) for path in POLICIES for who in (READER, other)]

    def are_kept() -> list[list[bool]]:
        for process in processes:
            process.purges.refresh()
        return [
            [status(process.get(path, principal=who)).startswith("hit") for path, who in asked]
            for process in processes
        ]

    are_kept()
    assert are_kept() == [[True] * 6] * 2
    record_purge(redis_client, TENANT, "/d*")
    first, second = are_kept()
    assert first == [True, True, False, True, True, True]
    # made by the first, after the purge
    assert second == [True] * 6
    record_purge(redis_client, None, None)
    first, second = are_kept()
    assert first == [False] * 6
    assert second == [False, False, True, True, True, True]
    assert are_kept() == [[True] * 6] * 2


def test_what_is_being_made_during_a_purge_is_not_kept(
    start_process: Start, redis_client: redis.Redis
) -> None:
    process = start_process()

    def purged_meanwhile(exchange: Exchange) -> Answer:
        record_purge(redis_client, None, None)
        process.purges.refresh()
        return plain(exchange.path)

    process.make = purged_meanwhile
    process.get(FIGURES)
    process.make = lambda e: plain(e.path)
    assert status(process.get(FIGURES)).startswith("fwd=stale")


def test_one_request_makes_an_answer_anew_before_it_is_too_old(start_process: Start) -> None:
    process, other = start_process(), start_process()
    process.get(FIGURES)
    late = NOON + timedelta(seconds=545)
    other.get(FIGURES, at=late)
    asked = threading.Event()
    go_on = threading.Event()

    def slowly(exchange: Exchange) -> Answer:
        asked.set()
        assert go_on.wait(10)
        return plain("new")

    process.make = slowly
    with ThreadPoolExecutor(1) as pool:
        anew = pool.submit(process.get, FIGURES, at=late)
        assert asked.wait(10)
        # everybody else has the kept one meanwhile, in every process
        for reader in (process, other):
            assert status(reader.get(FIGURES, at=late)).startswith("hit; ttl=55")
        go_on.set()
        assert anew.result().body == plain("new").body
    for reader in (process, other):
        found = reader.get(FIGURES, at=late)
        assert status(found).startswith("hit; ttl=600"), status(found)
        assert found.body == plain("new").body
    assert len(process.made) == 2
    assert other.made == []


def test_an_answer_that_cannot_be_made_anew_is_good_for_its_time(start_process: Start) -> None:
    process = start_process()
    process.get(FIGURES)

    def refuse(_: Exchange) -> Answer:
        raise RuntimeError("no")

    process.make = refuse
    late = NOON + timedelta(seconds=545)
    assert status(process.get(FIGURES, at=late)).startswith("hit; ttl=55")
    with pytest.raises(RuntimeError):
        process.get(FIGURES, at=NOON + timedelta(seconds=600))
