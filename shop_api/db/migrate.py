"""Bringing a database to the newest schema.

Belongs here: driving Alembic from code. Does not: the revisions (migrations/).
"""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the database at `url` (the migrator role)."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest revision; waits for another migrator to finish."""
    upgrade(alembic_config(url))


def upgrade(config: Config) -> None:
    """Run what is missing, all or nothing; gives way when a table is in use for too long."""
    try:
        command.upgrade(config, "head")
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise RuntimeError(
                "The migration gave way: a transaction holds a table it must change."
                " Nothing was changed. Run it again when that transaction has ended;"
                " docs/guides/migrations.md says how to find it."
            ) from error
        raise


def newest_revision() -> str:
    """The revision this code was written for."""
    head = ScriptDirectory.from_config(alembic_config("")).get_current_head()
    if head is None:
        raise RuntimeError("migrations/ holds no revision")
    return head


def is_known(revision: str) -> bool:
    """Whether this code has the revision; one that it has not is of newer code."""
    script = ScriptDirectory.from_config(alembic_config(""))
    return any(known.revision == revision for known in script.walk_revisions())


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at, None when it was never migrated."""
    table = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar()
    if table is None:
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
