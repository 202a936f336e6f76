"""Refusal to serve as a role that row-level security does not bind."""

import pytest

from shop_api.db.engines import check_role, make_engine, require_safe_role
from shop_api.settings import Settings
from tests.fixtures.stores import Database


def test_the_application_role_is_accepted(database: Database) -> None:
    require_safe_role(database.engine)
    assert check_role(database.engine).name == "shop_app"


def test_the_owner_and_the_superuser_are_refused(database: Database) -> None:
    settings = Settings(_env_file=None)
    for url in (database.migrator_url, database.server.url(database.name)):
        engine = make_engine(url, settings, statement_timeout_seconds=5)
        with pytest.raises(RuntimeError, match="row-level security does not bind"):
            require_safe_role(engine)
        # and goes on being refused: the database may have been away when it was asked first
        with pytest.raises(RuntimeError, match="row-level security does not bind"):
            engine.connect()
        engine.dispose()
