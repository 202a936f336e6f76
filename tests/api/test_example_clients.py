"""The example clients of docs/clients against a real stack: they come back by themselves, and see
each event once, also of the time in which the realtime process was dead, and what passes.

The page needs Chromium; without it it is skipped, unless TEST_IN_BROWSER is set.
"""

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import redis

from shop_api.app import App
from shop_api.kernel.clock import format_instant, utc_now
from shop_api.spine.passing import pass_on
from tests.fixtures.api import Shop
from tests.fixtures.browser import COMMAND, browser
from tests.fixtures.processes import free_port, wait_until
from tests.fixtures.realtime import realtime_process, relaying
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import Database

CLIENTS = Path("docs/clients").resolve()
IS_WANTED = "TEST_IN_BROWSER" in os.environ
COMES_BACK_SECONDS = 30


@pytest.fixture(scope="module")
def served(
    app: App, database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """The api over HTTP, and a relay."""
    log = tmp_path_factory.mktemp("api") / "log"
    with (
        relaying(database.exporter_url, redis_url),
        api_server(app.services.settings, log) as server,
    ):
        yield server


def buy(shop: Shop, variant_id: str, count: int) -> list[str]:
    """The ids of so many orders."""
    placed = [shop.order((variant_id, 1)) for _ in range(count)]
    assert {answered.status for answered in placed} == {201}
    return [answered.json["id"] for answered in placed]


def survive_a_kill(
    app: App,
    shop: Shop,
    port: int,
    log: Path,
    listen: Callable[[], None],
    seen: Callable[[], Any],
    today: Callable[[], Any],
) -> None:
    """Orders while the client listens, while nobody is there, and after it has come back.

    The first server dies, the second ends with a close frame.
    """
    variant_id = shop.product("5.00", 100)["variants"][0]["id"]
    with realtime_process(app.services.settings, log, port=port) as process:
        listen()
        before = buy(shop, variant_id, 3)
        wait_until(lambda: bool(seen() == before), COMES_BACK_SECONDS)
        with redis.Redis.from_url(str(app.services.settings.redis_url)) as client:

            def is_told() -> bool:
                as_of = format_instant(utc_now())
                data = {"metrics": {"orders_today": len(before)}, "as_of": as_of}
                told = [(shop.tenant_id, data)]
                pass_on(client, "dashboard_metrics_updated", told, utc_now())
                return bool(today() == f"{len(before)} today")

            wait_until(is_told, COMES_BACK_SECONDS)
        process.kill()
        os.waitpid(process.pid, 0)
    between = buy(shop, variant_id, 3)
    with realtime_process(app.services.settings, log, port=port):
        after = buy(shop, variant_id, 2)
        wait_until(lambda: len(seen()) >= 8, COMES_BACK_SECONDS)
        assert seen() == [*before, *between, *after]
    between = [*between, *after, *buy(shop, variant_id, 1)]
    with realtime_process(app.services.settings, log, port=port):
        after = buy(shop, variant_id, 1)
        wait_until(lambda: len(seen()) >= 10, COMES_BACK_SECONDS)
        assert seen() == [*before, *between, *after]


def test_the_python_client_misses_nothing(
    app: App, served: ApiServer, shop: Shop, tmp_path: Path
) -> None:
    port, output = free_port(), tmp_path / "events"
    urls = [f"http://127.0.0.1:{served.port}", f"ws://127.0.0.1:{port}"]
    command = [sys.executable, str(CLIENTS / "listen.py"), *urls]
    running: list[subprocess.Popen[bytes]] = []

    def listen() -> None:
        with output.open("wb") as handle:
            running.append(subprocess.Popen([*command, str(shop.api.token), "0"], stdout=handle))

    def heard() -> list[dict[str, Any]]:
        return [json.loads(line) for line in output.read_bytes().splitlines()]

    def today() -> str:
        figures = [e["data"] for e in heard() if e["type"] == "dashboard_metrics_updated"]
        return f"{figures[-1]['metrics']['orders_today']} today" if figures else ""

    def seen() -> list[str]:
        events = heard()
        ids = [event["id"] for event in events if event["id"] is not None]
        assert ids == sorted(set(ids))
        return [e["data"]["order_id"] for e in events if e["type"] == "order_created"]

    try:
        survive_a_kill(app, shop, port, tmp_path / "log", listen, seen, today)
    finally:
        for process in running:
            process.kill()
            process.wait()
    refused = subprocess.run(
        [*command, "sk_unknown"], capture_output=True, text=True, timeout=30, check=False
    )
    assert refused.returncode == 1
    assert "401" in refused.stderr


@contextmanager
def served_folder(folder: Path) -> Iterator[str]:
    """A page's own server; its origin."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(COMMAND is None and not IS_WANTED, reason="Chromium is not installed")
def test_the_page_misses_nothing_over_either_transport(
    app: App, served: ApiServer, shop: Shop, tmp_path: Path
) -> None:
    port = free_port()
    with served_folder(CLIENTS) as origin, browser(tmp_path) as page:
        assert shop.api.patch("/api/v1/tenant", {"cors_origins": [origin]}).status == 200

        def shown(key: str) -> Any:
            items = "[...document.querySelectorAll('#orders li')]"
            return page.evaluate(f"{items}.map((item) => {key})")

        def seen() -> Any:
            ids = shown("Number(item.dataset.id)")
            assert ids == sorted(set(ids))
            return shown("item.textContent.split(' ')[1]")

        for transport in ("sse", "websocket"):
            given = {
                "api": f"http://127.0.0.1:{served.port}",
                "realtime": f"http://127.0.0.1:{port}",
                "token": shop.api.token,
                "transport": transport,
            }

            def listen(url: str = f"{origin}/index.html#{urlencode(given)}") -> None:
                page.open(url)
                state = "document.querySelector('#state')?.textContent"
                wait_until(lambda: page.evaluate(state) == "listening", COMES_BACK_SECONDS)

            def today() -> Any:
                return page.evaluate("document.querySelector('#today').textContent")

            survive_a_kill(app, shop, port, tmp_path / transport, listen, seen, today)
