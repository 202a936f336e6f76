"""`shop-api serve` starts everything, restarts what dies, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from shop_api.settings import Settings
from shop_api.stack.postgres import start_postgres, stop_postgres
from shop_api.stack.secrets import ensure_secrets
from shop_api.stack.stores import ensure_stores, open_stores
from shop_api.worker import time_to_end
from tests.fixtures.copies import SERVE, Copy, postmaster
from tests.fixtures.processes import answers, running, wait_until
from tests.fixtures.stores import store_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with store_folder() as found:
        yield found


def wait_for_restart(copy: Copy, part: str, old_pid: int) -> None:
    def is_new() -> bool:
        pids = [process.pid for process in copy.of_command(part)]
        return bool(pids) and old_pid not in pids

    wait_until(is_new, 15)


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_everything_starts_is_restarted_when_killed_and_stops_without_orphans(
    folder: Path,
) -> None:
    copy = Copy(folder)
    with running(SERVE, copy.environment, copy.log) as supervisor:
        copy.wait_ready()
        assert copy.is_serving()
        for part in ("shop_api.worker", "api_server", "gunicorn"):
            victim = min(copy.of_command(part), key=lambda process: process.pid)
            victim.kill()
            wait_for_restart(copy, part, victim.pid)
        wait_until(copy.is_serving, 20)
        os.kill(postmaster(folder), signal.SIGKILL)
        wait_until(lambda: not copy.has_realtime(), 10)
        wait_until(copy.is_serving, 30)
        started = time.monotonic()
        supervisor.terminate()
        assert supervisor.wait(timeout=15) == 0
        assert time.monotonic() - started < 10
    assert copy.processes() == []
    assert not (folder / "postgres" / "postmaster.pid").exists()


def test_a_plain_start_and_stop_warns_of_nothing(folder: Path) -> None:
    copy = Copy(folder)
    # more than there are cores, as is right for threads that wait for Postgres
    environment = {**copy.environment, "SHOP_API_THREADS": "64"}
    # how long a statement takes is the machine's affair
    environment["SHOP_SLOW_QUERY_SECONDS"] = environment["SHOP_SLOW_REQUEST_SECONDS"] = "20"
    with running(SERVE, environment, copy.log) as supervisor:
        copy.wait_ready()
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(timeout=20) == 0
    lines = copy.log.read_text().splitlines()
    assert [line for line in lines if re.search('"level": ?"(warning|error)"', line)] == []
    assert lines[-1] == "stopped"


def test_a_redis_that_stalls_takes_nothing_down_and_does_not_outlive_a_stop(folder: Path) -> None:
    copy = Copy(folder)
    with running(SERVE, copy.environment, copy.log) as supervisor:
        copy.wait_ready()
        before = {process.pid for process in copy.of_command(" -m ")}
        (stalled,) = copy.of_command("redis-server")
        stalled.suspend()
        time.sleep(2.5)
        stalled.resume()
        wait_until(copy.is_serving, 20)
        assert {process.pid for process in copy.of_command(" -m ")} >= before
        assert copy.of_command("redis-server") == [stalled]
        stalled.suspend()
        supervisor.terminate()
        assert supervisor.wait(timeout=20) == 0
    assert copy.processes() == []
    assert not (folder / "postgres" / "postmaster.pid").exists()


def has_process(part: str, count: int = 1) -> Callable[[Copy], bool]:
    return lambda copy: len(copy.of_command(part)) >= count


def has_file(path: str) -> Callable[[Copy], bool]:
    return lambda copy: (copy.folder / path).exists()


# What children are given to end: far more than they take, on a busy machine too.
GRACE_SECONDS = 30.0

# Each is a moment of the start: what has appeared, how long ago, and the signal.
MOMENTS: dict[str, tuple[Callable[[Copy], bool], float, signal.Signals]] = {
    "initdb": (has_file("postgres/PG_VERSION"), 0.0, signal.SIGTERM),
    "postgres": (has_file("postgres/.s.PGSQL.5432"), 0.0, signal.SIGTERM),
    # while redis-py, and then the migrations, drop objects: Python ignores what is raised there
    "redis": (has_file("redis/redis.sock"), 0.09, signal.SIGTERM),
    "redis_ignored": (has_file("redis/redis.sock"), 0.11, signal.SIGINT),
    "migration": (has_file("redis/redis.sock"), 0.3, signal.SIGINT),
    "api": (has_process("api_server"), 0.0, signal.SIGINT),
    "api_loads": (has_process("api_server"), 0.7, signal.SIGINT),
    "api_workers_load": (has_process("api_server", 2), 0.0, signal.SIGTERM),
    "realtime_worker_loads": (has_process("gunicorn", 2), 0.0, signal.SIGINT),
    "worker_loads": (has_process("gunicorn", 2), 0.6, signal.SIGTERM),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_of_the_start_ends_everything(folder: Path, moment: str) -> None:
    copy = Copy(folder)
    environment = {**copy.environment, "SHOP_SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS)}
    has_come, delay, number = MOMENTS[moment]
    with running(SERVE, environment, copy.log) as supervisor:
        wait_until(lambda: has_come(copy), 30)
        time.sleep(delay)
        started = time.monotonic()
        supervisor.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            supervisor.wait(timeout=GRACE_SECONDS + 10)
        # one that missed the signal is there until its grace is over, the worker a little less
        assert time.monotonic() - started < time_to_end(GRACE_SECONDS), copy.log.read_text()
    assert copy.processes() == []
    assert "AttributeError" not in copy.log.read_text()
    settings = Settings(_env_file=None, database_url=None, redis_url=None, data_dir=folder)
    with ensure_stores(settings) as ready:
        assert ready.database_url


def test_postgres_does_not_stay_when_redis_cannot_start(folder: Path) -> None:
    # where its socket would be
    (folder / "redis" / "redis.sock").mkdir(parents=True)
    settings = Settings(_env_file=None, database_url=None, redis_url=None, data_dir=folder)
    with pytest.raises(RuntimeError, match="Redis did not start"), ensure_stores(settings):
        pass
    assert (folder / "postgres" / "PG_VERSION").exists()
    assert not (folder / "postgres" / "postmaster.pid").exists()


def test_a_postgres_that_still_starts_is_waited_for_and_can_be_stopped(folder: Path) -> None:
    start_postgres(folder)
    pid = postmaster(folder)
    file = folder / "postgres" / "postmaster.pid"
    file.write_text(file.read_text().replace("ready   ", "starting"))
    with pytest.raises(psycopg.OperationalError, match="still starting"):
        start_postgres(folder)
    stop_postgres(folder)
    assert not is_alive(pid)
    stop_postgres(folder)


def test_everything_listens_on_an_ipv6_address_and_ends_when_the_supervisor_is_killed(
    folder: Path,
) -> None:
    copy = Copy(folder)
    with running(SERVE, {**copy.environment, "SHOP_HOST": "::1"}, copy.log) as supervisor:
        copy.wait_ready()
        assert answers(f"http://[::1]:{copy.api_port}/health/live")
        assert answers(f"http://[::1]:{copy.realtime_port}/health/live")
        assert f"http://[::1]:{copy.api_port}/api/v1" in copy.log.read_text()
        assert f"ws://[::1]:{copy.realtime_port}/ws" in copy.log.read_text()
        supervisor.kill()
        supervisor.wait()
        wait_until(lambda: not copy.of_command(" -m "), 10)
        left = postmaster(folder)
    # the next start joins the stores
    copy.log.write_text("")
    with running([*SERVE, "--only", "worker"], copy.environment, copy.log) as supervisor:
        copy.wait_ready()
        assert postmaster(folder) == left
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(timeout=15) == 0
    assert copy.processes() == []


def test_two_copies_run_side_by_side(folder: Path) -> None:
    with store_folder() as other_folder:
        first, second = Copy(folder), Copy(other_folder)
        only = [*SERVE, "--only", "realtime"]
        with (
            running(only, first.environment, first.log) as one,
            running(only, second.environment, second.log),
        ):
            first.wait_ready()
            second.wait_ready()
            one.terminate()
            assert one.wait(timeout=15) == 0
            assert first.processes() == []
            assert second.has_realtime()
            assert second.of_command("api_server") == []


def test_a_taken_port_is_told_at_once(folder: Path) -> None:
    copy = Copy(folder)
    with socket.create_server(("127.0.0.1", copy.realtime_port)):
        outcome = subprocess.run(
            [sys.executable, *SERVE],
            env=copy.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert outcome.returncode == 1
    assert f"port {copy.realtime_port}" in outcome.stderr
    assert copy.processes() == []


def test_the_last_user_stops_the_embedded_stores(folder: Path) -> None:
    settings = Settings(_env_file=None, database_url=None, redis_url=None, data_dir=folder)
    with ensure_stores(settings) as outer:
        pid = postmaster(folder)
        script = (
            "from shop_api.settings import Settings\n"
            "from shop_api.stack.stores import ensure_stores\n"
            "with ensure_stores(Settings()) as settings: print(settings.database_url)"
        )
        other = subprocess.run(
            [sys.executable, "-c", script],
            env=Copy(folder).environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert other.stdout.strip() == outer.database_url
        assert postmaster(folder) == pid
        assert is_alive(pid)
    assert not is_alive(pid)


def test_dead_stores_are_revived_in_place(folder: Path) -> None:
    settings = Settings(_env_file=None, database_url=None, redis_url=None, data_dir=folder)
    with open_stores(settings) as stores:
        before = stores.settings
        pid = postmaster(folder)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid))
        deadline = time.monotonic() + 20
        while not stores.has_embedded_postgres or postmaster(folder) == pid:
            assert time.monotonic() < deadline
            stores.revive()
        assert stores.settings == before


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, secret_key=None, platform_key=None, metrics_key=None, data_dir=tmp_path
    )
    first, second = ensure_secrets(settings), ensure_secrets(settings)
    assert first.secret_key == second.secret_key
    assert first.platform_key != first.secret_key
    assert len(str(first.secret_key)) >= 32
    for name in ("secret_key", "platform_key", "metrics_key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metrics_key",
        "platform_key",
        "secret_key",
    ]
