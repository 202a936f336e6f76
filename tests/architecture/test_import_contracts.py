"""Who may import whom: the contracts of setup.cfg, and what the processes load when they start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.fixtures.stores import Database


def test_import_contracts_hold() -> None:
    # in a process of its own: import-linter disables every logger that exists
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def loaded_by(module: str, **environment: str) -> set[str]:
    """The top-level packages a fresh interpreter holds after importing `module`."""
    program = (
        f"import sys, os, {module}\n"
        "print(*{name.split('.')[0] for name in sys.modules}, flush=True)\n"
        "os._exit(0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.fixture
def environment(database: Database, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """What a serving process is started with."""
    return {
        "DATABASE_URL": database.application_url,
        "REDIS_URL": redis_url,
        "SHOP_SECRET_KEY": "k" * 32,
        "SHOP_PLATFORM_KEY": "p" * 32,
        "SHOP_DATA_DIR": str(tmp_path),
    }


def test_the_api_process_holds_no_polars(environment: dict[str, str]) -> None:
    held = loaded_by("shop_api.wsgi", **environment)
    assert "flask" in held
    assert not held & {"polars", "pyarrow", "gevent", "pipelines", "matplotlib"}


def test_the_realtime_process_holds_neither_polars_nor_duckdb(environment: dict[str, str]) -> None:
    held = loaded_by("shop_api.realtime.wsgi", **environment)
    assert "redis" in held
    assert not held & {"polars", "duckdb", "analytics", "pipelines", "matplotlib", "deltalake"}


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    assert not loaded_by("shop_api.cli") & {"polars", "duckdb", "sqlalchemy", "flask", "deltalake"}
