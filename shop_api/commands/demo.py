"""`shop-api demo`: a filled shop, served, with simulated shoppers.

Belongs here: preparing the demo tenant and saying how to use it. Does not: inventing the shop
(bulk/demo_shop), serving (stack/), the shoppers (shoppers.py).
"""

import fcntl
import io
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec
from click.core import ParameterSource

from shop_api.app import create_app
from shop_api.bulk.demo_shop.history import FREE_SHIPPING_FROM, TAX_PERCENT
from shop_api.bulk.demo_shop.history import SHIPPING as SHIPPING_PRICE
from shop_api.bulk.demo_shop.people import PLACES
from shop_api.bulk.demo_shop.season import DAYS
from shop_api.bulk.demo_shop.seeding import seed_demo_shop
from shop_api.bulk.demo_shop.terms import discounts, exchange_rates, other_currency, unit_of
from shop_api.commands.demo_days import ORDERS, LastDays
from shop_api.commands.platform import (
    find_tenant_id_or_none,
    is_lake_published,
    is_traffic_published,
    not_acceptable,
    open_work,
)
from shop_api.commands.progress import progress_listener
from shop_api.commands.serve import announce_stopping, refuse_taken_ports
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.db.tenancy import PLATFORM_TENANT
from shop_api.domains.api_keys.service import OPERATOR, create_key
from shop_api.domains.pricing import service as pricing
from shop_api.domains.pricing.repository import DISCOUNT, EXCHANGE_RATE, SHIPPING_RATE, TAX_RATE
from shop_api.domains.tenants.schemas import TenantBody
from shop_api.domains.tenants.service import create_tenant
from shop_api.domains.users.service import create_user
from shop_api.kernel.clock import utc_now
from shop_api.kernel.logs import configure_logging
from shop_api.settings import Settings
from shop_api.spine.traffic_stream import TrafficIntake
from shop_api.spine.unit_of_work import UnitOfWork
from shop_api.spine.waker import make_waker
from shop_api.stack.children import (
    KINDS,
    ChildSpec,
    base_url,
    child_environment,
    product_children,
)
from shop_api.stack.interrupts import raise_at_signals
from shop_api.stack.stores import Stores, ensure_stores, make_data_folder, open_stores
from shop_api.stack.supervisor import Supervisor

SLUG = "demo"
SEED = 7
LOGIN_FILE = "demo.json"
DASHBOARD = "/api/v1/analytics/dashboard"
STATEMENT_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class DemoLogin:
    """The demo tenant's credentials, kept in the data folder: keys are shown only once."""

    email: str
    password: str
    secret_key: str
    publishable_key: str


# What only a new shop is made by.
MAKING = ("orders", "currency", "timezone")


@click.command()
@click.option("--once", is_flag=True, help="Prepare, export, print the dashboard as JSON, exit.")
@click.option(
    "--orders",
    type=click.IntRange(1, 1_000_000),
    default=20_000,
    show_default=True,
    help=f"Of the eighteen months before; {ORDERS} of the last days come to them.",
)
@click.option("--currency", default="USD", show_default=True, help="ISO 4217 code.")
@click.option("--timezone", default="UTC", show_default=True, help="IANA name.")
@click.option(
    "--pace",
    type=click.FloatRange(0.1, 86_400),
    default=20.0,
    show_default=True,
    help="Seconds between the shoppers' orders, on average.",
)
@click.pass_context
def demo(
    context: click.Context, once: bool, orders: int, currency: str, timezone: str, pace: float
) -> None:
    """Fill a demo shop, serve it, and let simulated shoppers buy; Ctrl-C stops it all.

    The shop is kept in SHOP_DATA_DIR: the next start takes seconds. --orders, --currency and
    --timezone are for making it.
    """
    settings = Settings()
    configure_logging("demo", "WARNING")
    given = [
        f"--{name}"
        for name in MAKING
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    with _only_demo(settings.data_dir):
        if once:
            with ensure_stores(settings) as ready:
                login = prepare(ready, orders, currency, timezone, given)
                _export(ready)
                click.echo(msgspec.json.format(read_dashboard(ready, login), indent=2))
            return
        refuse_taken_ports(settings, KINDS)
        raise_at_signals()
        click.echo("starting the stores …", err=True)
        with open_stores(settings) as stores:
            login = prepare(stores.settings, orders, currency, timezone, given)
            if not is_lake_published(stores.settings):
                # later the worker does, at once: a start need not wait for it
                _export(stores.settings)
            _serve(stores, login, pace)
            # everything is stopped but the stores: nothing may cut that short
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    click.echo("stopped", err=True)


@contextmanager
def _only_demo(data_dir: Path) -> Iterator[None]:
    """One demo at a time on a data folder: two would export at once, and double the shoppers."""
    make_data_folder(data_dir)
    with (data_dir / "demo.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise click.ClickException(
                f"a demo (process {handle.read().strip()}) already runs on {data_dir.resolve()}:"
                " stop it first, or set SHOP_DATA_DIR and the ports for another one"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def prepare(
    settings: Settings, orders: int, currency: str, timezone: str, given: Sequence[str] = ()
) -> DemoLogin:
    """The demo tenant with its keys and its shop; what is there is kept.

    `given`: the options for making a shop that were named; there is one already, they are refused.
    """
    assert settings.database_url
    assert settings.redis_url
    tenant_id = find_tenant_id_or_none(settings, SLUG)
    if tenant_id is not None and given:
        raise click.ClickException(
            f"{settings.data_dir} has a demo shop already, and {', '.join(given)} would not change"
            " it: leave that out, remove the folder, or set SHOP_DATA_DIR to another"
        )
    login = _ensure_tenant(settings, currency, timezone)
    tenant_id = find_tenant_id_or_none(settings, SLUG)
    assert tenant_id is not None
    engine = make_engine(
        settings.database_url, settings, statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
    )
    request_redis = RequestRedis(settings.redis_url)
    waker = make_waker(settings, request_redis)
    try:
        with progress_listener("filling the demo shop") as listener:
            seed_demo_shop(engine, waker, tenant_id, utc_now(), SEED, listener, order_count=orders)
        last_days = LastDays(engine, waker, tenant_id, SEED)
        now = last_days.begun_at(utc_now())
        last_days.place_orders(now)
        # Redis may have lost them with a start that ended before the lake had taken them in
        if not is_traffic_published(settings):
            intake = TrafficIntake(request_redis, settings.traffic_event_limit)
            last_days.send_visits(intake, now)
    finally:
        waker.stop()
        engine.dispose()
    return login


def _export(settings: Settings) -> None:
    click.echo("exporting to the lake …", err=True)
    # another program: the pipelines stand above this package
    exported = subprocess.run(
        [sys.executable, "-m", "shop_api.cli", "lake", "run"],
        env=child_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if exported.returncode != 0:
        raise click.ClickException(f"the export failed:\n{exported.stderr}")


def _ensure_tenant(settings: Settings, currency: str, timezone: str) -> DemoLogin:
    path = settings.data_dir / LOGIN_FILE
    tenant_id = find_tenant_id_or_none(settings, SLUG)
    if tenant_id is not None:
        return _read_login(path) or _make_login(settings, tenant_id, path)
    problems = TenantBody(only=("currency", "timezone")).validate(
        {"currency": currency, "timezone": timezone}
    )
    if problems:
        raise not_acceptable(problems)
    email, password = f"owner@{SLUG}.example", secrets.token_urlsafe(12)
    values = {
        "name": "Demo shop",
        "slug": SLUG,
        "plan": "enterprise",
        "currency": currency,
        "timezone": timezone,
    }
    # open as long as its history, so that it has reports of the last days at once
    with open_work(settings, PLATFORM_TENANT, utc_now() - timedelta(days=DAYS)) as work:
        row = create_tenant(
            work, values, {"email": email, "name": "Demo Owner", "password": password}
        )
        with work.as_tenant(row.id) as inner:
            secret, publishable = _create_keys(inner)
            _add_rates(inner, currency)
        login = DemoLogin(email, password, secret, publishable)
        # written before the commit: keys that were never written down would be lost for good
        _write_private(path, asdict(login))
    return login


def _read_login(path: Path) -> DemoLogin | None:
    """The credentials as they were kept; None when the file is gone or holds something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=DemoLogin)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _make_login(settings: Settings, tenant_id: UUID, path: Path) -> DemoLogin:
    """Another owner and other keys of a demo shop whose credentials are lost."""
    click.echo(f"{path} does not hold the demo's keys any more: making new ones …", err=True)
    email, password = f"owner-{secrets.token_hex(3)}@{SLUG}.example", secrets.token_urlsafe(12)
    with open_work(settings, tenant_id) as work:
        create_user(work, email, "Demo Owner", "owner", password)
        login = DemoLogin(email, password, *_create_keys(work))
        _write_private(path, asdict(login))
    return login


def _create_keys(work: UnitOfWork) -> tuple[str, str]:
    """A secret and a publishable key."""
    secret, _ = create_key(work, "demo", "secret", None, None, OPERATOR)
    publishable, _ = create_key(work, "storefront", "publishable", None, None, OPERATOR)
    return secret, publishable


def _add_rates(work: UnitOfWork, currency: str) -> None:
    """What orders are sent, taxed, discounted and converted by, as those of the history were."""
    unit = unit_of(currency)
    shipping = {
        "name": "Standard",
        "kind": "flat",
        "countries": [],
        "price": SHIPPING_PRICE * unit,
        "free_from_subtotal": Decimal(FREE_SHIPPING_FROM * unit),
    }
    pricing.create(work, SHIPPING_RATE, shipping)
    for country in sorted({country for _, _, country in PLACES}):
        tax = {"name": "Sales tax", "country": country, "rate": TAX_PERCENT / 100}
        pricing.create(work, TAX_RATE, tax)
    for discount in discounts(currency):
        pricing.create(work, DISCOUNT, discount)
    for effective_at, rate in exchange_rates(currency, work.now):
        body = {"currency": other_currency(currency), "rate": rate, "effective_at": effective_at}
        pricing.create(work, EXCHANGE_RATE, body)


def _write_private(path: Path, value: Mapping[str, Any]) -> None:
    path.touch(mode=0o600)
    # what lay there may have been another's to read
    path.chmod(0o600)
    path.write_text(json.dumps(value, indent=2))


def read_dashboard(settings: Settings, login: DemoLogin) -> bytes:
    """The dashboard of the last 30 days as JSON, from the whole application."""
    logging.getLogger().setLevel(logging.ERROR)
    app = create_app(settings.model_copy(update={"log_level": "ERROR"}))
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": DASHBOARD,
        "QUERY_STRING": "period=30d",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": str(settings.api_port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_AUTHORIZATION": f"Bearer {login.secret_key}",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }
    started: list[str] = []
    body = b"".join(app(environ, lambda status, *_: started.append(status)))
    app.close()
    if not started[0].startswith("200"):
        raise click.ClickException(f"the dashboard answered {started[0]}: {body.decode()}")
    return body


def _serve(stores: Stores, login: DemoLogin, pace: float) -> None:
    settings = stores.settings
    environment = child_environment(settings) | {"SHOP_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "shop_api.commands.shoppers", "--pace", str(pace)]
    shoppers = ChildSpec("shoppers", command)
    environment["SHOP_DEMO_KEY"] = login.secret_key
    environment["SHOP_DEMO_PUBLISHABLE_KEY"] = login.publishable_key
    click.echo(f"starting {', '.join(KINDS)} …", err=True)
    Supervisor(
        [*product_children(settings, KINDS), shoppers],
        environment,
        grace_seconds=settings.shutdown_grace_seconds,
        revive_stores=stores.revive,
    ).run(on_ready=lambda: _announce(settings, login, pace), on_stopping=announce_stopping)


def _announce(settings: Settings, login: DemoLogin, pace: float) -> None:
    base = base_url(settings, settings.api_port)
    realtime = base_url(settings, settings.realtime_port, "ws")
    click.echo(f"""
The demo shop is open, and simulated shoppers place an order about every {pace:g} seconds.

  API reference    {base}/api/docs
  owner            {login.email}   {login.password}
  secret key       {login.secret_key}
  publishable key  {login.publishable_key}

See the dashboard:
  curl -s -H "Authorization: Bearer {login.secret_key}" "{base}{DASHBOARD}?period=30d" -w '\\n'

Listen to events as they happen:
  {sys.executable} -m shop_api listen --key {login.secret_key} --api {base} --realtime {realtime}

Ctrl-C stops everything; the data stays in {settings.data_dir}.
""")
    sys.stdout.flush()
