"""Transactions of the command line: as the platform, or for one tenant by its slug.

Belongs here: from settings to a unit of work. Does not: any command.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import click
from sqlalchemy import Engine, text

from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.db.tenancy import PLATFORM_TENANT
from shop_api.kernel.clock import utc_now
from shop_api.settings import Settings
from shop_api.spine.unit_of_work import Origin, UnitOfWork, unit_of_work
from shop_api.spine.waker import make_waker
from shop_api.stack.stores import ensure_stores

ACTOR = "system:cli"


@contextmanager
def platform_work() -> Iterator[UnitOfWork]:
    """A unit of work of the platform, on the configured or embedded stores."""
    with ensure_stores(Settings()) as settings, open_work(settings, PLATFORM_TENANT) as work:
        yield work


@contextmanager
def open_work(
    settings: Settings, tenant_id: UUID, now: datetime | None = None
) -> Iterator[UnitOfWork]:
    """A unit of work of a tenant, as of the present unless told; `settings` names the stores."""
    if settings.database_url is None or settings.redis_url is None:
        raise click.ClickException("set DATABASE_URL and REDIS_URL")
    engine = make_engine(
        settings.database_url, settings, statement_timeout_seconds=settings.deadline_seconds
    )
    waker = make_waker(settings, RequestRedis(settings.redis_url))
    origin = Origin(tenant_id, ACTOR, f"cli-{uuid.uuid4().hex}", now or utc_now())
    try:
        with unit_of_work(engine, waker, origin) as work:
            yield work
    finally:
        waker.stop()
        engine.dispose()


def find_tenant_id(settings: Settings, slug: str) -> UUID:
    """The tenant of a slug; tells how to make it when there is none."""
    found = find_tenant_id_or_none(settings, slug)
    if found is None:
        raise click.ClickException(f"there is no tenant {slug!r}; make it: shop-api tenant create")
    return found


def find_tenant_id_or_none(settings: Settings, slug: str) -> UUID | None:
    """The tenant of a slug."""
    found: UUID | None = _read_as_exporter(
        settings, "SELECT id FROM tenants WHERE slug = :slug", slug=slug
    )
    return found


def is_lake_published(settings: Settings) -> bool:
    """Whether the lake has been exported before."""
    return bool(_read_as_exporter(settings, "SELECT EXISTS (SELECT FROM lake_snapshots)"))


def is_traffic_published(settings: Settings) -> bool:
    """Whether the published lake has storefront events: their table is made empty, as version 0."""
    newest = "SELECT versions FROM lake_snapshots ORDER BY id DESC LIMIT 1"
    version = f"SELECT (versions ->> 'traffic_events')::bigint FROM ({newest}) s"
    return (_read_as_exporter(settings, version) or 0) > 0


def _read_as_exporter(settings: Settings, statement: str, **parameters: Any) -> Any:
    """The value that a statement gives to the exporter, the only role that sees all tenants."""
    if settings.exporter_database_url is None:
        raise click.ClickException(
            "set SHOP_EXPORTER_DATABASE_URL: the same database as the role shop_exporter"
        )
    engine: Engine = make_engine(
        settings.exporter_database_url, settings, statement_timeout_seconds=10
    )
    try:
        with engine.connect() as connection:
            return connection.execute(text(statement), parameters).scalar()
    finally:
        engine.dispose()


def not_acceptable(problems: Mapping[str, Any]) -> click.ClickException:
    """What a schema refuses of a command's arguments, a line each."""
    return click.ClickException("\n".join(["not acceptable:", *_lines(problems, "")]))


def _lines(problems: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, found in problems.items():
        if isinstance(found, Mapping):
            yield from _lines(found, f"{prefix}{name} ")
        else:
            yield f"  {prefix}{name}: {' '.join(found)}"
