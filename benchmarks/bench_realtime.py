"""One realtime process and the relay that feeds it: any number of sockets, orders at a steady rate.

What a socket costs is the memory that the process has taken meanwhile. A broadcast counts from its
commit until the last client has it, which is later than the last one was handed over.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.request import urlopen
from uuid import UUID, uuid4

import psutil
import redis
from sqlalchemy import Engine

from benchmarks.listeners import Crowd, Notes, allow_open_files, listening
from benchmarks.load import LOOPBACK
from benchmarks.measure import Result
from benchmarks.order_stream import Plan, place_steadily
from benchmarks.pushes import push_result, rate_result
from benchmarks.servers import Stores, free_port
from benchmarks.shop import make_shop, variant_ids
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.kernel.principal import SCOPES, Principal
from shop_api.kernel.rate_limits import PLAN_LIMITS
from shop_api.kernel.tokens import hash_token
from shop_api.models import api_keys
from shop_api.realtime.tickets import issue_ticket
from shop_api.spine.relay import Relay, channel_of
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker

EVENTS = 20_000
EVENTS_PER_COMMIT = 100
RELAY_FLOOR_PER_SECOND = 5_000.0
PRODUCTS = 500
LISTENERS = 20
ORDERS_PER_SECOND = 200
ORDER_SECONDS = 20
SOCKETS = int(os.environ.get("SHOP_BENCH_SOCKETS", "10000"))
# longer than a realtime process lets pass without a ping and its answer
OPEN_SECONDS = 70.0
SETTLE_SECONDS = 2.0
START_SECONDS = 30.0
BROADCASTS = 5
BROADCAST_SECONDS = 1.0
# an event that not all have by then counts as lost
PATIENCE_SECONDS = 20.0
SOCKET_KIB = 60.0
TICKET_SECONDS = 900
# of the tenant they all listen to
LIMITS = PLAN_LIMITS["enterprise"]._replace(subscriptions=1_000_000)
DATA = {"order_id": "0192d3f0-0000-7000-8000-000000000000", "total_amount": 19.9, "currency": "USD"}


class Shop:
    """A tenant whose events are measured."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.shop = make_shop(stores, products=PRODUCTS, variants=1)
        self.tenant_id: UUID = self.shop.tenant_id
        self.engine: Engine = make_engine(
            stores.postgres.application_url, stores.settings(), statement_timeout_seconds=60
        )
        self.waker = Waker(
            stores.postgres.application_url, ResourceVersions(RequestRedis(stores.redis_url))
        )
        self.key_id = self._make_key()

    def announce(self, count: int = 1) -> None:
        """Commit some events in one transaction."""
        origin = Origin(self.tenant_id, "system:bench", "bench", utc_now())
        with unit_of_work(self.engine, self.waker, origin) as work:
            for _ in range(count):
                work.append("order_created", "order", None, DATA)

    def _make_key(self) -> UUID:
        now, key_id = utc_now(), uuid4()
        origin = Origin(self.tenant_id, "system:bench", "bench", now)
        with unit_of_work(self.engine, self.waker, origin) as work:
            work.session.execute(
                api_keys.insert().values(
                    tenant_id=self.tenant_id,
                    id=key_id,
                    name="listener",
                    kind="secret",
                    prefix="sk_",
                    key_hash=hash_token(str(key_id)),
                    scopes=sorted(SCOPES),
                    created_at=now,
                    updated_at=now,
                )
            )
        return key_id

    def ticket(self, client: redis.Redis) -> str:
        """A ticket with every scope."""
        actor = f"api_key:{self.key_id}"
        holder = Principal(self.tenant_id, actor, frozenset(SCOPES), LIMITS)
        return issue_ticket(client, holder, TICKET_SECONDS)


def measure_realtime(
    stores: Stores,
    *,
    sockets: int = SOCKETS,
    events: int = EVENTS,
    open_seconds: float = OPEN_SECONDS,
    order_seconds: int = ORDER_SECONDS,
) -> list[Result]:
    """The relay's rate; orders to listeners; many sockets, and an event to all of them."""
    allow_open_files(sockets)
    shop = Shop(stores)
    results = [_measure_relay(shop, events)]
    with _relaying(stores), _realtime(stores) as (port, process, log):
        results += _measure_orders(stores, shop, port, order_seconds)
        results += _measure_sockets(shop, port, process, sockets, open_seconds)
        if logged := log.read_text():
            raise RuntimeError(f"the realtime process fails: {logged[:2000]}")
    shop.waker.stop()
    shop.engine.dispose()
    return results


@contextmanager
def _relaying(stores: Stores) -> Iterator[Relay]:
    client = redis.Redis.from_url(stores.redis_url)
    relay = Relay(stores.postgres.exporter_url, client, retention_seconds=86_400, clock=utc_now)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.stop()
        thread.join()
        client.close()


@contextmanager
def _realtime(stores: Stores) -> Iterator[tuple[int, psutil.Process, Path]]:
    """The realtime process with one worker, ready: its port, the worker and its log of errors."""
    port = free_port()
    environment = stores.environment() | {
        "SHOP_REALTIME_PORT": str(port),
        "SHOP_LOG_LEVEL": "ERROR",
    }
    config = "python:shop_api.realtime.gunicorn_config"
    command = [sys.executable, "-m", "gunicorn", "-c", config, "shop_api.realtime.wsgi:app"]
    path = stores.folder / "realtime.log"
    with path.open("wb") as log:
        master = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_until_ready(port, master, path)
            yield port, psutil.Process(master.pid).children()[0], path
        finally:
            master.terminate()
            master.wait(timeout=30)


def _wait_until_ready(port: int, master: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(port):
        if master.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the realtime process did not start: {log.read_text()[:2000]}")
        time.sleep(0.1)


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/health/ready", timeout=5):
            return True
    except OSError:
        return False


def _measure_relay(shop: Shop, events: int) -> Result:
    """A backlog, from the relay's start until Redis has confirmed all of it."""
    for _ in range(events // EVENTS_PER_COMMIT):
        shop.announce(EVENTS_PER_COMMIT)
    with redis.Redis.from_url(shop.stores.redis_url) as client, client.pubsub() as pubsub:
        pubsub.subscribe(channel_of(shop.tenant_id))
        pubsub.get_message(timeout=5)
        started = time.monotonic()
        with _relaying(shop.stores) as relay:
            while relay.caught_up_at is None:
                if time.monotonic() - started > PATIENCE_SECONDS:
                    raise RuntimeError("the relay does not catch up")
                time.sleep(0.005)
            rate = events / (time.monotonic() - started)
        # what was published meanwhile waits for its subscriber
        for received in range(events):
            if pubsub.get_message(timeout=5) is None:
                raise RuntimeError(f"the relay published {received} of {events} events")
    ratio = rate / RELAY_FLOOR_PER_SECOND
    name = f"relay, a backlog of {events:,} / budget"
    return Result(name, rate, RELAY_FLOOR_PER_SECOND, "events/s", ratio, 1.0)


def _measure_orders(stores: Stores, shop: Shop, port: int, seconds: int) -> list[Result]:
    """Orders at a steady rate, all of them to each of some listeners."""
    variants = variant_ids(stores, shop.shop, PRODUCTS)
    with redis.Redis.from_url(stores.redis_url) as client:
        tickets = [shop.ticket(client) for _ in range(LISTENERS)]
    with listening(port, tickets) as crowd:
        time.sleep(SETTLE_SECONDS)
        plan = Plan(stores.settings(), shop.tenant_id, variants, ORDERS_PER_SECOND, seconds)
        placed = place_steadily(plan)
        pushed = push_result(crowd, placed.ids, LISTENERS, ORDERS_PER_SECOND)
    return [pushed, rate_result(len(placed.ids) / placed.seconds, ORDERS_PER_SECOND)]


def _measure_sockets(
    shop: Shop, port: int, process: psutil.Process, sockets: int, open_seconds: float
) -> list[Result]:
    with redis.Redis.from_url(shop.stores.redis_url) as client:
        tickets = [shop.ticket(client) for _ in range(sockets)]
    before = process.memory_info().rss
    with listening(port, tickets) as crowd:
        opened_at = time.monotonic()
        time.sleep(SETTLE_SECONDS)
        kib = (process.memory_info().rss - before) / 1024 / sockets
        broadcasts = [_broadcast(shop, crowd, sockets) for _ in range(BROADCASTS)]
        time.sleep(max(0.0, opened_at + open_seconds - time.monotonic()))
        # the last one shows who is still there
        broadcasts.append(_broadcast(shop, crowd, sockets))
        errors = crowd.notes().errors
    print(f"open sockets, errors: {dict(errors) or 'none'}", file=sys.stderr)
    seconds = median(taken for taken, _ in broadcasts)
    failures = errors.total() + sum(missing for _, missing in broadcasts)
    share = kib / SOCKET_KIB
    return [
        Result(f"errors of {sockets:,} open WebSockets", failures, 0, "", failures, 0, True),
        Result("memory of each / budget", kib, SOCKET_KIB, "KiB", share, 1, True),
        Result(
            f"one event to {sockets:,} WebSockets / budget",
            seconds,
            BROADCAST_SECONDS,
            "s",
            seconds / BROADCAST_SECONDS,
            1,
            is_at_most=True,
        ),
    ]


def _broadcast(shop: Shop, crowd: Crowd, sockets: int) -> tuple[float, int]:
    """Seconds from the commit of an event until the last one has it; how many never got it."""
    before = len(crowd.notes().heard)

    def is_with_all(notes: Notes) -> bool:
        return len(notes.heard) > before and len(_last(notes)) == sockets

    shop.announce()
    committed_at = time.time()
    notes = crowd.wait_until(is_with_all, PATIENCE_SECONDS)
    came_at = _last(notes)
    return max(came_at) - committed_at, sockets - len(came_at)


def _last(notes: Notes) -> list[float]:
    """When the newest event came to whom it came."""
    return notes.heard[max(notes.heard)].came_at
