"""Images of a product over HTTP: added, moved, numbered without gaps, deleted."""

from functools import partial
from typing import Any

import pytest

from tests.api.test_order_concurrency import outcomes, together
from tests.fixtures.api import Answered, Shop


@pytest.fixture
def product(shop: Shop) -> dict[str, Any]:
    return shop.product()


def path(product: dict[str, Any], image: dict[str, Any] | None = None) -> str:
    found = f"/api/v1/products/{product['id']}/images"
    return f"{found}/{image['id']}" if image else found


def add(shop: Shop, product: dict[str, Any], name: str, **body: Any) -> Answered:
    return shop.api.post(path(product), {"url": f"https://shop.example/{name}.jpg", **body})


def order(shop: Shop, product: dict[str, Any]) -> str:
    """The images' names in their order, once the numbers have no gap."""
    rows = shop.api.get(path(product), query={"limit": 100}).json["data"]
    assert [row["position"] for row in rows] == list(range(len(rows)))
    shown = shop.api.get(f"/api/v1/products/{product['id']}").json["images"]
    assert [row["id"] for row in shown] == [row["id"] for row in rows]
    return "".join(row["url"].split("/")[-1].removesuffix(".jpg") for row in rows)


def test_images_keep_the_order_they_are_put_in(shop: Shop, product: dict[str, Any]) -> None:
    a, b, c = (add(shop, product, name).json for name in "abc")
    assert order(shop, product) == "abc"
    add(shop, product, "d", position=1)
    assert order(shop, product) == "adbc"
    shop.api.patch(path(product, c), {"position": 0})
    assert order(shop, product) == "cadb"
    shop.api.patch(path(product, c), {"position": 99})
    assert order(shop, product) == "adbc"
    shop.api.patch(path(product, a), {"position": 0, "alt_text": "Front"})
    assert order(shop, product) == "adbc"
    assert shop.api.delete(path(product, b)).status == 204
    assert order(shop, product) == "adc"


def test_a_product_is_made_with_its_images(shop: Shop) -> None:
    sizes = {"width": 1200, "height": 900}
    images: list[dict[str, Any]] = [
        {"url": "https://shop.example/a.jpg", "alt_text": "Front", **sizes},
        {"url": "https://shop.example/b.jpg"},
    ]
    made = shop.api.post("/api/v1/products", {"name": "Shirt", "price": 1, "images": images}).json
    assert order(shop, made) == "ab"
    first, second = made["images"]
    assert {name: first[name] for name in images[0]} == images[0]
    assert (second["alt_text"], second["width"], second["variant_id"]) == ("", None, None)
    add(shop, made, "c")
    assert order(shop, made) == "abc"
    for refused, pointer in (
        ([{"url": "ftp://x.example/a"}], "/images/0/url"),
        ([{"alt_text": "x"}], "/images/0/url"),
        (images[1:] * 101, "/images"),
    ):
        body = {"name": "Shirt", "price": 1, "images": refused}
        answered = shop.api.post("/api/v1/products", body)
        assert answered.status == 422
        assert [error["pointer"] for error in answered.json["errors"]] == [pointer]


def test_an_image_is_what_was_sent(shop: Shop, product: dict[str, Any]) -> None:
    variant_id = product["variants"][0]["id"]
    body = {"alt_text": "Front", "width": 1200, "height": 900, "variant_id": variant_id}
    made = add(shop, product, "x", **body)
    image = made.json
    assert {name: image[name] for name in body} == body
    assert made.headers["Location"] == path(product, image)
    assert shop.api.get(path(product, image)).body == made.body
    changed = shop.api.patch(path(product, image), {"variant_id": None, "width": None}).json
    assert (changed["variant_id"], changed["width"], changed["height"]) == (None, None, 900)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "javascript:alert(1)"}, "/url"),
        ({"url": "ftp://shop.example/x"}, "/url"),
        ({"url": "https://shop.example/a b"}, "/url"),
        ({"url": "https://shop.example/" + "x" * 2000}, "/url"),
        ({"width": 0}, "/width"),
        ({"position": -1}, "/position"),
        ({"variant_id": "00000000-0000-7000-8000-000000000000"}, "/variant_id"),
    ],
)
def test_what_no_image_has_is_refused(
    shop: Shop, product: dict[str, Any], body: dict[str, Any], pointer: str
) -> None:
    refused = shop.api.post(path(product), {"url": "https://shop.example/x.jpg", **body})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, pointer)


def test_an_image_of_another_product_is_not_found(shop: Shop, product: dict[str, Any]) -> None:
    foreign = add(shop, shop.product(), "x").json
    assert shop.api.get(path(product, foreign)).status == 404
    assert shop.api.delete(path(product, foreign)).status == 404


def test_images_go_with_their_product_and_stay_without_their_variant(
    shop: Shop, product: dict[str, Any]
) -> None:
    target = f"/api/v1/products/{product['id']}"
    spare = shop.api.post(f"{target}/variants", {"title": "L"}).json
    image = add(shop, product, "x", variant_id=spare["id"]).json
    shop.api.delete(f"{target}/variants/{spare['id']}")
    assert shop.api.get(path(product, image)).json["variant_id"] is None
    assert shop.api.delete(target).status == 204
    assert shop.api.get(path(product)).status == 404


def test_images_added_at_once_are_all_numbered(shop: Shop, product: dict[str, Any]) -> None:
    answers = together(*(partial(add, shop, product, name, position=0) for name in "abcdef"))
    assert outcomes(answers) == {(201, ""): 6}
    assert sorted(order(shop, product)) == list("abcdef")
