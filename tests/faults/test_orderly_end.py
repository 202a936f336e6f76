"""SIGTERM under load: nothing that was accepted is lost, and every answer is in the log."""

import http.client
import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psutil

from shop_api.app import App
from tests.fixtures.api import Shop
from tests.fixtures.servers import ApiServer, api_server

BUYERS = 6


class Buyer:
    """Places orders over one kept connection until it is told that the server ends."""

    def __init__(self, server: ApiServer, shop: Shop, variant: str) -> None:
        self.placed: list[str] = []
        self.lost: list[str] = []
        self._server = server
        self._token = shop.api.token
        self._variant = variant

    def buy(self, ended: threading.Event) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=15)
        body = json.dumps({"lines": [{"variant_id": self._variant, "quantity": 1}]})
        while not ended.is_set():
            key = uuid4().hex
            headers = {
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "Idempotency-Key": key,
            }
            try:
                connection.request("POST", "/api/v1/orders", body, headers)
            except OSError:
                # closed between two requests: this one never came
                return
            try:
                response = connection.getresponse()
                content = response.read()
            except (http.client.RemoteDisconnected, ConnectionResetError):
                self.lost.append(key)
                return
            assert response.status == 201, content
            self.placed.append(json.loads(content)["id"])


def test_an_api_told_to_end_finishes_what_runs(app: App, shop: Shop, tmp_path: Path) -> None:
    variant = shop.product(quantity=100_000)["variants"][0]["id"]
    with api_server(
        app.services.settings, tmp_path / "api.log", log_level="INFO", shutdown_grace_seconds=8
    ) as server:
        buyers = [Buyer(server, shop, variant) for _ in range(BUYERS)]
        ended = threading.Event()
        with ThreadPoolExecutor(BUYERS) as pool:
            running = [pool.submit(buyer.buy, ended) for buyer in buyers]
            time.sleep(2.0)
            process = psutil.Process(server.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(15)
            ended.set()
            for future in running:
                future.result(20)
    placed = {order for buyer in buyers for order in buyer.placed}
    assert len(placed) > BUYERS
    with app.services.engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{shop.tenant_id}', false)")
        stored = set(map(str, connection.exec_driver_sql("SELECT id FROM orders").scalars()))
        connection.rollback()
    # whatever was told is there, and what was done was told
    assert placed == stored, (placed ^ stored, [buyer.lost for buyer in buyers])
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if "{" in line]
    logged = [line for line in lines if line.get("route") == "/api/v1/orders"]
    assert len([line for line in logged if line["status"] == 201]) == len(placed)
