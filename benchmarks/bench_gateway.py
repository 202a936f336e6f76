"""What the gateway costs an uncached read: CPU of the whole pipeline less that of its innermost
stage, in one process (gateway_cost.py). The server's own part is in neither.
"""

import json
import subprocess
import sys
from statistics import median

from benchmarks.measure import Result
from benchmarks.servers import Stores
from benchmarks.shop import make_shop

BUDGET_MICROSECONDS = 150
PRODUCT_COUNT = 200
# Each asked for something else every time, so that nothing kept is found.
READS = {
    # looked for in the cache, which asks Redis, and kept
    "list of 20 products, asked for the first time": "/api/v1/products?max_price=1{:06d}",
    # never kept
    "list of 20 stock levels": "/api/v1/inventory",
}


def measure_gateway(stores: Stores) -> list[Result]:
    """Microseconds a request, beside the budget."""
    shop = make_shop(stores, products=PRODUCT_COUNT)
    command = [sys.executable, "-m", "benchmarks.gateway_cost", shop.key, *READS.values()]
    # a line of access log per request, written to a file as in production
    with (stores.folder / "gateway.log").open("wb") as log:
        done = subprocess.run(
            command,
            env=stores.environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            check=True,
        )
    found: list[list[tuple[float, float]]] = json.loads(done.stdout)
    return [_result(name, pairs) for name, pairs in zip(READS, found, strict=True)]


def _result(name: str, pairs: list[tuple[float, float]]) -> Result:
    cost = median(whole - innermost for whole, innermost in pairs)
    innermost = median(innermost for _, innermost in pairs)
    title = f"gateway of a {name} (its application {innermost:.0f} µs) / budget"
    budget = BUDGET_MICROSECONDS
    return Result(title, cost, budget, "µs", cost / budget, 1, is_at_most=True)
