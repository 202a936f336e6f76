"""`shop-api demo`: a filled shop that lives, on one command, and nothing left when it ends."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics.tenant_lake import open_lake
from tests.fixtures.copies import Copy
from tests.fixtures.processes import running, wait_until
from tests.fixtures.stores import store_folder

COMMAND = ["-m", "shop_api.cli", "demo"]
FEW_ORDERS = ["--orders", "300"]
READY = "The demo shop is open"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with store_folder() as found:
        yield found


def demo(copy: Copy, *options: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    return subprocess.run(
        [sys.executable, *COMMAND, *options],
        env=copy.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--currency", "EURO"], "currency: "),
        (["--timezone", "Rome"], "timezone: Must be an IANA timezone, such as Europe/Rome."),
    ],
)
def test_what_no_shop_can_have_is_refused(options: list[str], says: str) -> None:
    with store_folder() as folder:
        refused = demo(Copy(folder), "--once", *options)
    assert refused.returncode == 1
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "{" not in refused.stderr


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    refused = demo(Copy(Path("/proc/var")), "--once")
    assert refused.returncode == 1
    assert "Error: /proc/var cannot be the data folder: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_once_prints_the_dashboard_and_ends(folder: Path) -> None:
    copy = Copy(folder)
    done = demo(copy, "--once", *FEW_ORDERS)
    assert done.returncode == 0, done.stderr
    dashboard = json.loads(done.stdout)
    assert dashboard["orders"]["total"] > 0
    assert len(dashboard["revenue"]["trend"]) == 30
    steps = [step["sessions"] for step in dashboard["conversion_funnel"]["steps"]]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] > 0
    # no bar where there is no terminal
    assert "\x1b" not in done.stderr
    assert copy.processes() == []


def test_every_part_of_the_figures_has_something_in_it(folder: Path) -> None:
    with open_lake("demo", folder / "lake") as lake:
        codes = lake.sql("SELECT count(DISTINCT code) AS n, bool_or(code IS NULL) FROM discounts")
        assert codes[0]["n"] == 3
        (currencies,) = lake.sql(
            "SELECT count(DISTINCT currency) AS n, count(*) FILTER (exchange_rate IS NULL) AS bare,"
            " count(DISTINCT exchange_rate) AS rates FROM orders"
        )
        assert (currencies["n"], currencies["bare"]) == (2, 0)
        assert currencies["rates"] > 2
        converted = lake.revenue(period="365d", converted=True)
        assert (
            converted["metrics"]["gross_sales"]
            > (lake.revenue(period="365d")["metrics"]["gross_sales"])
        )
        (visits,) = lake.sql(
            "SELECT count(DISTINCT referrer_host) AS hosts, count(DISTINCT utm_campaign) AS"
            " campaigns, count(DISTINCT visitor_id) < count(DISTINCT session_id) AS again,"
            " bool_or(is_bot) AS bots FROM traffic_events"
        )
        assert visits == {"hosts": 4, "campaigns": 2, "again": True, "bots": True}


@pytest.mark.parametrize("held", [None, '{"as_of": "2026-01-01"}'])
def test_lost_credentials_are_made_anew(folder: Path, held: str | None) -> None:
    copy = Copy(folder)
    login = folder / "demo.json"
    before = json.loads(login.read_text())
    login.unlink()
    if held is not None:
        login.write_text(held)
    done = demo(copy, "--once")
    assert done.returncode == 0, done.stderr
    assert f"{login} does not hold the demo's keys any more" in done.stderr
    after = json.loads(login.read_text())
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert login.stat().st_mode & 0o077 == 0


def test_options_that_would_change_nothing_are_refused(folder: Path) -> None:
    refused = demo(Copy(folder), "--once", "--currency", "EUR")
    assert refused.returncode == 1
    assert "has a demo shop already, and --currency would not change it" in refused.stderr


def test_it_serves_the_kept_shop_and_shoppers_keep_buying(folder: Path) -> None:
    copy = Copy(folder)
    with running([*COMMAND, "--pace", "1"], copy.environment, copy.log) as process:
        wait_until(lambda: READY in copy.log.read_text(), 60)
        printed = copy.log.read_text()
        assert printed.index("starting the stores …") < printed.index("starting api")
        # the worker does it: a start on a kept shop is short
        assert "exporting" not in printed
        found = re.search(r'curl -s -H "(Authorization): (\S+ \S+)" "(\S+)"', printed)
        assert found is not None, printed
        name, value, url = found.groups()
        assert url.endswith("?period=30d")

        def get(path_or_url: str) -> Any:
            asked = urllib.request.Request(path_or_url, headers={name: value})
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.load(answer)

        base = f"http://127.0.0.1:{copy.api_port}/api/v1"
        # as old as its history: the reports of the last days are made for it
        assert get(f"{base}/tenant")["created_at"] < get(url)["period"]["from"]
        before = get(url)["orders"]["total"]
        wait_until(lambda: get(url)["orders"]["total"] > before, 40)
        wait_until(lambda: any(is_sent_home(order) for order in live_orders(get, base)), 40)
        wait_until(lambda: get(f"{base}/analytics/traffic?period=today")["visitors_online"], 40)
        assert_it_listens(printed)
        assert_it_ends_quietly(printed)

        second = demo(copy)
        assert second.returncode == 1
        assert f"a demo (process {process.pid}) already runs on" in second.stderr

        ended = time.monotonic()
        process.terminate()
        process.wait(timeout=15)
        assert time.monotonic() - ended < 10
    assert copy.log.read_text().rstrip().endswith("stopped")
    assert "stopping …" in copy.log.read_text()
    assert copy.processes() == []


def assert_it_listens(printed: str) -> None:
    """The printed line works wherever it is typed."""
    found = re.search(r"events as they happen:\n +(.+)\n", printed)
    assert found is not None, printed
    listened = subprocess.run(
        [*found.group(1).split(), "--type", "order_created", "--count", "1"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(listened.stdout)["type"] == "order_created"


def assert_it_ends_quietly(printed: str) -> None:
    found = re.search(r"events as they happen:\n +(.+)\n", printed)
    assert found is not None
    with subprocess.Popen(
        found.group(1).split(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as listening:
        assert listening.stderr is not None
        assert "connected to" in listening.stderr.readline()
        listening.send_signal(signal.SIGINT)
        assert (listening.stderr.read(), listening.wait(timeout=10)) == ("", 0)


def live_orders(get: Any, base: str) -> list[Any]:
    """Orders the shoppers placed: those of the history have an external id."""
    found: list[Any] = get(f"{base}/orders?limit=50")["data"]
    return [order for order in found if order["external_id"] is None]


def is_sent_home(order: Any) -> bool:
    """Whether it is one like those of the history: a customer's, taxed, sent for a price."""
    return bool(
        order["channel"] == "web"
        and order["customer_id"]
        and order["shipping_address"]
        and order["tax_total"] > 0
        and order["shipping_method"]
    )
