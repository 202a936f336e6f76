"""What a client reads when a value is refused: where it is, and what to send instead."""

from typing import Any

import pytest

from tests.fixtures.api import Shop

ORDERS, PRODUCTS, TENANT = "/api/v1/orders", "/api/v1/products", "/api/v1/tenant"
LINE = {"variant_id": "0190a1b2-0000-7000-8000-000000000000", "quantity": 1}
TOKEN = "Must be lower-case letters, digits, _ and -, and begin with a letter or digit."
COUNTRY = "Must be a country code of ISO 3166-1, such as IT."
ORIGIN = (
    "Must be an origin as browsers send it: scheme, host in lower case and port unless it is the"
    " scheme's own, without a path, such as https://shop.example."
)
ENCODED = (
    "Percent-encode it: a web address has no spaces, quotes, angle brackets or characters beyond"
    " ASCII; a space is %20."
)
CURRENCY = "Must be an ISO 4217 currency code, such as USD."


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ([], "", "Must be an object."),
        ({}, "/lines", "Missing: it is required."),
        ({"lines": "x"}, "/lines", "Must be a list."),
        ({"lines": []}, "/lines", "Must have 1 to 200 items."),
        ({"lines": [5]}, "/lines/0", "Must be an object."),
        (
            {"lines": [{**LINE, "quantity": 0}]},
            "/lines/0/quantity",
            "Must be between 1 and 100000.",
        ),
        ({"lines": [{**LINE, "quantity": "1"}]}, "/lines/0/quantity", "Must be a whole number."),
        (
            {"lines": [{**LINE, "variant_id": "x"}]},
            "/lines/0/variant_id",
            "Must be an id: a UUID of 36 characters.",
        ),
        ({"lines": [LINE], "channel": "A b"}, "/channel", TOKEN),
        ({"lines": [LINE], "currency": "EURO"}, "/currency", "Must be 3 characters long."),
        ({"lines": [LINE], "currency": "ZZZ"}, "/currency", CURRENCY),
        ({"lines": [LINE], "note": 5}, "/note", "Must be text."),
        ({"lines": [LINE], "note": "x" * 2001}, "/note", "Must be at most 2000 characters long."),
        ({"lines": [LINE], "colour": 1}, "/colour", "Unknown field."),
        ({"lines": [LINE], "status": "x"}, "/status", "Read-only here: leave it out."),
        (
            {"lines": [LINE], "billing_address": {"line1": "1", "city": "T", "country": "it"}},
            "/billing_address/country",
            COUNTRY,
        ),
    ],
)
def test_a_field_says_what_it_must_be(shop: Shop, body: Any, pointer: str, detail: str) -> None:
    refused = shop.api.post(ORDERS, body)
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"] == [{"pointer": pointer, "detail": detail}]


@pytest.mark.parametrize(
    ("country", "detail"),
    [("UK", f"{COUNTRY} UK is GB."), ("ZZ", COUNTRY), ("Italy", COUNTRY), (5, "Must be text.")],
)
def test_a_country_is_one_that_there_is(shop: Shop, country: Any, detail: str) -> None:
    address = {"line1": "1", "city": "T", "country": country}
    buyer = shop.api.post("/api/v1/customers", {"first_name": "Ada"}).json["id"]
    rate = {"name": "Post", "kind": "flat", "price": 1, "countries": ["IT", country]}
    for refused, pointer in (
        (
            shop.api.post(ORDERS, {"lines": [LINE], "shipping_address": address}),
            "/shipping_address",
        ),
        (shop.api.post(f"/api/v1/customers/{buyer}/addresses", address), ""),
        (shop.api.post("/api/v1/tax_rates", {"name": "V", "country": country, "rate": 0}), ""),
        (shop.api.patch(TENANT, {"settings": {"country": country}}), "/settings"),
    ):
        assert (refused.status, refused.code) == (422, "validation_failed")
        assert refused.json["errors"] == [{"pointer": f"{pointer}/country", "detail": detail}]
    refused = shop.api.post("/api/v1/shipping_rates", rate)
    assert refused.json["errors"] == [{"pointer": "/countries/1", "detail": detail}]


@pytest.mark.parametrize(
    ("price", "detail"),
    [
        ("1.00", "Must be a number, not text, such as 19.90."),
        (-1, "Must be at least 0."),
        (10**20, "Must be below 100000000000000."),
    ],
)
def test_an_amount_says_what_it_must_be(shop: Shop, price: Any, detail: str) -> None:
    refused = shop.api.post(PRODUCTS, {"name": "Mug", "price": price})
    assert refused.json["errors"] == [{"pointer": "/price", "detail": detail}]


def test_an_origin_is_told_in_words_not_as_a_pattern(shop: Shop) -> None:
    refused = shop.api.call("PATCH", TENANT, {"cors_origins": ["shop.example/x"]})
    assert refused.json["errors"] == [{"pointer": "/cors_origins/0", "detail": ORIGIN}]


@pytest.mark.parametrize(
    ("query", "pointer", "detail"),
    [
        ({"limit": 101}, "limit", "Must be between 1 and 100."),
        ({"limit": "x"}, "limit", "Must be a whole number."),
        ({"include_total": "yes"}, "include_total", "Must be true or false."),
        ({"customer_id": "7"}, "customer_id", "Must be an id: a UUID of 36 characters."),
        (
            {"placed_after": "yesterday"},
            "placed_after",
            "Must be an RFC 3339 time with its offset, such as 2026-01-31T12:00:00Z.",
        ),
        (
            # its + stands bare in the URL
            {"placed_after": "2026-11-01T00:00:00 00:00"},
            "placed_after",
            "Must be an RFC 3339 time with its offset, such as 2026-01-31T12:00:00Z. The + of the"
            " offset became a space: write it as %2B in a URL, or use Z.",
        ),
    ],
)
def test_a_parameter_says_what_it_must_be(
    shop: Shop, query: dict[str, Any], pointer: str, detail: str
) -> None:
    refused = shop.api.get(ORDERS, query=query)
    assert (refused.status, refused.code) == (400, "invalid_parameter")
    assert refused.json["errors"] == [{"pointer": pointer, "detail": detail}]


def test_an_unknown_field_meets_those_there_are_beside_it(shop: Shop) -> None:
    said = "The body is not acceptable; `errors` says where and why. Unknown field: "
    refused = shop.api.post("/api/v1/customers", {"email": "a@b.example", "colour": 1})
    assert refused.json["detail"].startswith(f"{said}/colour. There are: email, first_name, ")
    wrong_line = {"lines": [{**LINE, "price": 1}]}
    detail = shop.api.post(ORDERS, wrong_line).json["detail"]
    assert detail == f"{said}/lines/0/price. There are: variant_id, quantity."
    first = {"name": "Mug", "price": 1, "variants": [{"inventory": {"colour": 1}}]}
    detail = shop.api.post(PRODUCTS, first).json["detail"]
    assert detail.startswith(f"{said}/variants/0/inventory/colour. There are: ")
    assert "quantity" in detail
    paid = shop.api.post(f"{PRODUCTS}/{LINE['variant_id']}/images", {"url": "x", "Url": "x"})
    assert ", alt_text" in paid.json["detail"] or ": alt_text" in paid.json["detail"]


def test_a_share_is_not_told_as_a_percentage(shop: Shop) -> None:
    refused = shop.api.post("/api/v1/tax_rates", {"name": "VAT", "country": "GB", "rate": 20})
    told = "Must be between 0 and 1, such as 0.2 for 20 %."
    assert refused.json["errors"] == [{"pointer": "/rate", "detail": told}]


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("ftp://x", "Must be a web address: http:// or https://."),
        ("http://", "Must be 8 to 2000 characters long."),
        ("https://cdn.example/my photo.jpg", ENCODED),
        ("https://cdn.example/ü.jpg", ENCODED),
        ("https://cdn.example/\x00.jpg", "Control characters are not allowed."),
    ],
)
def test_a_web_address_says_what_is_wrong_with_it(shop: Shop, url: str, detail: str) -> None:
    refused = shop.api.post(PRODUCTS, {"name": "Mug", "price": 1, "images": [{"url": url}]})
    assert refused.json["errors"] == [{"pointer": "/images/0/url", "detail": detail}]


def test_an_unknown_parameter_is_no_field(shop: Shop) -> None:
    refused = shop.api.get(ORDERS, query={"limit": 0, "colour": 1})
    assert (refused.status, refused.code) == (400, "unknown_parameter")
    assert refused.json["errors"] == [
        {"pointer": "limit", "detail": "Must be between 1 and 100."},
        {"pointer": "colour", "detail": "Unknown parameter."},
    ]


def test_a_guessed_parameter_meets_those_there_are(shop: Shop) -> None:
    refused = shop.api.get("/api/v1/customers", query={"q": "mira"})
    assert (refused.status, refused.code) == (400, "unknown_parameter")
    assert refused.json["detail"].startswith("Unknown query parameter: q. There are: limit, ")
    assert ", search" in refused.json["detail"]
    period = shop.api.get("/api/v1/analytics/dashboard", query={"since": "2026-01-01"})
    assert ", from, to, " in period.json["detail"]
    bare = shop.api.get("/api/v1/tenant", query={"q": "mira"})
    assert bare.json["detail"] == "Unknown query parameter: q. This takes none."


def test_what_is_taken_is_named_with_where_it_is(shop: Shop) -> None:
    shop.product(sku="MUG-1")
    customer = {"email": "mira@example.com", "external_id": "c-1"}
    shop.api.post("/api/v1/customers", customer)
    new = {"name": "Mug", "price": 1}
    email = "A customer with this e-mail address exists already: mira@example.com."
    for path, body, pointer, detail in (
        (
            PRODUCTS,
            {**new, "sku": "MUG-1"},
            "/sku",
            "A product with this SKU exists already: MUG-1.",
        ),
        ("/api/v1/customers", customer | {"external_id": "c-2"}, "/email", email),
    ):
        refused = shop.api.post(path, body)
        assert (refused.status, refused.json["detail"]) == (409, detail)
        assert refused.json["errors"] == [{"pointer": pointer, "detail": detail}]
    # of several it is not known which
    options = [[{"name": "Size", "value": size}] for size in "SM"]
    variants = [
        {"title": sku, "sku": sku, "options": option}
        for sku, option in zip(("A", "B"), options, strict=True)
    ]
    assert shop.api.post(PRODUCTS, {**new, "variants": variants}).status == 201
    refused = shop.api.post(PRODUCTS, {**new, "variants": variants})
    assert (refused.status, refused.code, "errors" in refused.json) == (409, "sku_taken", False)


def test_what_is_not_there_is_named(shop: Shop) -> None:
    variant = shop.product()["variants"][0]["id"]
    order = shop.order((variant, 1)).json["id"]
    none = LINE["variant_id"]
    adjustments = "/api/v1/inventory/adjustments"
    taken = [{"variant_id": variant, "delta": -1000}]
    levels = shop.api.get("/api/v1/inventory", query={"variant_id": variant}).json["data"]
    held = f"The quantity is {levels[0]['quantity']}; 1 held for orders."
    for path, body, pointer, detail in (
        (ORDERS, {"lines": [LINE]}, "/lines/0/variant_id", f"No variant {none}."),
        (
            ORDERS,
            {"lines": [{"variant_id": variant, "quantity": 1}], "discount_codes": ["FIG"]},
            "/discount_codes/0",
            "No discount has the code FIG.",
        ),
        (
            f"{ORDERS}/{order}/refunds",
            {"lines": [{"line_id": none, "quantity": 1}]},
            "/lines/0/line_id",
            f"No line {none}.",
        ),
        (
            adjustments,
            {"adjustments": [{"variant_id": none, "delta": 1}]},
            "/adjustments/0/variant_id",
            f"No variant {none}.",
        ),
        (adjustments, {"adjustments": taken}, "/adjustments/0", held),
    ):
        assert shop.api.post(path, body).json["errors"] == [{"pointer": pointer, "detail": detail}]


def test_an_amount_of_nothing_is_above_nothing(shop: Shop) -> None:
    order = shop.order((shop.product()["variants"][0]["id"], 1)).json["id"]
    refused = shop.api.post(f"{ORDERS}/{order}/payments", {"method": "cash", "amount": 0})
    assert refused.json["errors"] == [{"pointer": "/amount", "detail": "Must be above 0."}]


def test_what_needs_the_platform_key_says_so(shop: Shop) -> None:
    refused = shop.api.post("/api/v1/tenants", {})
    assert (refused.status, refused.code) == (403, "insufficient_scope")
    assert refused.json["detail"] == "This needs the platform key."


@pytest.mark.parametrize("blank", [" ", "\t\n", "\u3000"])
def test_a_name_that_nobody_sees_is_refused(shop: Shop, blank: str) -> None:
    refused = shop.api.post(PRODUCTS, {"name": blank, "price": 1, "description": blank})
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"] == [{"pointer": "/name", "detail": "Must not be blank."}]
