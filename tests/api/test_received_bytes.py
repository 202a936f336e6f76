"""What is counted of a body is what was received of it, whatever the request declares."""

import io
from typing import Any

import pytest

from shop_api.app import App
from shop_api.gateway.idempotency import ANONYMOUS_LIMIT_BYTES
from shop_api.metrics.definitions import REGISTRY
from shop_api.metrics.tally import tally
from tests.fixtures.api import Shop, raw

LIMIT_BYTES = 100_000
APP_SETTINGS = {"body_limit_bytes": LIMIT_BYTES}
CUSTOMERS = "/api/v1/customers"
CUSTOMER = b'{"first_name": "Ada"}'
MOST_DECLARED = str(10**18 - 1)


def received() -> int:
    """Bytes of all requests so far."""
    tally.flush()
    return sum(
        int(sample.value)
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "api_request_size_bytes_sum"
    )


def chunked(data: bytes) -> dict[str, Any]:
    return {
        "input_stream": io.BytesIO(data),
        # werkzeug's client declares the length it finds
        "environ_overrides": {"CONTENT_LENGTH": "", "wsgi.input_terminated": True},
    }


def declared(length: str, data: bytes = b"") -> dict[str, Any]:
    return {"data": data, "environ_overrides": {"CONTENT_LENGTH": length}}


@pytest.mark.parametrize(
    ("method", "body", "status", "size"),
    [
        ("POST", {"data": CUSTOMER}, 201, len(CUSTOMER)),
        ("POST", chunked(CUSTOMER), 201, len(CUSTOMER)),
        ("GET", {}, 200, 0),
        # nobody reads it
        ("GET", {"data": CUSTOMER}, 200, 0),
        ("GET", declared(MOST_DECLARED), 413, 0),
        ("POST", declared(MOST_DECLARED), 413, 0),
        ("POST", declared(str(LIMIT_BYTES + 1)), 413, 0),
        ("POST", declared("9" * 30), 400, 0),
        ("POST", declared("x"), 400, 0),
        # as far as it came
        ("POST", declared("1000", CUSTOMER), 400, len(CUSTOMER)),
        ("POST", chunked(b"x" * LIMIT_BYTES * 2), 413, LIMIT_BYTES + 1),
    ],
)
def test_a_tenants_bodies_count_as_they_are_received(
    app: App, shop: Shop, method: str, body: dict[str, Any], status: int, size: int
) -> None:
    before = received()
    answered = raw(
        app,
        method,
        CUSTOMERS,
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop.api.token}"},
        **body,
    )
    assert answered.status == status, answered.body
    assert received() - before == size


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        (CUSTOMERS, MOST_DECLARED, 413),
        (CUSTOMERS, "1000", 401),
        ("/api/v1/auth/login", str(ANONYMOUS_LIMIT_BYTES + 1), 413),
    ],
)
def test_what_a_stranger_declares_counts_for_nothing(
    app: App, path: str, length: str, status: int
) -> None:
    before = received()
    answered = raw(app, "POST", path, content_type="application/json", **declared(length))
    assert answered.status == status, answered.body
    assert received() == before
