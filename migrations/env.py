"""How Alembic runs: one connection, one transaction, bounded waits, one migrator at a time."""

import time

from alembic import context
from sqlalchemy import create_engine, pool

from shop_api.models import metadata

# Any fixed number: two processes that migrate at once take turns.
MIGRATION_LOCK = 7_301_145

# Asked again and again: CREATE INDEX CONCURRENTLY waits for every statement that began before it,
# and would wait for a migrator that waits for the lock.
TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"
LOOK_SECONDS = 0.2

# A migration that cannot get its lock in 5 s gives way to the traffic; run it again later.
TIMEOUTS = "SET lock_timeout = '5s'; SET statement_timeout = '15min'"


def run_migrations() -> None:
    engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
    with engine.connect() as connection:
        while not connection.exec_driver_sql(TRY_LOCK, (MIGRATION_LOCK,)).scalar_one():
            connection.commit()
            time.sleep(LOOK_SECONDS)
        connection.exec_driver_sql(TIMEOUTS)
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run_migrations()
