"""A worker that dies: one export of a lake, killed by itself when it reaches a step.

Run as `python -m tests.faults.lake_export EXPORTER_URL FOLDER STEP`.
"""

import os
import signal
import sys

from pipelines.context import LakeContext
from pipelines.runner import run_export
from shop_api.db.engines import make_engine
from shop_api.kernel.clock import utc_now
from shop_api.settings import Settings


def main(url: str, folder: str, fatal_step: str) -> None:
    """Export, and be killed at `fatal_step`."""

    def on_step(step: str) -> None:
        if step == fatal_step:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = Settings(_env_file=None, pool_preset="low")
    engine = make_engine(url, settings, statement_timeout_seconds=60)
    run_export(LakeContext(engine, folder, 200_000, on_step=on_step), utc_now())


if __name__ == "__main__":
    main(*sys.argv[1:])
