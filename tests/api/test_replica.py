"""Reads go to the replica, and to the primary when it cannot be reached."""

from collections.abc import Iterator

import pytest

from shop_api.app import App, create_app
from tests.fixtures.api import AnswerChecker, ApiClient, open_shop
from tests.fixtures.processes import free_port
from tests.fixtures.stores import Database


@pytest.fixture
def app_without_replica(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    away = f"postgresql://shop_app@127.0.0.1:{free_port()}/shop"
    settings = database.settings(tmp_path_factory.mktemp("data"), redis_url, database_read_url=away)
    application = create_app(settings)
    yield application
    application.close()


def test_reads_are_served_by_the_primary_while_the_replica_is_away(
    app_without_replica: App,
) -> None:
    api = ApiClient(app_without_replica, AnswerChecker(app_without_replica))
    shop = open_shop(api)
    product = shop.product()
    assert shop.api.get(f"/api/v1/products/{product['id']}").status == 200
    assert shop.api.get("/api/v1/orders").json["data"] == []
