"""Webhooks to a receiver that answers at once, while another endpoint of the shop hangs.

The receiver is a process of its own that speaks just enough HTTP; the fan-out and the sender run
as in a worker. Counted is from the first message to the last, each signed, sent, answered and
recorded.
"""

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from uuid import UUID

import psycopg

from benchmarks.measure import Result
from benchmarks.servers import SECRET, Stores
from benchmarks.shop import make_shop
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.domains.webhooks.service import Rules, create_endpoint
from shop_api.kernel.clock import utc_now
from shop_api.kernel.principal import SCOPES
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker
from shop_api.webhooks.addresses import AllowedNetworks
from shop_api.webhooks.fan_out import FanOut
from shop_api.webhooks.sender import Means, Sender
from shop_api.webhooks.signing import SecretCipher
from shop_api.webhooks.transport import Transport

EVENTS = 5_000
EVENTS_PER_COMMIT = 50
FLOOR_PER_SECOND = 500.0
PATIENCE_SECONDS = 120.0
NETWORKS = AllowedNetworks.of(["127.0.0.0/8"])
DATA = {"order_id": "0192d3f0-0000-7000-8000-000000000000", "total_amount": 19.9, "currency": "USD"}
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


def measure_webhooks(stores: Stores, *, events: int = EVENTS) -> list[Result]:
    """Messages a second to the endpoint that answers."""
    shop = _Shop(stores)
    with _hanging() as silent, _receiving() as (answering, received):
        shop.add_endpoint(silent)
        shop.add_endpoint(answering)
        shop.announce(events)
        with shop.following():
            while received.value == 0:
                time.sleep(0.001)
            started = time.monotonic()
            while shop.delivered() < events:
                if time.monotonic() - started > PATIENCE_SECONDS:
                    raise RuntimeError(f"{received.value} of {events} webhooks came")
                time.sleep(0.05)
            rate = events / (time.monotonic() - started)
    shop.close()
    name = "webhooks beside an endpoint that hangs"
    return [Result(name, rate, FLOOR_PER_SECOND, "messages/s", rate / FLOOR_PER_SECOND, 1.0)]


class _Shop:
    """A tenant with endpoints, and what makes and sends webhooks."""

    def __init__(self, stores: Stores) -> None:
        self.tenant_id: UUID = make_shop(stores, products=1).tenant_id
        settings = stores.settings()
        urls = (stores.postgres.application_url, stores.postgres.exporter_url)
        self.engine, self.exporter_engine = (
            make_engine(url, settings, statement_timeout_seconds=60) for url in urls
        )
        self.waker = Waker(urls[0], ResourceVersions(RequestRedis(stores.redis_url)))
        self.cipher = SecretCipher(SecretKeys.of(SECRET, []))
        self.exporter_url = urls[1]
        means = Means(
            engine=self.engine,
            exporter_engine=self.exporter_engine,
            waker=self.waker,
            cipher=self.cipher,
            make_transport=lambda: Transport(NETWORKS),
            clock=utc_now,
        )
        self.followers = (
            FanOut(
                self.exporter_url,
                self.engine,
                self.exporter_engine,
                retention_seconds=86_400,
                clock=utc_now,
            ),
            Sender(self.exporter_url, means),
        )

    def _origin(self) -> Origin:
        return Origin(self.tenant_id, "system:bench", "bench", utc_now())

    def add_endpoint(self, url: str) -> None:
        rules = Rules(frozenset(SCOPES), NETWORKS, self.cipher)
        body = {"url": url, "description": "", "event_types": ["order_created"]}
        with unit_of_work(self.engine, self.waker, self._origin()) as work:
            create_endpoint(work, body, rules)

    def announce(self, events: int) -> None:
        """Events of as many orders."""
        for first in range(0, events, EVENTS_PER_COMMIT):
            with unit_of_work(self.engine, self.waker, self._origin()) as work:
                for number in range(first, first + EVENTS_PER_COMMIT):
                    work.append("order_created", "order", UUID(int=number), DATA)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Make deliveries and send them."""
        threads = [threading.Thread(target=follower.run) for follower in self.followers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for follower in self.followers:
                follower.stop()
            for thread in threads:
                thread.join()

    def delivered(self) -> int:
        """How many are recorded as delivered."""
        query = "SELECT count(*) FROM webhook_deliveries WHERE state = 'delivered'"
        with psycopg.connect(self.exporter_url) as connection:
            ((count,),) = connection.execute(query).fetchall()
        return int(count)

    def close(self) -> None:
        self.waker.stop()
        self.engine.dispose()
        self.exporter_engine.dispose()


@contextmanager
def _hanging() -> Iterator[str]:
    """An endpoint that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextmanager
def _receiving() -> Iterator[tuple[str, "Synchronized[int]"]]:
    """A receiver in a process of its own, and how much it has got."""
    context = multiprocessing.get_context("spawn")
    received = context.Value("q", 0)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        process = context.Process(target=answer_at_once, args=(listener, received), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/", received
        finally:
            process.terminate()
            process.join()


def answer_at_once(listener: socket.socket, received: "Synchronized[int]") -> None:
    """Answer every message 204; each comes in one piece, or its body in a second one."""

    def serve(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting = b""
        while piece := client.recv(65_536):
            waiting += piece
            head, separator, body = waiting.partition(b"\r\n\r\n")
            if not separator:
                continue
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(body) >= size:
                waiting = body[size:]
                client.sendall(ANSWER)
                with received.get_lock():
                    received.value += 1

    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()
