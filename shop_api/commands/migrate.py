"""`shop-api migrate`: bring the database to the newest schema.

Belongs here: choosing the database and saying what happened. Does not: the revisions (migrations/).
"""

import click
import psycopg
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from shop_api.db.engines import sqlalchemy_url
from shop_api.db.migrate import current_revision, newest_revision
from shop_api.db.migrate import migrate as run_migrations
from shop_api.db.outages import describe
from shop_api.settings import Settings
from shop_api.stack.stores import ensure_stores


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema, as the migrator role.

    Needs SHOP_MIGRATOR_DATABASE_URL, or the embedded database. Waits for another migration to end;
    gives up when a table stays locked by the traffic, and may then be run again.
    """
    with ensure_stores(Settings(), is_migrated=False) as settings:
        if settings.migrator_database_url is None:
            raise click.ClickException(
                "set SHOP_MIGRATOR_DATABASE_URL: the same database as the role shop_migrator"
            )
        url = sqlalchemy_url(settings.migrator_database_url)
        try:
            before = _revision(url)
            run_migrations(url)
        except RuntimeError as error:
            raise click.ClickException(str(error)) from error
        except DBAPIError as error:
            raise _refusal(error) from error
        head = newest_revision()
        if before == head:
            click.echo(f"The schema is at {head} already.")
        else:
            click.echo(f"The schema is at {head} now (was {before or 'empty'}).")


def _refusal(error: DBAPIError) -> click.ClickException:
    """What failed; of a statement, what Postgres said besides. That is about the schema."""
    said = error.orig.diag.message_primary if isinstance(error.orig, psycopg.Error) else None
    return click.ClickException(f"{describe(error)}: {said}" if said else describe(error))


def _revision(url: str) -> str | None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return current_revision(connection)
