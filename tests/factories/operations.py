"""Every operation of the OpenAPI document, and a request for each that succeeds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from io import BytesIO
from typing import Any
from uuid import uuid4

from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import encode_multipart

from shop_api.app import App, make_document
from shop_api.domains.callbacks.service import sign
from shop_api.kernel.principal import PLATFORM
from shop_api.providers.simulated import TIMED_OUT
from tests.factories.addresses import ADDRESS_BODIES, ADDRESS_OPERATIONS, booked_address
from tests.factories.people import PEOPLE_BODIES, invitation_body, user_body
from tests.factories.questions import QUESTION_BODIES
from tests.factories.reports import make_notification, make_report
from tests.factories.traffic import TRAFFIC_BODIES
from tests.factories.webhooks import WEBHOOK_BODIES, WEBHOOK_SUBJECTS
from tests.fixtures.api import METRICS_KEY, PLATFORM_KEY, Answered, ApiClient, Shop, encode

METHODS = ("get", "post", "put", "patch", "delete")
BOUNDARY = "the-same-for-a-replay"
MAPPING = b"""
name: goods
timezone: tenant
decimal_mark: "."
files:
  goods: {name: goods.csv}
entities:
  products:
    from: goods
    fields: {external_id: code, name: title, price: price}
"""
COLUMNS = b"{external_id: code, name: title, price: price}"


@dataclass(frozen=True)
class Operation:
    """An operation as the document declares it."""

    id: str
    method: str
    path: str
    scope: str | None
    content_types: tuple[str, ...]
    parameters: dict[str, dict[str, Any]] = field(hash=False)
    document: dict[str, Any] = field(hash=False, repr=False)

    @property
    def path_names(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def required_query(self) -> dict[str, dict[str, Any]]:
        return {
            name: parameter
            for name, parameter in self.parameters.items()
            if parameter["in"] == "query" and parameter.get("required")
        }

    @property
    def query_names(self) -> list[str]:
        return [name for name, p in self.parameters.items() if p["in"] == "query"]

    @property
    def is_read(self) -> bool:
        return self.method == "GET" or self.document.get("x-changes-nothing", False)

    @property
    def takes_json(self) -> bool:
        return "application/json" in self.content_types

    def __str__(self) -> str:
        return self.id


@cache
def operations() -> list[Operation]:
    """All operations, in the order of the document."""
    found = []
    for path, item in make_document()["paths"].items():
        for method, operation in item.items():
            if method not in METHODS:
                continue
            parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
            found.append(
                Operation(
                    operation["operationId"],
                    method.upper(),
                    path,
                    operation.get("x-scope"),
                    tuple(operation.get("requestBody", {}).get("content", {})),
                    {parameter["name"]: parameter for parameter in parameters},
                    operation,
                )
            )
    return found


@dataclass
class Request:
    """A request of an operation that succeeds when sent."""

    operation: Operation
    api: ApiClient
    path: str
    body: dict[str, Any] | None = None
    data: bytes | None = None
    content_type: str | None = None
    # headers that go with the bytes of the body
    sign: Callable[[bytes], dict[str, str]] | None = None
    query: dict[str, Any] = field(default_factory=dict)

    def send(self, **changes: Any) -> Answered:
        """Send it; `body`, `path`, `api` the client's options may change; `query` adds."""
        api: ApiClient = changes.pop("api", self.api)
        path = changes.pop("path", self.path)
        if "body" in changes or "data" in changes:
            body, data = changes.pop("body", None), changes.pop("data", None)
            content_type = changes.pop("content_type", None)
        else:
            body, data, content_type = self.body, self.data, self.content_type
        if self.sign is not None:
            sent = encode(body) if body is not None else data or b""
            changes["headers"] = self.sign(sent) | changes.get("headers", {})
        if self.query:
            changes["query"] = self.query | changes.get("query", {})
        return api.call(
            self.operation.method, path, body, data=data, content_type=content_type, **changes
        )

    def other(self) -> dict[str, Any]:
        """What to change for the same endpoint with other bytes as its body, as valid."""
        if self.body is not None:
            return {"data": encode(self.body) + b" ", "content_type": "application/json"}
        return {"data": (self.data or b"") + b"\r\n", "content_type": self.content_type}


def make_product(shop: Shop) -> dict[str, Any]:
    return shop.product(name=f"Thing {uuid4().hex[:6]}")


def make_order(shop: Shop) -> str:
    order_id: str = shop.order((make_product(shop)["variants"][0]["id"], 1)).json["id"]
    return order_id


def make_paid_order(shop: Shop) -> str:
    order_id = make_order(shop)
    shop.api.post(f"/api/v1/orders/{order_id}/payments", {"method": "cash"})
    return order_id


def make_sold_order(shop: Shop) -> str:
    order_id = make_paid_order(shop)
    shop.api.post(f"/api/v1/orders/{order_id}/complete")
    return order_id


def authorized_payment(shop: Shop) -> dict[str, str]:
    order_id = make_order(shop)
    body = {"method": "cash", "capture": False}
    order = shop.api.post(f"/api/v1/orders/{order_id}/payments", body).json
    return {"order_id": order_id, "payment_id": order["payments"][0]["id"]}


VARIANT_OPERATIONS = ("get_variant", "replace_variant", "update_variant", "delete_variant")
IMAGE_OPERATIONS = ("get_image", "update_image", "delete_image")


def spare_variant(shop: Shop) -> dict[str, str]:
    product_id = make_product(shop)["id"]
    variant = shop.api.post(f"/api/v1/products/{product_id}/variants", variant_body(shop)).json
    return {"product_id": product_id, "variant_id": variant["id"]}


def made_image(shop: Shop) -> dict[str, str]:
    product_id = make_product(shop)["id"]
    image = shop.api.post(f"/api/v1/products/{product_id}/images", image_body(shop)).json
    return {"product_id": product_id, "image_id": image["id"]}


def variant_body(_: Shop) -> dict[str, Any]:
    return {"title": "L", "options": [{"name": "Size", "value": uuid4().hex[:8]}]}


def image_body(_: Shop) -> dict[str, Any]:
    return {"url": f"https://shop.example/{uuid4().hex}.jpg", "alt_text": "A shirt"}


def created(shop: Shop, path: str, body: dict[str, Any]) -> str:
    found: str = shop.api.post(path, body).json["id"]
    return found


def make_job(shop: Shop) -> str:
    data, content_type = import_form()
    found: str = shop.api.post("/api/v1/imports", data=data, content_type=content_type).json["id"]
    return found


def import_form(mapping: bytes = MAPPING) -> tuple[bytes, str]:
    """A small import as a multipart body."""
    parts: MultiDict[str, object] = MultiDict()
    parts.add("files", FileStorage(BytesIO(b"code,title,price\nA,Apple,1.00\n"), "goods.csv"))
    parts.add("mapping", FileStorage(BytesIO(mapping), "goods.yaml"))
    boundary, data = encode_multipart(parts, boundary=BOUNDARY)
    return data, f"multipart/form-data; boundary={boundary}"


SUBJECTS: dict[str, Callable[[Shop], str]] = {
    "key_id": lambda shop: created(shop, "/api/v1/api_keys", {"name": "another"}),
    "category_id": lambda shop: created(
        shop, "/api/v1/categories", {"name": "Toys", "slug": f"toys-{uuid4().hex[:8]}"}
    ),
    "product_id": lambda shop: str(make_product(shop)["id"]),
    "discount_id": lambda shop: created(shop, "/api/v1/discounts", discount_body(shop)),
    "tax_rate_id": lambda shop: created(shop, "/api/v1/tax_rates", tax_rate_body(shop)),
    "shipping_rate_id": lambda shop: created(shop, "/api/v1/shipping_rates", shipping_body(shop)),
    "exchange_rate_id": lambda shop: created(shop, "/api/v1/exchange_rates", exchange_body(shop)),
    "entry_id": lambda shop: str(shop.api.get("/api/v1/audit_log").json["data"][0]["id"]),
    "invitation_id": lambda shop: created(shop, "/api/v1/invitations", invitation_body(shop)),
    "user_id": lambda shop: created(shop, "/api/v1/users", user_body(shop)),
    "customer_id": lambda shop: created(shop, "/api/v1/customers", {"first_name": "Ada"}),
    "order_id": make_order,
    "session_id": lambda shop: created(shop, "/api/v1/sessions", session_body(shop)),
    "location_id": lambda shop: created(shop, "/api/v1/locations", location_body(shop)),
    "job_id": make_job,
    "report_id": make_report,
    "notification_id": make_notification,
    **WEBHOOK_SUBJECTS,
    "tenant_id": lambda shop: str(shop.tenant_id),
}
# operations whose subject must be in a state of its own
SUBJECTS_OF: dict[str, Callable[[Shop], str]] = {
    "complete_order": make_paid_order,
    "fulfill_order": make_paid_order,
    "refund_order": make_paid_order,
    "return_goods": make_sold_order,
}
# operations whose subjects belong together
IDS_OF: dict[str, Callable[[Shop], dict[str, str]]] = {
    **dict.fromkeys(VARIANT_OPERATIONS, spare_variant),
    **dict.fromkeys(IMAGE_OPERATIONS, made_image),
    **dict.fromkeys(ADDRESS_OPERATIONS, booked_address),
    "capture_payment": authorized_payment,
    "void_payment": authorized_payment,
    "receive_payment_callback": lambda _: {"provider": "simulated"},
    # there is one to mark
    "mark_all_notifications_read": lambda shop: {"notification_id": make_notification(shop)},
}


def discount_body(_: Shop) -> dict[str, Any]:
    kind: dict[str, Any] = {"kind": "percentage", "percentage": Decimal("12.5")}
    return {"code": f"CODE-{uuid4().hex[:10]}", "title": "Off", **kind}


def tax_rate_body(_: Shop) -> dict[str, Any]:
    return {"name": f"IVA {uuid4().hex[:8]}", "country": "IT", "rate": Decimal("0.22")}


def exchange_body(_: Shop) -> dict[str, Any]:
    since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=uuid4().int % 10**12)
    return {"currency": "JPY", "rate": Decimal("0.0065"), "effective_at": since.isoformat()}


def shipping_body(_: Shop) -> dict[str, Any]:
    return {"name": f"Post {uuid4().hex[:8]}", "kind": "flat", "price": Decimal("4.90")}


def session_body(_: Shop) -> dict[str, Any]:
    return {"kind": "table", "name": f"Table {uuid4().hex[:8]}"}


def location_body(_: Shop) -> dict[str, Any]:
    return {"name": "Shelf", "code": f"shelf-{uuid4().hex[:8]}"}


def order_body(shop: Shop) -> dict[str, Any]:
    return {"lines": [{"variant_id": make_product(shop)["variants"][0]["id"], "quantity": 1}]}


def return_body(order: dict[str, Any]) -> dict[str, Any]:
    return {"lines": [{"line_id": order["lines"][0]["id"], "quantity": 1}]}


def callback_body(shop: Shop) -> dict[str, Any]:
    """What the provider tells of a payment it did not answer in time."""
    path = f"/api/v1/orders/{make_order(shop)}/payments"
    card = {"provider": "simulated", "method": "credit_card", "card_number": TIMED_OUT}
    reference = shop.api.post(path, card).json["payments"][0]["reference"]
    return {"callback_id": uuid4().hex, "reference": reference, "outcome": "captured"}


def callback_signature(shop: Shop, body: bytes) -> dict[str, str]:
    assert isinstance(shop.api.app, App)
    secret = shop.api.app.services.secret_keys.signing
    return {"X-Payment-Signature": sign(secret, shop.tenant_id, body)}


def adjustments_body(shop: Shop) -> dict[str, Any]:
    return {"adjustments": [{"variant_id": make_product(shop)["variants"][0]["id"], "delta": 1}]}


BODIES: dict[str, Callable[[Shop], dict[str, Any]]] = {
    **PEOPLE_BODIES,
    **ADDRESS_BODIES,
    **QUESTION_BODIES,
    **TRAFFIC_BODIES,
    **WEBHOOK_BODIES,
    "run_batch": lambda _: {"requests": [{"method": "GET", "path": "/api/v1/products?limit=1"}]},
    "update_tenant": lambda _: {"name": "Renamed"},
    "change_plan": lambda _: {"plan": "pro"},
    "create_category": lambda _: {"name": "Toys", "slug": f"toys-{uuid4().hex[:8]}"},
    "replace_category": lambda _: {"name": "Toys", "slug": f"toys-{uuid4().hex[:8]}"},
    "update_category": lambda _: {"name": "Games"},
    "create_product": lambda _: {"name": "Shirt", "price": Decimal("19.90")},
    "replace_product": lambda _: {"name": "Shirt, long", "price": Decimal("29.90")},
    "update_product": lambda _: {"price": Decimal("9.90")},
    "create_variant": variant_body,
    "replace_variant": variant_body,
    "update_variant": lambda _: {"price": Decimal("12.50")},
    "add_image": image_body,
    "update_image": lambda _: {"alt_text": "A shirt, seen from behind", "position": 0},
    "create_location": location_body,
    "update_location": lambda _: {"name": "Counter"},
    "open_session": session_body,
    "bulk_update_products": lambda shop: {
        "products": [{"id": make_product(shop)["id"], "price": Decimal("9.90"), "tags": ["sale"]}]
    },
    "bulk_delete_products": lambda shop: {"ids": [make_product(shop)["id"]]},
    "adjust_stock": adjustments_body,
    "create_customer": lambda _: {"first_name": "Ada", "email": f"{uuid4().hex}@example.com"},
    "update_customer": lambda _: {"last_name": "Lovelace"},
    "create_discount": discount_body,
    "update_discount": lambda _: {"percentage": Decimal("15.25"), "usage_limit": 100},
    "create_tax_rate": tax_rate_body,
    "update_tax_rate": lambda _: {"rate": Decimal("0.205"), "region": "TO"},
    "create_shipping_rate": shipping_body,
    "update_shipping_rate": lambda _: {"countries": ["IT"], "free_from_subtotal": Decimal(50)},
    "create_exchange_rate": exchange_body,
    "place_order": order_body,
    "update_order": lambda _: {"note": "Ring twice"},
    "pay_order": lambda _: {"method": "cash", "amount": Decimal("1.00")},
    "capture_payment": lambda _: {"amount": Decimal("1.00")},
    "fulfill_order": lambda _: {"carrier": "DHL"},
    "refund_order": lambda _: {"amount": Decimal("1.00")},
    "cancel_order": lambda _: {"reason": "Changed their mind"},
    "receive_payment_callback": callback_body,
}


def make_request(operation: Operation, shop: Shop) -> Request:
    """A request that succeeds; a KeyError when nobody has said how."""
    path = operation.path
    ids = IDS_OF[operation.id](shop) if operation.id in IDS_OF else {}
    for name in operation.path_names:
        if name not in ids:
            ids[name] = SUBJECTS_OF.get(operation.id, SUBJECTS[name])(shop)
        path = path.replace(f"{{{name}}}", ids[name])
    api = shop.api
    if operation.scope is None and operation.path.startswith("/api/v1/auth/"):
        api = shop.api.with_token(None)
    if operation.scope == PLATFORM:
        api = shop.api.with_token(PLATFORM_KEY)
    if operation.id == "get_metrics":
        api = shop.api.with_token(METRICS_KEY)
    if operation.takes_json:
        if operation.id == "return_goods":
            order = shop.api.get(path.removesuffix("/returns")).json
            return Request(operation, api, path, return_body(order))
        request = Request(operation, api, path, BODIES[operation.id](shop))
        if operation.id == "receive_payment_callback":
            request.api = shop.api.with_token(None)
            request.sign = partial(callback_signature, shop)
        return request
    if operation.content_types:
        mapping = COLUMNS if operation.id == "bulk_import_products" else MAPPING
        data, content_type = import_form(mapping)
        return Request(operation, api, path, data=data, content_type=content_type)
    needed = {name: given["schema"]["example"] for name, given in operation.required_query.items()}
    return Request(operation, api, path, query=needed)
