"""`shop-api secret`: rotating the secret key that the data folder keeps.

Belongs here: what is printed and what is refused. Does not: the files (stack/secrets.py).
"""

import click

from shop_api.settings import Settings
from shop_api.stack.secrets import SECRET_KEY, forget_secret_keys, rotate_secret_key


@click.group()
def secret() -> None:
    """Rotate the key that signs access tokens and cursors."""


@secret.command()
def rotate() -> None:
    """Let a new key sign; the one before it stays accepted until `forget`.

    Start `shop-api serve` again afterwards: it reads the key when it starts. See
    docs/guides/production.md.
    """
    settings = _with_key_in_folder()
    rotate_secret_key(settings.data_dir)
    click.echo(
        f"a new secret key is in {settings.data_dir}, and the one before it is still accepted.\n"
        "Start shop-api serve again; a day later run: shop-api secret forget"
    )


@secret.command()
def forget() -> None:
    """Accept no key but the present one: what others signed is refused from the next start on."""
    settings = _with_key_in_folder()
    count = forget_secret_keys(settings.data_dir)
    click.echo(f"{count} forgotten. Start shop-api serve again.")


def _with_key_in_folder() -> Settings:
    """The settings; refuses where the key is a setting, or was never made."""
    settings = Settings()
    if settings.secret_key is not None:
        raise click.ClickException(
            "SHOP_SECRET_KEY is set: change it where it is set, and name the old one in"
            " SHOP_ACCEPTED_SECRET_KEYS"
        )
    if not (settings.data_dir / SECRET_KEY).exists():
        raise click.ClickException(
            f"there is no secret key in {settings.data_dir}: set SHOP_DATA_DIR to another folder"
        )
    return settings
