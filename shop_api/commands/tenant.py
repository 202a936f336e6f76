"""`shop-api tenant`: making tenants from the command line.

Belongs here: arguments and what is printed. Does not: what a tenant is made of (domains/tenants).
"""

import secrets

import click
from sqlalchemy.exc import DBAPIError

from shop_api.commands.platform import not_acceptable, platform_work
from shop_api.db.constraints import constraint_error, register_constraints
from shop_api.domains.tenants.errors import CONSTRAINTS as TENANT_CONSTRAINTS
from shop_api.domains.tenants.schemas import PLANS, TenantBody
from shop_api.domains.tenants.service import create_tenant
from shop_api.domains.users.errors import CONSTRAINTS as USER_CONSTRAINTS
from shop_api.kernel.errors import DomainError


@click.group()
def tenant() -> None:
    """Make tenants."""


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
        raise click.ClickException(known.detail if known else str(error.orig)) from error
    click.echo(f"tenant    {row.id}")
    click.echo(f"slug      {slug}")
    click.echo(f"login     {email}")
    if owner_password is None:
        click.echo(f"password  {password}")
