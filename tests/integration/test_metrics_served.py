"""`shop-api serve` under traffic: what every process counts is told by the api, and by realtime."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from shop_api.metrics import definitions
from tests.fixtures.copies import SERVE, Copy
from tests.fixtures.processes import answers, running, wait_until
from tests.fixtures.stores import store_folder

PASSWORD = "correct-horse-battery"


class Served:
    """A running copy, asked as its clients and operators do."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        self.base = f"http://127.0.0.1:{copy.api_port}"

    def secret(self, name: str) -> str:
        return (self.copy.folder / name).read_text().strip()

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            self.base + path, data=data, method=method, headers=headers
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.loads(response.read())

    def samples(self, port: int | None = None) -> dict[tuple[str, tuple[str, ...]], float]:
        """Every sample told, by its name and the values of its labels in the labels' order."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.copy.api_port}/metrics",
            headers={"Authorization": f"Bearer {self.secret('metrics_key')}"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            text = response.read().decode()
        return {
            (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): (
                sample.value
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, *labels: str) -> float:
        return self.samples().get((name, labels), 0.0)

    def open_shop(self, plan: str = "enterprise") -> str:
        """A shop with a product and an order; its secret key."""
        email = f"o@{plan}.example"
        tenant = {
            "name": "Shop",
            "slug": plan,
            "plan": plan,
            "currency": "EUR",
            "timezone": "UTC",
            "owner": {"email": email, "name": "O", "password": PASSWORD},
        }
        self.ask("POST", "/api/v1/tenants", tenant, self.secret("platform_key"))
        login = {"email": email, "password": PASSWORD}
        token = self.ask("POST", "/api/v1/auth/login", login)["access_token"]
        key: str = self.ask("POST", "/api/v1/api_keys", {"name": "k"}, token)["key"]
        body = {"name": "A", "price": 1, "status": "active", "inventory": {"quantity": 9}}
        product = self.ask("POST", "/api/v1/products", body, key)
        lines = {"lines": [{"variant_id": product["variants"][0]["id"], "quantity": 1}]}
        self.ask("POST", "/api/v1/orders", lines, key)
        return key

    def listen(self, key: str) -> websocket.WebSocket:
        ticket = self.ask("POST", "/api/v1/realtime/tickets", {}, key)["ticket"]
        url = f"ws://127.0.0.1:{self.copy.realtime_port}/ws?ticket={ticket}"
        return websocket.create_connection(url, timeout=10)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with store_folder() as folder:
        copy = Copy(folder)
        environment = {**copy.environment, "SHOP_API_WORKERS": "2"}
        with running(SERVE, environment, copy.log):
            copy.wait_ready()
            yield Served(copy)


@pytest.fixture(scope="module")
def key(served: Served) -> str:
    return served.open_shop()


def exported_names() -> set[str]:
    return {
        f"{family.name}_total" if isinstance(metric, Counter) else family.name
        for metric in vars(definitions).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    }


def test_every_metric_is_told_after_traffic(served: Served, key: str) -> None:
    client = served.listen(key)
    assert json.loads(client.recv())["type"] == "connected"
    wait_until(lambda: served.value("websocket_connections_active") == 1)
    client.close()
    refused = websocket.create_connection(
        f"ws://127.0.0.1:{served.copy.realtime_port}/ws?ticket=none", timeout=10
    )
    refused.recv()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{served.copy.realtime_port}/events")
    served.ask("GET", "/api/v1/analytics/dashboard?period=7d", token=key)
    served.ask("GET", "/api/v1/analytics/dashboard?period=7d", token=key)
    hooks = {"url": "https://hooks.invalid/"}
    endpoint = served.ask("POST", "/api/v1/webhook_endpoints", hooks, key)
    served.ask("POST", f"/api/v1/webhook_endpoints/{endpoint['id']}/test", {}, key)
    free = served.open_shop("free")
    with pytest.raises(urllib.error.HTTPError, match="429"):
        for _ in range(120):
            served.ask("GET", "/api/v1/tenant", token=free)
    # a job is known to be on time after a first check
    wait_until(lambda: ("job_late", ("lake_export",)) in served.samples(), 30)
    wait_until(lambda: served.value("webhook_attempts_total", "unreachable") > 0, 30)
    told = {name for name, _ in served.samples()}
    parts = {name.removesuffix("_bucket") for name in told if name.endswith("_bucket")}
    assert exported_names() - told - parts == set()


def test_what_is_told_is_what_happened(served: Served, key: str) -> None:
    before = served.samples()
    for _ in range(10):
        served.ask("GET", "/api/v1/products?limit=5", token=key)
    with pytest.raises(urllib.error.HTTPError):
        served.ask("GET", "/api/v1/products", token="sk_nobody")

    def counted(status: str, endpoint: str = "/api/v1/products") -> float:
        name = ("api_requests_total", (endpoint, "GET", status))
        return served.samples().get(name, 0.0) - before.get(name, 0.0)

    wait_until(lambda: counted("200") == 10)
    # refused before its route was known
    wait_until(lambda: counted("401", "none") == 1)
    wait_until(lambda: served.value("pipeline_rows_total", "lake_export", "orders") > 0)
    assert served.value("relay_events_total") > 0
    assert abs(served.value("relay_caught_up_timestamp_seconds") - time.time()) < 10
    assert abs(served.value("pipeline_as_of_timestamp_seconds") - time.time()) < 60
    assert served.value("job_runs_total", "lake_export", "succeeded") > 0
    assert served.value("database_pool_limit_connections", "primary", "api") == 2 * 30
    for process, count in (("api", 2), ("realtime", 1), ("worker", 1)):
        assert served.value("processes_running", process) == count


def test_a_killed_process_is_missed_and_what_it_counted_is_not(served: Served, key: str) -> None:
    served.ask("GET", "/api/v1/customers", token=key)
    label = ("/api/v1/customers", "GET", "200")
    wait_until(lambda: served.value("api_requests_total", *label) == 1)
    starts = served.value("process_starts_total", "api")
    (server,) = [p for p in served.copy.of_command("api_server") if p.children()]
    workers = [child for child in server.children() if "resource_tracker" not in cmdline(child)]
    assert len(workers) == 2
    for worker in workers:
        worker.kill()
    wait_until(lambda: answers(served.base + "/health/live"), 20)
    wait_until(lambda: served.value("process_starts_total", "api") == starts + 2, 20)
    assert served.value("processes_running", "api") == 2
    assert served.value("api_requests_total", *label) == 1


def cmdline(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def test_realtime_tells_the_same(served: Served, key: str) -> None:
    found = served.samples(served.copy.realtime_port)
    assert found["process_starts_total", ("worker",)] >= 1
    assert any(name == "api_requests_total" for name, _ in found)


@pytest.mark.parametrize("token", [None, "sk_nobody", "platform_key"])
def test_only_the_metrics_key_opens_the_metrics(served: Served, token: str | None) -> None:
    bearer = served.secret(token) if token == "platform_key" else token
    for port in (served.copy.api_port, served.copy.realtime_port):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
        if bearer is not None:
            request.add_header("Authorization", f"Bearer {bearer}")
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(request, timeout=10)
        assert refusal.value.code in (401, 403)
        assert "the metrics key" in json.load(refusal.value)["detail"] or token == "sk_nobody"


def test_the_files_of_the_dead_do_not_pile_up(served: Served, key: str) -> None:
    folder: Path = served.copy.folder / "metrics"
    served.samples()
    # two of the api, realtime, the worker
    assert len(list(folder.glob("*.alive"))) == 4
