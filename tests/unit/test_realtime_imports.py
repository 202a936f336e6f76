"""The realtime process loads nothing that blocks its one thread."""

import subprocess
import sys


def test_neither_duckdb_nor_polars_is_loaded() -> None:
    script = (
        "import sys, shop_api.realtime.app, shop_api.realtime.gunicorn_worker\n"
        "print(sorted({'duckdb', 'polars', 'pyarrow'} & set(sys.modules)))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "[]"


def test_tickets_can_be_issued_without_gevent() -> None:
    script = "import sys, shop_api.realtime.tickets\nprint('gevent' in sys.modules)"
    outcome = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "False"
