"""Before anything is started: what of the stores can never come right by itself, and what is away.

Belongs here: asking stores that the settings name. Does not: the form of settings (settings.py),
embedded stores (stores.py), the fuller report (commands/doctor.py).
"""

from collections.abc import Iterator, Sequence

import redis
from psycopg.errors import InsufficientPrivilege
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from shop_api.db.engines import check_role, refuse_unsafe_role, sqlalchemy_url
from shop_api.db.migrate import current_revision, is_known, newest_revision
from shop_api.db.outages import describe
from shop_api.kernel.errors import StartRefused
from shop_api.settings import Settings

TIMEOUT_SECONDS = 5
MEANWHILE = {
    "DATABASE_URL": "requests are answered 503",
    "DATABASE_READ_URL": "reads go to DATABASE_URL",
    "REDIS_URL": "the api answers without it, and nothing is told live",
}
DOCTOR = "`shop-api doctor` checks all of it."


def refuse_unusable_stores(settings: Settings, kinds: Sequence[str]) -> list[str]:
    """StartRefused where only an operator can help; the stores that are away now, with the reason.

    Whoever is away may come back: it is waited for, and asked again by each process.
    """
    if settings.database_url and "worker" in kinds and not settings.exporter_database_url:
        raise StartRefused(
            "The worker needs SHOP_EXPORTER_DATABASE_URL: set it to the same database as the role"
            " shop_exporter, or start other kinds by --only."
        )
    return [*_absent_databases(settings), *_absent_redis(settings)]


def _absent_databases(settings: Settings) -> Iterator[str]:
    urls = {"DATABASE_URL": settings.database_url, "DATABASE_READ_URL": settings.database_read_url}
    for variable, url in urls.items():
        if url is None:
            continue
        try:
            engine = create_engine(
                sqlalchemy_url(url),
                poolclass=NullPool,
                hide_parameters=True,
                connect_args={"connect_timeout": TIMEOUT_SECONDS},
            )
            refuse_unsafe_role(check_role(engine), variable)
            _refuse_old_schema(engine, variable)
        except OperationalError as error:
            yield _absent(variable, error)
        except SQLAlchemyError as error:
            raise StartRefused(f"{variable} cannot be used: {describe(error)}. {DOCTOR}") from error
        except ValueError as error:
            # its text may hold a part of the password
            raise StartRefused(f"{variable} cannot be read as a URL. {DOCTOR}") from error


def _refuse_old_schema(engine: Engine, variable: str) -> None:
    """A newer one serves: code is rolled back without its schema."""
    head = newest_revision()
    try:
        with engine.connect() as connection:
            revision = current_revision(connection)
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        found = "older than this version, which needs"
    else:
        if revision == head or (revision is not None and not is_known(revision)):
            return
        found = f"at {revision}, and this version needs" if revision else "missing: it needs"
    raise StartRefused(
        f"The schema of {variable} is {found} {head}. Run `shop-api migrate`, with"
        " SHOP_MIGRATOR_DATABASE_URL set to the same database as the role shop_migrator."
    )


def _absent_redis(settings: Settings) -> Iterator[str]:
    if settings.redis_url is None:
        return
    try:
        with redis.Redis.from_url(
            settings.redis_url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        ) as client:
            _refuse_unusable_options(client)
            client.ping()
    except redis.RedisError as error:
        yield _absent("REDIS_URL", error)
    except (ValueError, TypeError) as error:
        # TypeError: an option in the query that redis-py does not know
        raise StartRefused(f"REDIS_URL cannot be read as a URL. {DOCTOR}") from error


def _refuse_unusable_options(client: redis.Redis) -> None:
    """What can be known of them before a connection is made never comes right."""
    try:
        client.connection_pool.make_connection()
    except redis.RedisError as error:
        raise StartRefused(f"REDIS_URL has an option that cannot be. {DOCTOR}") from error


def _absent(variable: str, error: BaseException) -> str:
    return f"{variable}, {MEANWHILE[variable]} until it is back: {describe(error)}"
