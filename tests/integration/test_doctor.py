"""`shop-api doctor` finds what is wrong, says what to do, and its exit code tells scripts."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from shop_api.cli import main
from shop_api.settings import Settings
from shop_api.stack.stores import ensure_stores
from tests.fixtures.processes import free_port
from tests.fixtures.stores import Database, store_folder


@pytest.fixture
def environment(database: Database, redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": database.application_url,
        "SHOP_MIGRATOR_DATABASE_URL": database.migrator_url,
        "SHOP_EXPORTER_DATABASE_URL": database.exporter_url,
        "REDIS_URL": redis_url,
        "SHOP_DATA_DIR": str(tmp_path),
        "SHOP_API_PORT": str(free_port()),
        "SHOP_REALTIME_PORT": str(free_port()),
    }


def examine(environment: dict[str, str]) -> Result:
    return CliRunner().invoke(main, ["doctor"], env=environment)


def problems(result: Result) -> dict[str, str]:
    """What was found, by subject."""
    lines = [line.split("\t") for line in result.output.splitlines()]
    return {line[1]: line[2] for line in lines if line[0] == "PROBLEM"}


def test_a_sound_installation_passes(environment: dict[str, str]) -> None:
    result = examine(environment)
    assert result.exit_code == 0, result.output
    assert problems(result) == {}
    assert "behind one set it to 1" in result.output


def test_a_role_that_row_level_security_does_not_bind_is_a_problem(
    environment: dict[str, str], database: Database
) -> None:
    owner = {**environment, "DATABASE_URL": database.migrator_url}
    superuser = {**environment, "DATABASE_URL": database.server.url(database.name)}
    for wrong in (owner, superuser):
        result = examine(wrong)
        assert result.exit_code == 1
        assert "NOT bound" in problems(result)["application role"]


def test_unreachable_stores_and_missing_roles_are_problems_with_advice(
    environment: dict[str, str],
) -> None:
    environment["REDIS_URL"] = f"redis://127.0.0.1:{free_port()}"
    environment["DATABASE_URL"] = f"postgresql://shop_app@127.0.0.1:{free_port()}/shop"
    del environment["SHOP_EXPORTER_DATABASE_URL"]
    result = examine(environment)
    assert result.exit_code == 1
    assert {"redis", "postgres", "application role", "exporter role"} <= set(problems(result))
    assert "Check REDIS_URL" in result.output


def test_urls_of_the_right_form_that_cannot_be_read_are_problems(
    environment: dict[str, str],
) -> None:
    environment["REDIS_URL"] = "redis://:word@127.0.0.1:port"
    environment["DATABASE_URL"] = "postgresql://shop_app:word@127.0.0.1:port/shop"
    result = examine(environment)
    assert result.exit_code == 1
    for subject in ("redis", "postgres", "application role"):
        assert problems(result)[subject] == "cannot be read as a URL"
    assert "word" not in result.output


def test_an_old_schema_is_a_problem(environment: dict[str, str], database: Database) -> None:
    name = f"{database.name}_empty"
    database.server.execute(f"CREATE DATABASE {name}")
    try:
        for variable, role in (
            ("DATABASE_URL", "shop_app"),
            ("SHOP_MIGRATOR_DATABASE_URL", "shop_migrator"),
            ("SHOP_EXPORTER_DATABASE_URL", "shop_exporter"),
        ):
            environment[variable] = database.server.url(name, role)
        result = examine(environment)
        assert result.exit_code == 1
        assert set(problems(result)) == {"schema"}
        assert "shop-api migrate" in result.output
    finally:
        database.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_port_taken_by_another_program_is_a_problem(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environment["SHOP_API_PORT"]))) as other:
        other.settimeout(0)
        assert set(problems(examine(environment))) == {"api port"}


def test_a_wrong_setting_is_named(environment: dict[str, str]) -> None:
    environment["SHOP_API_WORKERS"] = "many"
    result = examine(environment)
    assert result.exit_code == 1
    assert "SHOP_API_WORKERS" in problems(result)["settings"]


def test_every_command_explains_itself() -> None:
    listed = CliRunner().invoke(main, ["--help"])
    assert listed.exit_code == 0
    for name in ("doctor", "migrate", "serve"):
        assert name in listed.output
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_a_variable_that_no_setting_reads_is_a_problem(environment: dict[str, str]) -> None:
    result = examine({**environment, "SHOP_API_PROT": "8000"})
    assert result.exit_code == 1
    assert problems(result)["settings"] == "no setting is named SHOP_API_PROT"
    assert "Did you mean SHOP_API_PORT?" in result.output


def test_a_folder_without_a_shop_is_told_and_left_as_it_is(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    del environment["DATABASE_URL"]
    folder = tmp_path / "var"
    result = examine({**environment, "SHOP_DATA_DIR": str(folder)})
    assert result.exit_code == 0, result.output
    assert f"none yet in {folder}" in result.output
    assert not folder.exists()
    (tmp_path / "file").write_text("")
    impossible = examine({**environment, "SHOP_DATA_DIR": str(tmp_path / "file" / "var")})
    assert "not writable" in problems(impossible)["data folder"]


def test_a_server_of_another_installation_is_told_from_ones_own(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with store_folder() as folder, http_server() as port:
        own = {"SHOP_API_PORT": str(port), "SHOP_DATA_DIR": str(folder)}
        for name, value in {**environment, **own}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("DATABASE_URL")
        found = problems(examine({}))
        assert "another program or installation" in found["api port"]
        with ensure_stores(Settings()):
            assert "api port" not in problems(examine({}))


@contextmanager
def http_server() -> Iterator[int]:
    """A server that says of everything that it is well."""

    class Well(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Well) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
