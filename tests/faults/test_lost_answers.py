"""Redis carries out a command and the connection is closed before its answer: the command is sent
again, and whoever asked is none the worse for it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from shop_api.db.request_redis import RequestRedis
from shop_api.gateway.nonces import NonceBook
from shop_api.gateway.redis_answers import RedisAnswers, State
from shop_api.kernel.cache_policy import CachePolicy
from shop_api.kernel.exchange import CacheSlot
from shop_api.stack.redis import start_redis
from tests.fixtures.lost_answers import LossyWay, lossy_way
from tests.fixtures.stores import store_folder


@pytest.fixture
def way() -> Iterator[LossyWay]:
    with store_folder() as folder:
        server = start_redis(folder)
        with lossy_way(server.socket) as found:
            yield found
        server.stop()


@pytest.fixture
def requests(way: LossyWay) -> Iterator[RequestRedis]:
    found = RequestRedis(way.url, timeout_seconds=5)
    # this thread's connection is open: the next answer is that of a command
    assert found.ask(redis.Redis.ping)
    yield found
    found.close()


def test_a_nonce_is_its_askers_and_still_nobody_elses(
    way: LossyWay, requests: RequestRedis
) -> None:
    use = NonceBook(requests)
    way.lose_next()
    assert use("nonce:first", 60)
    assert way.lost == 1
    assert not use("nonce:first", 60)
    assert use("nonce:second", 60)
    # the answer that tells of its being used
    way.lose_next()
    assert not use("nonce:second", 60)
    assert way.lost == 2
    found = requests.ask(lambda client: client.ttl("nonce:first"))
    assert 0 < found <= 60


def slot_of(digest: str) -> CacheSlot:
    policy = CachePolicy(600, is_shared=True)
    return CacheSlot(policy, digest, "", "version", lambda: None, lambda _: None)


def test_a_lease_is_its_askers_and_still_nobody_elses(
    way: LossyWay, requests: RequestRedis
) -> None:
    answers, now = RedisAnswers(requests, 1_000_000), datetime.now(UTC)
    # the connection of the pool is open, and the script known
    assert answers.find_or_claim(slot_of("before"), now).state is State.CLAIMED
    way.lose_next()
    asked = answers.find_or_claim(slot_of("asked"), now)
    assert way.lost == 1
    assert asked.state is State.CLAIMED
    with answers.held(slot_of("asked"), asked.lease):
        assert answers.find_or_claim(slot_of("asked"), now).state is State.BUSY
    assert answers.find_or_claim(slot_of("asked"), now).state is State.CLAIMED
    answers.close()
