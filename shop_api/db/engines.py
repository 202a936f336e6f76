"""Connections: one engine per role, and the checks a role must pass before it serves.

Belongs here: pools and roles. Does not: transactions (unit_of_work.py).
"""

from dataclasses import dataclass

from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from shop_api.db.deadlines import keep_deadlines
from shop_api.db.outages import describe
from shop_api.db.pool_watch import WatchedPool
from shop_api.db.query_watch import watch_queries
from shop_api.kernel.errors import StartRefused
from shop_api.settings import Settings

# A connection is replaced after five minutes, so that a failover or a new password reaches all.
POOL_LIFETIME_SECONDS = 300
# Above the number of texts: psycopg's 100 would have it forget and prepare in turn.
PREPARED_MAX = 500
# A generic plan per statement text: planning the list of products anew on each call took 0.5 of its
# 0.96 ms. Filters differ in text, so a plan is never of another shape.
SESSION_OPTIONS = "-c timezone=UTC -c plan_cache_mode=force_generic_plan"


def sqlalchemy_url(url: str) -> str:
    """The URL with SQLAlchemy's driver named: postgresql:// → postgresql+psycopg://."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url


def make_engine(url: str, settings: Settings, *, statement_timeout_seconds: float) -> Engine:
    """An engine with the preset's pool; sessions speak UTC and stop statements past the timeout."""
    size, overflow = settings.pool_size
    engine = create_engine(
        sqlalchemy_url(url),
        poolclass=WatchedPool,
        pool_size=size,
        max_overflow=overflow,
        pool_recycle=POOL_LIFETIME_SECONDS,
        pool_timeout=settings.pool_timeout_seconds,
        # `_roll_back` does
        pool_reset_on_return=None,
        # values are personal data and secrets: no error, and so no log line, may hold them
        hide_parameters=True,
        connect_args={
            "options": f"{SESSION_OPTIONS} -c idle_in_transaction_session_timeout=60000"
            f" -c statement_timeout={int(statement_timeout_seconds * 1000)}",
            "connect_timeout": 5,
            "application_name": "shop-api",
        },
    )
    keep_deadlines(engine)
    _prepare_always(engine)
    watch_queries(engine, settings.slow_query_seconds)
    event.listen(engine, "reset", _roll_back)
    return engine


def make_probe_engine(url: str) -> Engine:
    """An engine with one connection of its own, for asking whether the server answers at all."""
    engine = create_engine(
        sqlalchemy_url(url),
        pool_size=1,
        max_overflow=0,
        pool_timeout=1,
        pool_recycle=POOL_LIFETIME_SECONDS,
        hide_parameters=True,
        connect_args={
            "options": "-c timezone=UTC -c statement_timeout=1000",
            "connect_timeout": 2,
            "application_name": "shop-api health",
        },
    )
    keep_deadlines(engine)
    return engine


def _roll_back(connection: DBAPIConnection, _: ConnectionPoolEntry, __: PoolResetState) -> None:
    """End what a returned connection is in the middle of; most have ended it themselves."""
    if connection.pgconn.transaction_status != TransactionStatus.IDLE:
        connection.rollback()


def _prepare_always(engine: Engine) -> None:
    """Statements are prepared on first use: the same few hundred texts serve every request."""

    @event.listens_for(engine, "connect")
    def set_prepare_threshold(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.prepare_threshold = 1
        connection.prepared_max = PREPARED_MAX


@dataclass(frozen=True)
class RoleCheck:
    """What a database role may do that the application role must not."""

    name: str
    is_superuser: bool
    bypasses_rls: bool
    owns_tables: bool
    # a member of shop_exporter, whose policies show every tenant's facts
    reads_all_tenants: bool

    @property
    def is_safe(self) -> bool:
        return not (
            self.is_superuser or self.bypasses_rls or self.owns_tables or self.reads_all_tenants
        )


ROLE = """
SELECT current_user, r.rolsuper, r.rolbypassrls,
    EXISTS (SELECT FROM pg_class c WHERE c.relname = 'tenants'
        AND pg_has_role(current_user, c.relowner, 'MEMBER')),
    EXISTS (SELECT FROM pg_roles e WHERE e.rolname = 'shop_exporter'
        AND pg_has_role(current_user, e.oid, 'MEMBER'))
FROM pg_roles r WHERE r.rolname = current_user
"""


def check_role(engine: Engine) -> RoleCheck:
    """What the engine's role is: superuser, BYPASSRLS, owner of the tables, or exporter."""
    with engine.connect() as connection:
        return RoleCheck(*connection.exec_driver_sql(ROLE).one())


def refuse_unsafe_role(role: RoleCheck, variable: str = "DATABASE_URL") -> None:
    """Raise StartRefused for a role that row-level security does not bind."""
    if not role.is_safe:
        raise StartRefused(
            f"{variable} connects as {role.name!r}, which row-level security does not bind"
            " (superuser, BYPASSRLS, owner of the tables, or a member of shop_exporter)."
            " Connect as shop_app, or as a member of it."
        )


def require_safe_role(engine: Engine) -> None:
    """Refuse to serve as a role that row-level security does not bind: raises StartRefused.

    Every connection the engine makes from here on is asked for its role, for the database may be
    away now and another when it comes back.
    """

    @event.listens_for(engine, "connect")
    def ask(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(ROLE)
        role = RoleCheck(*cursor.fetchall()[0])
        cursor.close()
        connection.rollback()
        refuse_unsafe_role(role)

    engine.dispose()
    with engine.connect():
        pass


def require_safe_role_at_once(engine: Engine) -> None:
    """As `require_safe_role`, for processes that are of no use while the database is away."""
    try:
        require_safe_role(engine)
    except OperationalError as error:
        raise StartRefused(f"The database cannot be reached: {describe(error)}.") from error
