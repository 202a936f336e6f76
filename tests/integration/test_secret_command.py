"""`shop-api secret`: the key that the data folder keeps is rotated, and the old one forgotten."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from shop_api.commands.secret import secret
from shop_api.settings import Settings
from shop_api.stack.secrets import ensure_secrets


def test_the_secret_key_of_the_folder_is_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(secret, ["rotate"])
    assert (refused.exit_code, "there is no secret key" in refused.output) == (1, True)
    first = ensure_secrets(Settings())
    assert CliRunner().invoke(secret, ["rotate"]).exit_code == 0
    second = ensure_secrets(Settings())
    assert second.secret_key != first.secret_key
    assert second.accepted_secret_keys == [first.secret_key]
    assert second.platform_key == first.platform_key
    CliRunner().invoke(secret, ["rotate"])
    third = ensure_secrets(Settings())
    assert third.accepted_secret_keys == [second.secret_key, first.secret_key]
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    forgotten = CliRunner().invoke(secret, ["forget"])
    assert forgotten.output.startswith("2 forgotten.")
    last = ensure_secrets(Settings())
    assert (last.secret_key, last.accepted_secret_keys) == (third.secret_key, [])
    monkeypatch.setenv("SHOP_SECRET_KEY", "x" * 32)
    refused = CliRunner().invoke(secret, ["rotate"])
    assert (refused.exit_code, "SHOP_ACCEPTED_SECRET_KEYS" in refused.output) == (1, True)
