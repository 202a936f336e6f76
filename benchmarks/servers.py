"""Servers under measurement: granian on a free loopback port, and real stores.

Belongs here: starting and ending what is measured. Does not: measuring.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from shop_api.db.engines import sqlalchemy_url
from shop_api.db.migrate import migrate
from shop_api.metrics.folder import FOLDER_VARIABLE
from shop_api.settings import Settings
from shop_api.stack.postgres import EmbeddedPostgres, start_postgres
from shop_api.stack.redis import start_redis

SECRET = "benchmark-secret-of-at-least-32-characters"
PLATFORM_KEY = "benchmark-platform-key-of-32-characters"
METRICS_KEY = "benchmark-metrics-key-of-32-characters"
START_TIMEOUT_SECONDS = 30.0
CONNECTIONS = Settings.model_fields["api_connections"].default


@dataclass(frozen=True)
class Stores:
    """Embedded stores of one benchmark run, in a folder of their own."""

    folder: Path
    postgres: EmbeddedPostgres
    redis_url: str

    def environment(self) -> dict[str, str]:
        """What a server process needs to know."""
        return {
            **os.environ,
            "DATABASE_URL": self.postgres.application_url,
            "SHOP_MIGRATOR_DATABASE_URL": self.postgres.migrator_url,
            "SHOP_EXPORTER_DATABASE_URL": self.postgres.exporter_url,
            "REDIS_URL": self.redis_url,
            "SHOP_DATA_DIR": str(self.folder),
            "SHOP_SECRET_KEY": SECRET,
            "SHOP_PLATFORM_KEY": PLATFORM_KEY,
            "SHOP_METRICS_KEY": METRICS_KEY,
            # as the supervisor does
            FOLDER_VARIABLE: str(self.folder / "metrics"),
        }

    def settings(self) -> Settings:
        """The same as Settings."""
        return Settings(
            _env_file=None,
            database_url=self.postgres.application_url,
            migrator_database_url=self.postgres.migrator_url,
            exporter_database_url=self.postgres.exporter_url,
            redis_url=self.redis_url,
            data_dir=self.folder,
            secret_key=SECRET,
            platform_key=PLATFORM_KEY,
        )

    def psql(self, statement: str) -> None:
        """Run a statement as the database's administrator."""
        url = self.postgres.server.get_uri(database="shop")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def fresh_stores() -> Iterator[Stores]:
    """Migrated stores in a temporary folder, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="shop-bench-"))
    folder.chmod(0o755)
    postgres = start_postgres(folder)
    embedded_redis = start_redis(folder)
    try:
        migrate(sqlalchemy_url(postgres.migrator_url))
        yield Stores(folder, postgres, embedded_redis.url)
    finally:
        embedded_redis.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serve(
    target: str, environment: dict[str, str], *, threads: int, workers: int = 1
) -> Iterator[int]:
    """granian running `target` (module:attribute); gives its port."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("granian")),
        "--interface",
        "wsgi",
        "--port",
        str(port),
        "--workers",
        str(workers),
        "--blocking-threads",
        str(threads),
        # open connections, which granian would else divide 1 024 of among the workers
        "--backpressure",
        str(CONNECTIONS),
        "--no-ws",
        "--log-level",
        "error",
        target,
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_until_open(port, process)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not open its port in time")
