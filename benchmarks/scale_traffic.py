"""Storefront events: how many a worker takes in a second, and how many a run brings into the lake.

Belongs here: `POST /track` in full batches, and the consumer behind it. Does not: figures of
traffic.
"""

import json
import time
from uuid import uuid4

import redis

from benchmarks.bench_export import exporting
from benchmarks.load import connections, request
from benchmarks.servers import Stores, serve
from benchmarks.shop import make_shop
from pipelines.runner import run_export
from pipelines.traffic import run_traffic
from shop_api.kernel.clock import format_instant, utc_now

BATCHES = 100
EVENTS = 500
CLIENTS = 4


def measure_traffic(stores: Stores) -> dict[str, float]:
    """Events a second, by what is done with them."""
    shop = make_shop(stores, products=100)
    bodies = [request("POST", "/api/v1/track", shop.key, _batch()) for _ in range(BATCHES)]
    with (
        serve("shop_api.wsgi:app", stores.environment(), threads=CLIENTS) as port,
        connections(port, CLIENTS) as opened,
    ):
        started = time.perf_counter()
        for place in range(0, BATCHES, CLIENTS):
            several = list(zip(opened, bodies[place : place + CLIENTS], strict=True))
            for connection, body in several:
                connection.send(body)
            for connection, _ in several:
                status, answer = connection.read()
                if status != 202:
                    raise RuntimeError(f"{status}: {answer[:300]!r}")
        taken = time.perf_counter() - started
    with exporting(stores, shop.tenant_id, str(stores.folder / "lake")) as exported:
        run_export(exported.lake, utc_now())
        client = redis.Redis.from_url(stores.redis_url)
        started = time.perf_counter()
        outcome = run_traffic(exported.lake, client, utc_now())
        consumed = time.perf_counter() - started
    events = BATCHES * EVENTS
    if outcome.rows_written["traffic_events"] != events:
        raise RuntimeError(f"not all events are in the lake: {outcome}")
    return {
        "POST /track in batches of 500, one worker": events / taken,
        "traffic consumer": events / consumed,
    }


def _batch() -> bytes:
    now = format_instant(utc_now())
    events = [
        {
            "id": str(uuid4()),
            "kind": "page_view",
            "occurred_at": now,
            "visitor_id": f"v_{number % 50}",
            "session_id": f"s_{number % 50}",
            "path": f"/products/{number}",
            "device": "mobile",
        }
        for number in range(EVENTS)
    ]
    return json.dumps({"events": events}).encode()
