"""`shop-api key`: making API keys from the command line."""

import click

from shop_api.commands.platform import find_tenant_id, open_work
from shop_api.domains.api_keys.service import OPERATOR, create_key
from shop_api.kernel.errors import DomainError
from shop_api.kernel.principal import SCOPES
from shop_api.settings import Settings
from shop_api.stack.stores import ensure_stores


@click.group()
def key() -> None:
    """Make API keys."""


@key.command()
@click.argument("tenant")
@click.option("--name", default="cli", show_default=True, help="What the key is for.")
@click.option(
    "--publishable",
    is_flag=True,
    help="A key that may be public: it reads the catalogue, sends storefront events.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(sorted(SCOPES)),
    help="Repeatable. Default: all.",
)
def create(tenant: str, name: str, publishable: bool, scopes: tuple[str, ...]) -> None:
    """Create an API key for TENANT (its slug) and print it, this once."""
    kind = "publishable" if publishable else "secret"
    given = Settings()
    with ensure_stores(given, must_exist=True) as settings:
        tenant_id = find_tenant_id(settings, tenant)
        try:
            with open_work(settings, tenant_id) as work:
                token, _ = create_key(work, name, kind, list(scopes) or None, None, OPERATOR)
        except DomainError as error:
            raise click.ClickException(error.detail) from error
    where = settings.data_dir if given.database_url is None else "the database of DATABASE_URL"
    click.echo(f"a {kind} key of {tenant}, in {where}; it is not shown again:", err=True)
    click.echo(token)
