"""Orders at a steady rate, placed by the order service in a process of its own.

Belongs here: placing them, without HTTP. Does not: what hears of them (the benchmarks).
"""

import multiprocessing
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from uuid import UUID

from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.domains.orders.service import place_order
from shop_api.kernel.clock import utc_now
from shop_api.settings import Settings
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker

CLIENTS = 8


@dataclass(frozen=True)
class Plan:
    """What is ordered, and how fast."""

    settings: Settings
    tenant_id: UUID
    variant_ids: list[UUID]
    per_second: int
    seconds: int


@dataclass(frozen=True)
class Placed:
    """The orders' ids, and how long all of them took."""

    ids: set[str]
    seconds: float


def place_steadily(plan: Plan) -> Placed:
    """Place them in another process; comes back when all are."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=place_all, args=(theirs, plan), daemon=True)
    process.start()
    theirs.close()
    placed: Placed = ours.recv()
    process.join()
    return placed


def place_all(pipe: Connection, plan: Plan) -> None:
    """Place the plan's orders by clients in turn, and tell of them."""
    url, redis_url = str(plan.settings.database_url), str(plan.settings.redis_url)
    engine = make_engine(url, plan.settings, statement_timeout_seconds=60)
    waker = Waker(url, ResourceVersions(RequestRedis(redis_url)))
    ids: set[str] = set()

    def place(turn: int) -> None:
        variant_id = plan.variant_ids[turn % len(plan.variant_ids)]
        origin = Origin(plan.tenant_id, "system:bench", f"bench-{turn}", utc_now())
        with unit_of_work(engine, waker, origin) as work:
            body = {"lines": [{"variant_id": variant_id, "quantity": 1}]}
            ids.add(str(place_order(work, body, shows_stock=True)))

    def place_in_turn(number: int) -> None:
        for turn in range(number, plan.per_second * plan.seconds, CLIENTS):
            time.sleep(max(0.0, started + turn / plan.per_second - time.monotonic()))
            place(turn)

    started = time.monotonic()
    threads = [threading.Thread(target=place_in_turn, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send(Placed(ids, time.monotonic() - started))
    waker.stop()
    engine.dispose()
