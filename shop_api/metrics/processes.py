"""That a process of the product has started.

Belongs here: what each kind of process tells of itself when it begins. Does not: what it does.
"""

from typing import Literal

from shop_api.metrics.definitions import process_starts, processes_running


def count_start(process: Literal["api", "realtime", "worker"]) -> None:
    """Count the start of this process; it is among those that run until it ends."""
    process_starts.labels(process).inc()
    processes_running.labels(process).set(1)
