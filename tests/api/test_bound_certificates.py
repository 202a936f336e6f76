"""Keys that are bound to a client certificate, which a trusted proxy tells (RFC 9440)."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from shop_api.app import create_app
from tests.fixtures.api import AnswerChecker, ApiClient, Shop, open_shop
from tests.fixtures.certificates import Certificate, make_certificate
from tests.fixtures.stores import Database

KEYS = "/api/v1/api_keys"
TENANT = "/api/v1/tenant"


@pytest.fixture(scope="module")
def client_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("certificates")
    return make_certificate(folder, "client", make_certificate(folder, "authority"))


@pytest.fixture
def behind_proxy(database: Database, redis_url: str, tmp_path: Path) -> Iterator[ApiClient]:
    """An application behind a proxy that tells clients' certificates."""
    settings = database.settings(
        tmp_path,
        redis_url,
        trusted_proxies=1,
        has_client_certificates=True,
        # a kept credential is held to its certificate, too
        credential_cache_seconds=60.0,
    )
    app = create_app(settings)
    yield ApiClient(app, AnswerChecker(app))
    app.close()


def told(certificate: Certificate) -> dict[str, str]:
    """As the proxy tells it."""
    return {"Client-Cert": f":{b64encode(certificate.der).decode()}:"}


def make_bound(shop: Shop, certificate: Certificate) -> str:
    body = {"name": "service", "certificate_fingerprint": certificate.fingerprint}
    made = shop.api.post(KEYS, body)
    assert made.json["certificate_fingerprint"] == certificate.fingerprint
    key: str = made.json["key"]
    return key


def test_a_bound_key_works_with_its_certificate_only(
    behind_proxy: ApiClient, client_certificate: Certificate, tmp_path: Path
) -> None:
    shop = open_shop(behind_proxy)
    bound = behind_proxy.with_token(make_bound(shop, client_certificate))
    other = make_certificate(tmp_path, "client")
    good = told(client_certificate)["Client-Cert"]
    refused = [{}, told(other)]
    refused += [
        {"Client-Cert": value} for value in ("", ":", "::", good[1:], ":%:", f"{good},{good}")
    ]
    for _ in range(2):
        assert bound.get(TENANT, headers=told(client_certificate)).status == 200
        for headers in refused:
            answered = bound.get(TENANT, headers=headers)
            assert (answered.status, answered.code) == (401, "certificate_required")
    # other keys need none
    assert shop.api.get(TENANT, headers=told(other)).status == 200


def test_a_batch_with_the_certificate_is_served(
    behind_proxy: ApiClient, client_certificate: Certificate
) -> None:
    shop = open_shop(behind_proxy)
    bound = behind_proxy.with_token(make_bound(shop, client_certificate))
    requests = {"requests": [{"method": "GET", "path": TENANT}]}
    answered = bound.post("/api/v1/batch", requests, headers=told(client_certificate))
    assert [one["status"] for one in answered.json["responses"]] == [200]


def test_nobody_is_believed_where_no_proxy_tells_certificates(
    api: ApiClient, shop: Shop, client_certificate: Certificate
) -> None:
    bound = api.with_token(make_bound(shop, client_certificate))
    answered = bound.get(TENANT, headers=told(client_certificate))
    assert (answered.status, answered.code) == (401, "certificate_required")


def test_a_rotated_key_is_bound_as_before_and_may_be_bound_anew(
    behind_proxy: ApiClient, client_certificate: Certificate, tmp_path: Path
) -> None:
    shop = open_shop(behind_proxy)
    make_bound(shop, client_certificate)
    old = shop.api.get(KEYS).json["data"][0]
    new = shop.api.post(f"{KEYS}/{old['id']}/rotate").json
    assert new["certificate_fingerprint"] == client_certificate.fingerprint
    renewed = make_certificate(tmp_path, "client")
    shop.api.patch(f"{KEYS}/{new['id']}", {"certificate_fingerprint": renewed.fingerprint})
    client = behind_proxy.with_token(new["key"])
    assert client.get(TENANT, headers=told(renewed)).status == 200
    freed = shop.api.patch(f"{KEYS}/{new['id']}", {"certificate_fingerprint": None})
    assert freed.json["certificate_fingerprint"] is None
