"""Secrets of an installation that was given none: made once, kept in the data folder.

Belongs here: making and keeping them. Does not: what they protect.
"""

import os
import secrets
from pathlib import Path

from shop_api.settings import Settings


def ensure_secrets(settings: Settings) -> Settings:
    """The settings with a secret key and a platform key, from the data folder where unset."""
    changes = {
        name: _keep(settings.data_dir / name)
        for name in ("secret_key", "platform_key")
        if getattr(settings, name) is None
    }
    return settings.model_copy(update=changes)


def _keep(path: Path) -> str:
    """The secret in the file, made if there is none; two processes that make it at once agree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            # unlike a rename, this fails when the file came into being meanwhile
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
