"""Where tenants wrote, as processes tell each other through a Redis that hangs for a moment."""

import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
import redis

from shop_api.db.read_routing import WrittenPositions
from shop_api.db.request_redis import OPEN_SECONDS, TIMEOUT_SECONDS, RequestRedis

LIFE_SECONDS = 10.0


class Clock:
    """Monotonic seconds that go on when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def processes(
    redis_client: redis.Redis, redis_url: str, clock: Clock
) -> Iterator[list[WrittenPositions]]:
    """Those of two processes."""
    assert redis_client.ping()
    requests = [RequestRedis(redis_url) for _ in range(2)]
    yield [WrittenPositions(each, LIFE_SECONDS, clock) for each in requests]
    for each in requests:
        each.close()


def note_unheard(
    positions: WrittenPositions, redis_client: redis.Redis, tenant_id: UUID, position: int
) -> None:
    """Note a position while Redis hangs for longer than a request waits; at the end it is back."""
    redis_client.execute_command("CLIENT", "PAUSE", int(TIMEOUT_SECONDS * 2000), "ALL")
    positions.note(tenant_id, position)
    assert redis_client.ping()
    assert redis_client.get(f"position:{tenant_id}") is None


def test_a_position_that_was_not_heard_is_told_before_the_next_is_asked_for(
    processes: list[WrittenPositions], redis_client: redis.Redis
) -> None:
    writer, other = processes
    tenant_id = uuid4()
    note_unheard(writer, redis_client, tenant_id, 7)
    assert (writer.known_here(tenant_id), other.known_to_all(tenant_id)) == (7, 0)
    assert writer.known_to_all(uuid4()) == 0
    assert other.known_to_all(tenant_id) == 7


def test_a_position_that_was_not_heard_is_told_with_the_next(
    processes: list[WrittenPositions], redis_client: redis.Redis
) -> None:
    writer, other = processes
    first, second = uuid4(), uuid4()
    note_unheard(writer, redis_client, first, 7)
    other.note(first, 9)
    writer.note(second, 8)
    # and once: what others wrote meanwhile stands
    assert [other.known_to_all(tenant_id) for tenant_id in (first, second)] == [9, 8]
    redis_client.delete(f"position:{first}")
    writer.note(second, 10)
    assert [other.known_to_all(tenant_id) for tenant_id in (first, second)] == [0, 10]


def test_a_position_is_not_owed_when_no_replica_that_serves_can_lack_it(
    processes: list[WrittenPositions], redis_client: redis.Redis, clock: Clock
) -> None:
    writer, other = processes
    tenant_id = uuid4()
    note_unheard(writer, redis_client, tenant_id, 7)
    clock.now += LIFE_SECONDS + 1
    writer.known_to_all(uuid4())
    assert (writer._owed, other.known_to_all(tenant_id)) == (set(), 0)


def test_positions_are_owed_while_the_breaker_is_open(
    processes: list[WrittenPositions], redis_client: redis.Redis
) -> None:
    writer, other = processes
    tenants = [uuid4() for _ in range(5)]
    redis_client.execute_command("CLIENT", "PAUSE", 600, "ALL")
    for position, tenant_id in enumerate(tenants, 1):
        writer.note(tenant_id, position)
    assert writer._requests.breaker.is_open
    time.sleep(OPEN_SECONDS)
    writer.known_to_all(tenants[0])
    assert [other.known_to_all(tenant_id) for tenant_id in tenants] == [1, 2, 3, 4, 5]
