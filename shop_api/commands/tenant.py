"""`shop-api tenant`: making tenants and setting their limits from the command line.

Belongs here: arguments and what is printed. Does not: what a tenant is made of (domains/tenants).
"""

import secrets

import click
from sqlalchemy.exc import DBAPIError

from shop_api.commands.platform import find_tenant_id, not_acceptable, open_work, platform_work
from shop_api.db.constraints import constraint_error, register_constraints
from shop_api.db.outages import describe
from shop_api.domains.tenants.errors import CONSTRAINTS as TENANT_CONSTRAINTS
from shop_api.domains.tenants.repository import TenantRepository
from shop_api.domains.tenants.schemas import MAX_LIMIT, TenantBody
from shop_api.domains.tenants.service import change_tenant, create_tenant
from shop_api.domains.users.errors import CONSTRAINTS as USER_CONSTRAINTS
from shop_api.kernel.errors import DomainError
from shop_api.kernel.rate_limits import PLANS, PlanLimits, limits_of
from shop_api.settings import Settings
from shop_api.stack.stores import ensure_stores

UNITS = {"burst": " a second", "subscriptions": " at once"}


@click.group()
def tenant() -> None:
    """Make tenants, and set what they may ask for."""


@tenant.command()
@click.argument("slug")
@click.option("--name", help="The shop's name. Default: the slug.")
@click.option("--currency", default="USD", show_default=True, help="ISO 4217 code.")
@click.option("--timezone", default="UTC", show_default=True, help="IANA name: day edges are its.")
@click.option("--plan", type=click.Choice(PLANS), default="pro", show_default=True)
@click.option("--owner-email", help="The owner's login. Default: owner@SLUG.example.")
@click.option("--owner-password", help="At least 12 characters. Default: one is made and shown.")
def create(
    slug: str,
    name: str | None,
    currency: str,
    timezone: str,
    plan: str,
    owner_email: str | None,
    owner_password: str | None,
) -> None:
    """Create the tenant SLUG with its owner, and print the login.

    Then `shop-api key create SLUG` makes an API key.
    """
    password = owner_password or secrets.token_urlsafe(12)
    email = owner_email or f"owner@{slug}.example"
    owner = {"email": email, "name": "Owner", "password": password}
    values = {
        "name": name or slug,
        "slug": slug,
        "plan": plan,
        "currency": currency,
        "timezone": timezone,
    }
    # an address made of the slug is as good as that
    made = () if owner_email else ("email",)
    given = {name: value for name, value in owner.items() if name not in made}
    checked = TenantBody(partial=[f"owner.{name}" for name in made])
    problems = checked.validate({**values, "owner": given})
    if problems:
        raise not_acceptable(problems)
    register_constraints(USER_CONSTRAINTS)
    register_constraints(TENANT_CONSTRAINTS)
    try:
        with platform_work() as work:
            row = create_tenant(work, values, owner)
    except DomainError as error:
        raise click.ClickException(error.detail) from error
    except DBAPIError as error:
        known = constraint_error(error)
        raise click.ClickException(known.detail if known else describe(error)) from error
    click.echo(f"tenant    {row.id}")
    click.echo(f"slug      {slug}")
    click.echo(f"login     {email}")
    if owner_password is None:
        click.echo(f"password  {password}")


class Limit(click.ParamType):
    """`mutations=3000`, or `mutations=plan` for what the plan has."""

    name = "limit"

    def convert(self, value: str, param: object, ctx: object) -> tuple[str, int | None]:
        kind, _, number = value.partition("=")
        if kind not in PlanLimits._fields:
            self.fail(f"there is no limit {kind!r}; there are {', '.join(PlanLimits._fields)}")
        if number == "plan":
            return kind, None
        if not number.isdecimal() or not 1 <= int(number) <= MAX_LIMIT:
            self.fail(
                f"{value!r}: give a whole number from 1 to {MAX_LIMIT}, or `plan`: {kind}=3000"
            )
        return kind, int(number)


@tenant.command()
@click.argument("slug")
@click.option("--plan", type=click.Choice(PLANS), help="Default: as it is.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    type=Limit(),
    metavar="NAME=NUMBER",
    help="A limit of its own beside the plan's, NAME=plan to take it back; repeatable. NAME is one"
    f" of {', '.join(PlanLimits._fields)}.",
)
def limits(slug: str, plan: str | None, limits: tuple[tuple[str, int | None], ...]) -> None:
    """Set plan and limits of the tenant SLUG, and print them. They hold within a second.

    Without options they are only printed.
    """
    names = [name for name, _ in limits]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise click.UsageError(f"each limit may be given once: {', '.join(twice)}")
    values = {"plan": plan, "rate_limits": dict(limits)}
    with ensure_stores(Settings(), must_exist=True) as settings:
        tenant_id = find_tenant_id(settings, slug)
        with open_work(settings, tenant_id) as work:
            repository = work.repository(TenantRepository)
            before = repository.find(for_update=True)
            if before is None:
                raise click.ClickException(f"there is no tenant {slug!r}")
            change_tenant(work, {name: value for name, value in values.items() if value}, before)
            row = repository.find()
    if row is None:
        raise click.ClickException(f"there is no tenant {slug!r}")
    click.echo(f"plan           {row.plan}")
    for name, value in limits_of(row.plan, row.rate_limits)._asdict().items():
        own = "  (its own)" if name in row.rate_limits else ""
        click.echo(f"{name:<13}  {value}{UNITS.get(name, ' a minute')}{own}")
