"""A credential that one process revokes opens nothing in any other, a second later."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shop_api.settings import Settings
from tests.fixtures.api import PASSWORD, ApiClient, Shop, open_shop
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import Database

TENANT = "/api/v1/tenant"
# what the reference promises of revoked keys
PROMISED_SECONDS = 1.0


@pytest.fixture(scope="module")
def servers(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ApiServer, ApiServer]]:
    """Two api processes of the same stores, with the default settings."""
    folder = tmp_path_factory.mktemp("servers")
    settings: Settings = database.settings(folder, redis_url)
    with (
        api_server(settings, folder / "one.log") as one,
        api_server(settings, folder / "two.log") as two,
    ):
        yield one, two


def sign_in(server: ApiServer, shop: Shop) -> Any:
    body = {"email": shop.email, "password": PASSWORD}
    return server.call("POST", "/api/v1/auth/login", body).json


def refused_after(server: ApiServer, token: str, revoke: Callable[[], None]) -> None:
    """Fail unless whoever begins to ask a second after the revocation is refused."""
    for _ in range(3):
        # the process has the credential in its cache
        assert server.call("GET", TENANT, token=token).status == 200
    revoke()
    revoked_at = time.monotonic()
    asked: list[tuple[float, int]] = []
    while not asked or asked[-1][0] < PROMISED_SECONDS * 2:
        seconds = time.monotonic() - revoked_at
        asked.append((seconds, server.call("GET", TENANT, token=token).status))
    assert {status for seconds, status in asked if seconds > PROMISED_SECONDS} == {401}
    # once it is refused it stays so
    statuses = [status for _, status in asked]
    assert statuses == sorted(statuses)


def test_a_revoked_key_is_refused_by_every_process(
    api: ApiClient, servers: tuple[ApiServer, ApiServer]
) -> None:
    one, two = servers
    shop = open_shop(api)
    made = shop.api.post("/api/v1/api_keys", {"name": "program"}).json

    def revoke() -> None:
        path = f"/api/v1/api_keys/{made['id']}"
        assert one.call("DELETE", path, token=shop.api.token).status == 204

    refused_after(two, made["key"], revoke)
    assert one.call("GET", TENANT, token=made["key"]).status == 401


def test_an_access_token_of_a_sign_in_that_ended_is_refused_by_every_process(
    api: ApiClient, servers: tuple[ApiServer, ApiServer]
) -> None:
    one, two = servers
    tokens = sign_in(one, open_shop(api))

    def sign_out() -> None:
        body = {"refresh_token": tokens["refresh_token"]}
        assert one.call("POST", "/api/v1/auth/logout", body).status == 204

    refused_after(two, tokens["access_token"], sign_out)
