"""`shop-api serve` refuses stores that will never do in a sentence, and waits for those away."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from shop_api.settings import Settings
from shop_api.stack.postgres import start_postgres
from shop_api.stack.preflight import refuse_unusable_stores
from shop_api.stack.redis import start_redis
from tests.fixtures.copies import SERVE, Copy
from tests.fixtures.processes import answers, free_port, process_environment, running, wait_until
from tests.fixtures.stores import Database, store_folder

ONLY_API = [*SERVE, "--only", "api"]


@pytest.fixture
def copy(database: Database, redis_url: str, tmp_path: Path) -> Copy:
    found = Copy(tmp_path)
    found.environment |= {
        "DATABASE_URL": database.application_url,
        "REDIS_URL": redis_url,
    }
    return found


@pytest.fixture
def empty(database: Database) -> Iterator[str]:
    """A database without a schema."""
    name = f"{database.name}_empty"
    database.server.execute(f"CREATE DATABASE {name}")
    yield name
    database.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def refusal(copy: Copy, **changes: str) -> str:
    """What `serve` says before it ends by itself."""
    outcome = subprocess.run(
        [sys.executable, *ONLY_API],
        env={**copy.environment, **changes},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert outcome.returncode == 1, outcome.stderr
    (line,) = outcome.stderr.splitlines()
    assert copy.processes() == []
    return line


def test_a_role_that_row_level_security_does_not_bind_is_told_on_the_terminal(
    copy: Copy, database: Database
) -> None:
    said = refusal(copy, DATABASE_URL=database.server.url(database.name))
    assert "row-level security does not bind" in said
    assert "Connect as shop_app" in said
    with pytest.raises(RuntimeError, match="DATABASE_READ_URL connects as 'shop_migrator'"):
        refuse(copy, database_read_url=database.migrator_url)


def refuse(copy: Copy, kind: str = "api", **changes: str) -> list[str]:
    """The stores that are away."""
    given = {
        "database_url": copy.environment["DATABASE_URL"],
        "redis_url": copy.environment["REDIS_URL"],
    }
    return refuse_unusable_stores(Settings(_env_file=None, **{**given, **changes}), [kind])  # type: ignore[arg-type]


def test_a_database_without_a_schema_is_told_on_the_terminal(
    copy: Copy, database: Database, empty: str
) -> None:
    said = refusal(copy, DATABASE_URL=database.server.url(empty, "shop_app"))
    assert "missing" in said
    assert "Run `shop-api migrate`" in said


def test_an_older_schema_is_refused_and_a_newer_one_serves(copy: Copy, database: Database) -> None:
    def set_revision(revision: str) -> None:
        database.server.execute(
            f"UPDATE alembic_version SET version_num = '{revision}'", database.name
        )

    (head,) = Path("migrations/HEAD").read_text().split()
    assert refuse(copy) == []
    try:
        set_revision("9999")
        assert refuse(copy) == []
        set_revision("0011")
        with pytest.raises(RuntimeError, match="at 0011, and this version needs"):
            refuse(copy)
        # as it was before the revision that lets the role see it
        revoke = "REVOKE SELECT ON alembic_version FROM shop_app"
        database.server.execute(revoke, database.name)
        with pytest.raises(RuntimeError, match="older than this version"):
            refuse(copy)
    finally:
        set_revision(head)
        database.server.execute("GRANT SELECT ON alembic_version TO shop_app", database.name)


def test_urls_and_options_nobody_reads_are_refused_without_their_text(copy: Copy) -> None:
    for changes in (
        {"database_url": "postgresql://shop_app:word@host:port/shop"},
        {"database_url": "postgresql://127.0.0.1/shop?option=1"},
        {"redis_url": "redis://:word@host:port"},
        {"redis_url": "redis://host/0?secret=word"},
        {"redis_url": "redis://:word@127.0.0.1:1/0?protocol=9"},
    ):
        with pytest.raises(RuntimeError, match="shop-api doctor") as refused:
            refuse(copy, **changes)
        assert "word" not in str(refused.value)


def test_a_worker_without_the_exporter_is_refused(copy: Copy) -> None:
    with pytest.raises(RuntimeError, match="SHOP_EXPORTER_DATABASE_URL"):
        refuse(copy, "worker")


def test_stores_that_are_away_are_told_and_waited_for(copy: Copy) -> None:
    copy.environment |= {
        "DATABASE_URL": f"postgresql://shop_app@127.0.0.1:{free_port()}/shop",
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}",
    }
    with running(ONLY_API, copy.environment, copy.log):
        copy.wait_ready()
        assert answers(f"http://127.0.0.1:{copy.api_port}/health/ready", 503)
    said = [line for line in copy.log.read_text().splitlines() if line.startswith("away")]
    assert [line.split()[1] for line in said] == ["DATABASE_URL,", "REDIS_URL,"]
    assert "503 until it is back: OperationalError (nothing listens there)" in said[0]
    assert "nothing is told live until it is back: ConnectionError (Connection refused)" in said[1]


def test_what_is_away_is_described_and_not_quoted(copy: Copy) -> None:
    """The host may be the end of a password."""
    for changes in (
        {"database_url": "postgresql://shop_app:x@word.invalid/shop"},
        {"redis_url": "redis://:x@word.invalid:6379"},
        {"database_url": "postgresql://shop_app@/shop?host=/word"},
        {"redis_url": "unix:///word/redis.sock"},
    ):
        (said,) = refuse(copy, **changes)
        assert "word" not in said
        assert said.endswith(
            (
                "(the host's name is not known)",
                "no such socket or file)",
                "No such file or directory)",
            )
        )


def test_embedded_stores_serve_from_a_folder_whose_name_urls_escape() -> None:
    with store_folder() as outer:
        folder = outer / "me@shop"
        folder.mkdir(mode=0o755)
        outer.chmod(0o755)
        postgres, cache = start_postgres(folder), start_redis(folder)
        try:
            given = Settings(
                _env_file=None,
                database_url=postgres.application_url,
                redis_url=cache.url,
            )
            with psycopg.connect(str(given.database_url)) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("shop_app",)
            with redis.Redis.from_url(str(given.redis_url)) as client:
                assert client.ping()
        finally:
            cache.stop()
            postgres.stop()


def test_a_url_that_names_its_driver_is_read_by_all(copy: Copy) -> None:
    """libpq, which the relay and the waker hand it to, would quote all of it."""
    url = copy.environment["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    given = Settings(_env_file=None, database_url=url, database_read_url=url)
    for read in (given.database_url, given.database_read_url):
        with psycopg.connect(str(read)) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("shop_app",)


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "shop_api.stack.api_server"],
        ["-m", "shop_api.worker"],
        [
            *("-m", "gunicorn", "-c", "python:shop_api.realtime.gunicorn_config"),
            "shop_api.realtime.wsgi:app",
        ],
    ],
    ids=["api", "worker", "realtime"],
)
@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "defect"])
def test_every_line_of_a_process_that_cannot_start_is_json(
    copy: Copy,
    database: Database,
    redis_url: str,
    tmp_path: Path,
    command: list[str],
    is_refused: bool,
) -> None:
    wrong = (
        database.server.url(database.name) if is_refused else "postgresql://127.0.0.1/shop?option=1"
    )
    settings = database.settings(tmp_path, redis_url, database_url=wrong)
    environment = {
        **process_environment(settings),
        "SHOP_API_PORT": str(copy.api_port),
        "SHOP_REALTIME_PORT": str(copy.realtime_port),
        "SHOP_API_WORKERS": "1",
    }
    with running(command, environment, copy.log) as process:
        wait_until(lambda: process.poll() is not None or "cannot go on" in copy.log.read_text(), 30)
    lines = [json.loads(line) for line in copy.log.read_text().splitlines()]
    told = next(line for line in lines if line["message"] == "process cannot go on")
    assert told["level"] == "critical"
    assert ("Traceback" in told["exception"]) is not is_refused
    if is_refused:
        assert "Connect as shop_app" in told["exception"]
