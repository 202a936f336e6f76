"""A worker that dies: one run of storefront events, killed by itself when it reaches a step.

Run as `python -m tests.faults.traffic_run EXPORTER_URL REDIS_URL FOLDER STEP`.
"""

import os
import signal
import sys

import redis

from pipelines.context import LakeContext
from pipelines.traffic import run_traffic
from shop_api.db.engines import make_engine
from shop_api.kernel.clock import utc_now
from shop_api.settings import Settings


def main(url: str, redis_url: str, folder: str, fatal_step: str) -> None:
    """Take events in, and be killed at `fatal_step`."""

    def on_step(step: str) -> None:
        if step == fatal_step:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = Settings(_env_file=None, pool_preset="low")
    engine = make_engine(url, settings, statement_timeout_seconds=60)
    lake = LakeContext(engine, folder, 200_000, on_step=on_step)
    run_traffic(lake, redis.Redis.from_url(redis_url), utc_now())


if __name__ == "__main__":
    main(*sys.argv[1:])
