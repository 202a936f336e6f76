"""What `shop-api` says when a command is given in the wrong place or the wrong way."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shop_api.cli import main
from tests.fixtures.processes import free_port
from tests.fixtures.stores import Database

ENVIRONMENT: dict[str, str | None] = {"DATABASE_URL": None, "REDIS_URL": None}


def run(data_dir: Path, *arguments: str) -> Result:
    environment = {**ENVIRONMENT, "SHOP_DATA_DIR": str(data_dir)}
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.mark.parametrize(
    "arguments",
    [
        ["key", "create", "acme"],
        ["import", "--preset", "olist", "--tenant", "acme", "."],
        ["lake", "run"],
        ["lake", "verify"],
        ["lake", "compact"],
    ],
)
def test_a_folder_without_a_shop_is_named_and_left_as_it_is(
    tmp_path: Path, arguments: list[str]
) -> None:
    folder = tmp_path / "var"
    refused = run(folder, *arguments)
    assert refused.exit_code == 1
    assert f"there is no shop in {folder}" in refused.stderr
    assert not folder.exists()


def test_verifying_an_empty_shop_does_not_say_that_it_agrees(
    database: Database, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "DATABASE_URL", database.application_url)
    monkeypatch.setitem(ENVIRONMENT, "SHOP_EXPORTER_DATABASE_URL", database.exporter_url)
    monkeypatch.setitem(ENVIRONMENT, "REDIS_URL", redis_url)
    verified = run(tmp_path, "lake", "verify")
    assert verified.exit_code == 0, verified.output
    assert verified.stdout == (
        "nothing to compare yet: no tenant has products, customers or orders\n"
    )


@pytest.mark.parametrize("path", ["file", "file/var", "/proc/var"])
def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    refused = run(tmp_path / path, "tenant", "create", "acme")
    assert (refused.exit_code, isinstance(refused.exception, SystemExit)) == (1, True)
    assert f"{tmp_path / path} cannot be the data folder: " in refused.stderr
    assert "Set SHOP_DATA_DIR to another" in refused.stderr


def test_the_package_is_the_command_too() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "shop_api", "--help"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("Usage: shop-api [OPTIONS] COMMAND")


def test_settings_that_are_not_acceptable_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_PORT", "many")
    refused = run(tmp_path, "tenant", "create", "acme")
    assert refused.exit_code == 1
    assert "SHOP_API_PORT: " in refused.stderr


@pytest.mark.parametrize("command", [("tenant", "create", "acme"), ("doctor",)])
@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SHOP_CORS_ORIGINS", "http://secret", "must be a JSON list"),
        ("SHOP_ACCEPTED_SECRET_KEYS", "secret" * 6, "must be a JSON list"),
        ("REDIS_URL", "secret", "must be of the form redis://"),
        ("DATABASE_URL", "mysql://secret", "must be of the form postgresql://"),
        ("SHOP_MIGRATOR_DATABASE_URL", "secret", "must be of the form postgresql://"),
        ("SHOP_DUCKDB_MEMORY", "secret", "must be of the form 128MB"),
        ("SHOP_OTLP_ENDPOINT", "http://secret/v1/traces", "without /v1/traces"),
        # with a password that is not escaped, libpq or redis-py would quote a part of it
        ("DATABASE_URL", "postgresql://shop_app:x@secret@db:5432/shop", "@ written as %40"),
        ("DATABASE_READ_URL", "postgresql://shop_app:secret/x@db/shop", "/ as %2F"),
        ("SHOP_EXPORTER_DATABASE_URL", "postgresql://u:secret/?x@db/shop", "/ as %2F"),
        ("SHOP_MIGRATOR_DATABASE_URL", "postgresql://u:secret%x@db/shop", "% as %25"),
        ("REDIS_URL", "redis://:x@secret@cache:6379/0", "@ written as %40"),
        ("REDIS_URL", "redis://:1?secret@cache:6379/0", "? as %3F"),
        ("SHOP_OTLP_ENDPOINT", "http://u:x@secret@collector:4318", "@ written as %40"),
        ("SHOP_LAKE_URL", "s3://key:secret@bucket/lake", "settings of its own"),
        ("SHOP_POOL_PRESET", "secret", "'low', 'default' or 'high'"),
    ],
)
def test_a_variable_is_told_by_its_name_and_not_its_value(
    tmp_path: Path, variable: str, value: str, told: str, command: tuple[str, ...]
) -> None:
    environment = {**ENVIRONMENT, "SHOP_DATA_DIR": str(tmp_path), variable: value}
    refused = CliRunner().invoke(main, command, env=environment)
    assert refused.exit_code == 1
    assert isinstance(refused.exception, SystemExit)
    assert variable in refused.output
    assert told in " ".join(refused.output.split())
    assert "secret" not in refused.output


def test_a_tenant_that_is_not_acceptable_is_refused_line_by_line(tmp_path: Path) -> None:
    options = ["--owner-email", "me@shop.example", "--owner-password", "short"]
    refused = run(tmp_path, "tenant", "create", "Bad Slug", *options)
    assert refused.exit_code == 1
    lines = refused.stderr.splitlines()
    assert lines[0] == "Error: not acceptable:"
    assert [line.split(":")[0] for line in lines[1:]] == ["  slug", "  owner password"]
    assert list(tmp_path.iterdir()) == []


def test_a_slug_is_refused_without_the_address_made_of_it(tmp_path: Path) -> None:
    refused = run(tmp_path, "tenant", "create", "Bad Slug")
    assert [line.split(":")[0] for line in refused.stderr.splitlines()[1:]] == ["  slug"]
    given = run(tmp_path, "tenant", "create", "Bad Slug", "--owner-email", "me")
    lines = [line.split(":")[0] for line in given.stderr.splitlines()[1:]]
    assert lines == ["  slug", "  owner email"]


def test_listening_to_a_type_that_is_none_names_those_there_are(tmp_path: Path) -> None:
    refused = run(tmp_path, "listen", "--key", "sk", "--type", "order_paid")
    assert refused.exit_code == 2
    assert "no type order_paid; there are dashboard_metrics_updated" in refused.stderr


def test_listening_where_nobody_answers_names_the_address_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop_api.commands.listen.PATIENCE_SECONDS", 1.0)
    address = f"http://127.0.0.1:{free_port()}"
    refused = run(tmp_path, "listen", "--key", "sk", "--api", address)
    assert refused.exit_code == 1
    assert f"no connection to {address}" in refused.stderr
    assert "is it running?" in refused.stderr
