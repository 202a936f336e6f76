"""Unless it is asked for, nothing of tracing is loaded, nothing is wrapped, and nothing is sent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from shop_api.app import create_app
from shop_api.gateway.access_log import AccessLog
from shop_api.settings import Settings
from tests.architecture.sources import ROOT
from tests.fixtures.stores import Database

# OpenTelemetry is what it is without the extra: not there. redis-py would load it if it were.
PROGRAM = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotInstalled())
from werkzeug.test import Client
from shop_api.app import create_app
from shop_api.settings import Settings
import shop_api.worker
app = create_app(Settings())
assert Client(app).get("/api/v1/products").status_code == 401
assert Client(app).get("/health/ready").status_code == 200
app.close()
loaded = [n for n in sys.modules if n.startswith(("opentelemetry", "shop_api.tracing."))]
print(*loaded, "shop_api.gateway.tracing" in sys.modules)
"""


@pytest.fixture
def settings(database: Database, redis_url: str, tmp_path: Path) -> Settings:
    return database.settings(tmp_path, redis_url)


def run(settings: Settings, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DATABASE_URL": str(settings.database_url),
        "REDIS_URL": str(settings.redis_url),
        "SHOP_SECRET_KEY": "k" * 32,
        "SHOP_PLATFORM_KEY": "p" * 32,
        "SHOP_DATA_DIR": str(settings.data_dir),
        **changes,
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_off_the_product_runs_without_opentelemetry(settings: Settings) -> None:
    done = run(settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["shop_api.tracing.switch", "False"]


def test_on_it_says_what_is_missing(settings: Settings) -> None:
    done = run(settings, SHOP_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert done.returncode != 0
    assert "pip install 'shop-api[tracing]'" in done.stderr


def test_off_no_stage_and_no_listener_is_there(settings: Settings) -> None:
    app = create_app(settings)
    try:
        stages = dict(app.gateway.stages)
        assert isinstance(stages["request_identity"].forward, AccessLog)  # type: ignore[attr-defined]
        assert stages["tracing"] is stages["access_log"]
        for client in (app.services.redis, app.services.request_redis.client):
            assert type(client) is redis.Redis
            assert not {"execute_command", "pipeline"} & set(vars(client))
        listening = app.services.engine.dispatch.before_cursor_execute
        assert not [each for each in listening if "tracing" in each.__module__]
    finally:
        app.close()
