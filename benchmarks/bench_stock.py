"""A hundred variants adjusted in one call, among 100 000 rows of stock."""

import json
import random
import time
from statistics import quantiles
from uuid import UUID

from benchmarks.load import Connection, connections, request
from benchmarks.measure import Result
from benchmarks.servers import Stores, serve
from benchmarks.shop import BenchShop, make_shop, variant_ids

STOCK_ROWS = 100_000
ADJUSTED = 100
CALLS = 60
WARMUP = 5
BUDGET_MS = 200.0
PATH = "/api/v1/inventory/adjustments"


def measure_stock(stores: Stores) -> list[Result]:
    """Milliseconds the slowest twentieth of the calls takes, each of other variants."""
    shop = make_shop(stores, products=STOCK_ROWS // 2, variants=2)
    ids = variant_ids(stores, shop, STOCK_ROWS)
    pick = random.Random(1)
    with (
        serve("shop_api.wsgi:app", stores.environment(), threads=1) as port,
        connections(port, 1) as (connection,),
    ):
        taken = [
            _adjust(connection, shop, pick.sample(ids, ADJUSTED)) for _ in range(WARMUP + CALLS)
        ]
    p95 = quantiles(taken[WARMUP:], n=20)[-1]
    name = f"{ADJUSTED} variants adjusted of {STOCK_ROWS:,} rows, p95 / budget"
    return [Result(name, p95, BUDGET_MS, "ms", p95 / BUDGET_MS, 1, is_at_most=True)]


def _adjust(connection: Connection, shop: BenchShop, ids: list[UUID]) -> float:
    """Milliseconds until the answer is here."""
    body = {"adjustments": [{"variant_id": str(variant_id), "delta": 1} for variant_id in ids]}
    data = request("POST", PATH, shop.key, json.dumps(body).encode())
    started = time.perf_counter()
    connection.send(data)
    status, answer = connection.read()
    milliseconds = (time.perf_counter() - started) * 1000
    if status != 200 or len(json.loads(answer)["adjustments"]) != ADJUSTED:
        raise RuntimeError(f"not adjusted: {status} {answer[:300]!r}")
    return milliseconds
