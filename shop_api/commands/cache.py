"""`shop-api cache`: kept answers."""

import re

import click

from shop_api.commands.platform import find_tenant_id
from shop_api.db.request_redis import RedisAway, RequestRedis
from shop_api.gateway.purges import BASE, can_match, record_purge
from shop_api.settings import Settings
from shop_api.stack.stores import ensure_stores


@click.group()
def cache() -> None:
    """Kept answers of the API."""


@cache.command()
@click.argument("pattern", required=False)
@click.option("--tenant", "slug", help="Only this tenant's (its slug). Default: everybody's.")
def purge(pattern: str | None, slug: str | None) -> None:
    """Forget kept answers in all processes and in Redis, within two seconds.

    PATTERN means paths, as a shell would: '/api/v1/products*'. Default: all. What is written
    through the API or by the workers needs no purge; what is written past them, by SQL, does.
    """
    if pattern is not None and not can_match(pattern):
        rest = re.sub(r"^/?(api(/|$))?(v1(/|$))?", "", pattern) or "*"
        raise click.UsageError(f"paths begin with {BASE}: did you mean '{BASE}{rest}'?")
    with ensure_stores(Settings(), must_exist=True) as settings:
        assert settings.redis_url
        tenant_id = find_tenant_id(settings, slug) if slug else None
        requests = RequestRedis(settings.redis_url)
        try:
            requests.ask(lambda client: record_purge(client, tenant_id, pattern))
        except RedisAway as error:
            raise click.ClickException("Redis does not answer; nothing was purged") from error
        finally:
            requests.close()
    click.echo(f"purged {pattern or 'all paths'} of {slug or 'all tenants'}", err=True)
