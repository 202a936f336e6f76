"""Input made to hurt: numbers, nesting, sizes and names that must be refused cheaply."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import msgspec
import pytest

from shop_api.web.parser import MAX_VALUES
from tests.fixtures.api import ApiClient, Shop


@pytest.mark.parametrize("number", ["1e999999999999", "1e1000000", "-1e1000000", "1e-1000000"])
def test_numbers_with_large_exponents_are_refused(shop: Shop, number: str) -> None:
    body = f'{{"name": "x", "price": {number}}}'.encode()
    answered = shop.api.post("/api/v1/products", data=body, content_type="application/json")
    assert answered.status in (400, 422), answered.body
    body = f'{{"name": "x", "price": 1, "inventory": {{"quantity": {number}}}}}'.encode()
    answered = shop.api.post("/api/v1/products", data=body, content_type="application/json")
    assert answered.status in (400, 422), answered.body


def test_nesting_is_counted_outside_strings_and_quickly(shop: Shop) -> None:
    flat = b'{"name": "' + b"[" * 100 + b'\\"' + b"{" * 100 + b'", "price": 1}'
    created = shop.api.post("/api/v1/products", data=flat, content_type="application/json")
    assert created.status == 201
    deep = b'{"name": "x", "price": 1, "tags": ' + b"[" * 40 + b"]" * 40 + b"}"
    refused = shop.api.post("/api/v1/products", data=deep, content_type="application/json")
    assert (refused.status, refused.code) == (400, "nesting_too_deep")
    wide = b"[" + b"[]," * 3_000_000 + b"[]]"
    started = time.process_time()
    msgspec.json.decode(wide)
    decoded = time.process_time()
    refused = shop.api.post("/api/v1/products", data=wide, content_type="application/json")
    assert (refused.status, refused.code) == (400, "too_many_values")
    assert time.process_time() - decoded < 3 * (decoded - started) + 1


@pytest.mark.parametrize(
    ("count", "outcome"), [(MAX_VALUES - 3, "validation_failed"), (MAX_VALUES, "too_many_values")]
)
@pytest.mark.parametrize("value", [b"1", b'"a"', b'{"b":1}', b'"\\""', b'"[,{"'])
def test_the_values_of_a_body_are_bounded(
    shop: Shop, value: bytes, count: int, outcome: str
) -> None:
    # an object opens one value more than it is
    count = count // 2 if value.startswith(b"{") else count
    body = b'{"name": 1, "tags": [' + b",".join([value] * count) + b"]}"
    refused = shop.api.post("/api/v1/products", data=body, content_type="application/json")
    assert refused.code == outcome


def test_a_long_text_is_one_value_and_read_quickly(shop: Shop) -> None:
    body = b'{"name": 1, "description": "' + b'[,\\"' * 2_000_000 + b'"}'
    started = time.process_time()
    refused = shop.api.post("/api/v1/products", data=body, content_type="application/json")
    assert refused.code == "validation_failed"
    assert time.process_time() - started < 2


def test_errors_of_one_answer_are_bounded(shop: Shop) -> None:
    body = {f"field_{index}": 1 for index in range(5000)}
    refused = shop.api.post("/api/v1/products", body)
    assert refused.status == 422
    assert len(refused.json["errors"]) <= 100


def test_who_has_no_credential_may_send_little(api: ApiClient) -> None:
    body = b'{"email": "' + b"x" * 70_000 + b'"}'
    for path, outcome in {
        "/api/v1/auth/login": (413, "body_too_large"),
        # refused whatever it is: nothing of it is read
        "/api/v1/imports": (401, "unauthenticated"),
    }.items():
        refused = api.post(path, data=body, content_type="application/json")
        assert (refused.status, refused.code) == outcome


def test_long_asset_names_are_not_found(api: ApiClient) -> None:
    name = "a" * 5000
    assert api.get(f"/api/docs/assets/swagger/{name}.js").status == 404


def test_a_level_cannot_be_named_twice_by_leaving_its_location_out(shop: Shop) -> None:
    variant_id = shop.product(quantity=10)["variants"][0]["id"]
    default_id = next(
        location["id"]
        for location in shop.api.get("/api/v1/locations").json["data"]
        if location["is_default"]
    )
    adjustments: list[dict[str, Any]] = [
        {"variant_id": variant_id, "delta": -6},
        {"variant_id": variant_id, "location_id": default_id, "delta": -7},
    ]
    refused = shop.api.post("/api/v1/inventory/adjustments", {"adjustments": adjustments})
    assert (refused.status, refused.code) == (422, "level_named_twice")
    level = shop.api.get("/api/v1/inventory", query={"variant_id": variant_id}).json["data"][0]
    assert level["quantity"] == 10


def test_two_moves_at_once_make_no_loop_of_categories(shop: Shop) -> None:
    def create(name: str, parent_id: str | None = None) -> str:
        body: dict[str, Any] = {"name": name, "slug": name}
        if parent_id:
            body["parent_id"] = parent_id
        created: str = shop.api.post("/api/v1/categories", body).json["id"]
        return created

    for round_number in range(5):
        one, two = create(f"one-{round_number}"), create(f"two-{round_number}")

        def move(pair: tuple[str, str]) -> int:
            return shop.api.patch(f"/api/v1/categories/{pair[0]}", {"parent_id": pair[1]}).status

        with ThreadPoolExecutor(2) as pool:
            statuses = sorted(pool.map(move, [(one, two), (two, one)]))
        assert statuses == [200, 422]
        parents = {
            UUID(category_id): shop.api.get(f"/api/v1/categories/{category_id}").json["parent_id"]
            for category_id in (one, two)
        }
        assert sum(parent is not None for parent in parents.values()) == 1
