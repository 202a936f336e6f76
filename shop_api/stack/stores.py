"""The stores a command works on: those the settings name, or embedded ones of the data folder.

Belongs here: starting them for the first who needs them, stopping them after the last. Does not:
how each is started (postgres.py, redis.py).

Everyone who uses the embedded stores holds a shared lock on a file of the data folder; the kernel
lets it go when the process dies. Whoever leaves and finds nobody else stops the stores. Stores left
running by a process that was killed are joined by the next.
"""

import fcntl
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from shop_api.db.engines import sqlalchemy_url
from shop_api.db.migrate import current_revision, migrate, newest_revision
from shop_api.db.outages import describe
from shop_api.settings import Settings
from shop_api.stack.errors import DataFolderError, NoInstallationError
from shop_api.stack.interrupts import uninterrupted
from shop_api.stack.postgres import EmbeddedPostgres, start_postgres, stop_postgres
from shop_api.stack.redis import EmbeddedRedis, start_redis
from shop_api.stack.secrets import ensure_secrets

# A server that was killed replays its log before it answers.
RECOVERY_SECONDS = 60.0
RETRY_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Stores:
    """Running stores, and the settings that name them."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings
        self._postgres: EmbeddedPostgres | None = None
        self._redis: EmbeddedRedis | None = None
        self.settings = settings

    def start(self) -> None:
        """Start or join what the settings do not name."""
        given = self._given
        changes: dict[str, object] = {}
        if given.database_url is None:
            self._postgres = _start_postgres_patiently(given.data_dir)
            changes["database_url"] = self._postgres.application_url
            changes["migrator_database_url"] = self._postgres.migrator_url
            changes["exporter_database_url"] = self._postgres.exporter_url
        if given.redis_url is None:
            self._redis = start_redis(given.data_dir)
            changes["redis_url"] = self._redis.url
        self.settings = ensure_secrets(given.model_copy(update=changes))

    @property
    def has_embedded_postgres(self) -> bool:
        """Whether this data folder holds the database."""
        return self._postgres is not None

    def revive(self) -> None:
        """Start an embedded store again that has died; one that cannot start yet is tried later."""
        try:
            if self._postgres is not None and not self._postgres.is_running():
                logger.warning("the embedded PostgreSQL has died, starting it")
                self._postgres = start_postgres(self._given.data_dir)
            if self._redis is not None and not self._redis.is_running():
                logger.warning("the embedded Redis has died, starting it")
                self._redis = start_redis(self._given.data_dir)
        except psycopg.OperationalError as error:
            logger.warning("it does not start yet: %s", describe(error))
        except (subprocess.SubprocessError, RuntimeError) as error:
            logger.warning("it does not start yet: %s", error)

    def stop(self) -> None:
        """Stop what is embedded, in reverse order of start, also after a start that failed."""
        try:
            if self._redis is not None:
                self._redis.stop()
        finally:
            if self._given.database_url is None:
                # by its folder: the server may run without having answered yet
                stop_postgres(self._given.data_dir)


def _start_postgres_patiently(data_dir: Path) -> EmbeddedPostgres:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return start_postgres(data_dir)
        except (psycopg.OperationalError, subprocess.SubprocessError) as error:
            if time.monotonic() > deadline:
                raise
            logger.info("the embedded PostgreSQL does not answer yet: %s", describe(error))
            time.sleep(RETRY_SECONDS)


@contextmanager
def open_stores(
    settings: Settings, *, is_migrated: bool = True, must_exist: bool = False
) -> Iterator[Stores]:
    """Stores for the block. With `is_migrated` an embedded database has the newest schema.

    `must_exist`: raise NoInstallationError rather than begin an embedded database, so that a
    command in a wrong folder does not answer from an empty one.
    """
    settings = settings.model_copy(update={"data_dir": settings.data_dir.resolve()})
    if must_exist and settings.database_url is None and not has_database(settings.data_dir):
        raise NoInstallationError(
            f"there is no shop in {settings.data_dir}. Go to its folder, set SHOP_DATA_DIR or"
            " DATABASE_URL, or make one: shop-api tenant create, shop-api demo"
        )
    stores = Stores(settings)
    if settings.database_url and settings.redis_url:
        stores.start()
        yield stores
        return
    make_data_folder(settings.data_dir)
    with (settings.data_dir / "stores.users").open("w") as users:
        try:
            with _exclusive(settings.data_dir / "stores.lock"):
                fcntl.flock(users, fcntl.LOCK_SH)
                stores.start()
            if is_migrated and stores.has_embedded_postgres:
                _migrate_if_needed(str(stores.settings.migrator_database_url))
            yield stores
        finally:
            with uninterrupted(), _exclusive(settings.data_dir / "stores.lock"):
                if _is_last(users):
                    stores.stop()


@contextmanager
def ensure_stores(
    settings: Settings, *, is_migrated: bool = True, must_exist: bool = False
) -> Iterator[Settings]:
    """The settings with concrete URLs and secrets, their stores running for the block."""
    with open_stores(settings, is_migrated=is_migrated, must_exist=must_exist) as stores:
        yield stores.settings


def make_data_folder(data_dir: Path) -> None:
    """Make the folder unless it is there; DataFolderError where that, or writing, cannot be."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(data_dir, os.W_OK | os.X_OK)
        reason = "" if is_writable else "this user may not write to it"
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        raise DataFolderError(
            f"{data_dir} cannot be the data folder: {reason}. Set SHOP_DATA_DIR to another"
        )


def has_database(data_dir: Path) -> bool:
    """Whether the folder holds an embedded database."""
    return (data_dir / "postgres" / "PG_VERSION").exists()


def is_in_use(data_dir: Path) -> bool:
    """Whether some process uses the embedded stores of the folder now."""
    users = data_dir / "stores.users"
    if not users.exists():
        return False
    with users.open("a") as handle:
        return not _is_last(handle)


def _migrate_if_needed(migrator_url: str) -> None:
    url = sqlalchemy_url(migrator_url)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        is_current = current_revision(connection) == newest_revision()
    if not is_current:
        migrate(url)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    """Whether nobody else holds the shared lock; gives it up either way."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(users, fcntl.LOCK_UN)
        return False
    return True
