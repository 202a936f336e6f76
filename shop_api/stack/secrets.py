"""Secrets of an installation that was given none: made once, kept in the data folder.

Belongs here: making, keeping and rotating them. Does not: what they protect.
"""

import os
import secrets
from pathlib import Path

from shop_api.settings import Settings

SECRET_KEY = "secret_key"
# what signed before, one to a line
ACCEPTED = "accepted_secret_keys"


def ensure_secrets(settings: Settings) -> Settings:
    """The settings with every key, those that are unset from the data folder."""
    changes: dict[str, object] = {
        name: _keep(settings.data_dir / name)
        for name in (SECRET_KEY, "platform_key", "metrics_key")
        if getattr(settings, name) is None
    }
    if SECRET_KEY in changes:
        changes[ACCEPTED] = [*settings.accepted_secret_keys, *_accepted(settings.data_dir)]
    return settings.model_copy(update=changes)


def rotate_secret_key(data_dir: Path) -> None:
    """Let a new secret key sign; the one before it stays accepted until it is forgotten."""
    present = _keep(data_dir / SECRET_KEY)
    # first: whoever reads between the two finds the present key in both places, never in none
    _write(data_dir / ACCEPTED, "\n".join([present, *_accepted(data_dir)]))
    _write(data_dir / SECRET_KEY, _make())


def forget_secret_keys(data_dir: Path) -> int:
    """Accept only the present secret key; how many others there were."""
    count = len(_accepted(data_dir))
    (data_dir / ACCEPTED).unlink(missing_ok=True)
    return count


def _accepted(data_dir: Path) -> list[str]:
    path = data_dir / ACCEPTED
    return path.read_text().split() if path.exists() else []


def _keep(path: Path) -> str:
    """The secret in the file, made if there is none; two processes that make it at once agree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = _draft(path, _make())
        try:
            # unlike a rename, this fails when the file came into being meanwhile
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    """Put a file in the place of the one before, whole."""
    _draft(path, text).replace(path)


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    return draft


def _make() -> str:
    return secrets.token_urlsafe(48)
