"""What fields look like in the API reference: one shop, one order of it, told by field name.

Belongs here: the example of a name that means the same in every resource, and of a resource's own
name where it does not. Does not: examples a schema gives itself (its `metadata`), which win.
"""

from typing import Any

# two Fig Mugs at 19.90, a tenth off, 22 % tax, and shipping: the amounts add up
_AMOUNTS: dict[str, Any] = {
    "price": 19.9,
    "unit_price": 19.9,
    "compare_price": 24.9,
    "cost_price": 8.4,
    "subtotal": 39.8,
    "discount_total": 3.98,
    "shipping_total": 4.9,
    "shipping_tax_total": 0,
    "tax_rate": 0.22,
    "tax_total": 7.88,
    "total": 48.6,
    "paid_total": 48.6,
    "refunded_total": 0,
    "refunded_amount": 0,
    "amount": 48.6,
    "authorized_amount": 48.6,
    "shipping_amount": 4.9,
    "tax_amount": 7.88,
    "gross_sales": 39.8,
    "discounts": 3.98,
    "returns": 0,
    "net_sales": 35.82,
    "shipping": 4.9,
    "taxes": 7.88,
    "total_sales": 48.6,
    "average_order_value": 35.82,
    "value": 48.6,
    "change": 0.25,
    "returning_customer_rate": 0.5,
    "percentage": 10,
    "rate": 0.22,
    "minimum_subtotal": 30,
    "free_from_subtotal": 60,
    "price_per_kilogram": 1.5,
    "progress_ratio": 0.25,
}

_TEXTS: dict[str, Any] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTg5In0.3kQ9xL0sVn2mYt7u",
    "refresh_token": "rt_3vQmPqzq0q4dZb3kQ9xL0sVn2mYt7uPdWcEaHgJrKfQ",
    "token": "in_3vQmPqzq0q4cUqkB7y0Xc5oW8m1l2n3o4p5q6r7s8t9",
    "public_key": "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=",
    "certificate_fingerprint": ("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"),
    "key": "sk_Zb3kQ9xL0sVn2mYt7uPdWcEaHgJrKfQi8oTz5xNvB1M",
    "actor": "user:01890a5d-ac96-774b-bcce-b302099a8057",
    "If-Match": '"7c1f3a9d"',
    "If-None-Match": '"7c1f3a9d"',
    "invited_by": "user:01890a5d-ac96-774b-bcce-b302099a8057",
    "opened_by": "user:01890a5d-ac96-774b-bcce-b302099a8057",
    "alt_text": "Fig Mug from the side",
    "callback_id": "evt_1",
    "cancel_reason": "Ordered twice",
    "carrier": "DHL",
    "category_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "channel": "web",
    "city": "Torino",
    "code": "WELCOME10",
    "cors_origins": ["https://shop.example"],
    "countries": ["IT", "FR"],
    "country": "IT",
    "currency": "USD",
    "description": "Stoneware, 350 ml.",
    "detail": "The quantity is 3.",
    "discount_codes": ["WELCOME10"],
    "email": "ada@example.com",
    "end_cursor": "b4cOP4UIfQb1a4pCAaIYA8kAdPersiZX",
    "start_cursor": "b4cOP4UIfQb1a4pCAaIYA8kAdPersiZX",
    "error": None,
    "external_id": "1001",
    "failure_code": None,
    "first_name": "Ada",
    "fulfillment_status": "unfulfilled",
    "grain": "a day, currency and channel",
    "kind": "percentage",
    "last_name": "Rossi",
    "line1": "Via Roma 1",
    "line2": "Scala B",
    "method": "credit_card",
    "name": "Fig Mug",
    "note": "Leave it with the neighbours.",
    "payment_status": "paid",
    "phone": "+39 011 555 0100",
    "plan": "pro",
    "pointer": "/lines/0/quantity",
    "postal_code": "10121",
    "product_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "provider": "simulated",
    "reason": "Arrived broken",
    "reference": "sim_0190a1b2",
    "region": "TO",
    "request_id": "8f14e45fceea167a",
    "role": "staff",
    "scopes": ["catalog:read", "orders:write"],
    "shipping_method": "Standard",
    "sku": "FIG-MUG-350",
    "slug": "fig-mug",
    "sql": "sum(net_sales)",
    "tags": ["kitchen", "gift"],
    "tax_class": "standard",
    "tenant": "fig-and-bracken",
    "timezone": "Europe/Rome",
    "title": "Fig Mug",
    "tracking_number": "00340434161094042557",
    "tracking_url": "https://tracking.example/00340434161094042557",
    "unit": "money",
    "url": "https://images.example/fig-mug.jpg",
}

_FLAGS: dict[str, Any] = {"prices_include_tax": False}

_COUNTS: dict[str, Any] = {
    "number": 1001,
    "sequence": 42,
    "position": 0,
    "quantity": 2,
    "weight_grams": 420,
    "maximum_weight_grams": 30_000,
    "size_bytes": 21_816,
    "width": 1200,
    "height": 1200,
}

# resource.field, where the name means something else than above
_ID = "01890a5d-ac96-774b-bcce-b302099a8057"

OF_RESOURCES: dict[str, Any] = {
    "Question.from": "2026-01-01",
    "Question.to": "2026-02-01",
    "Question.after": _TEXTS["end_cursor"],
    "ValuesOfDimensions.time": "2026-01-01",
    "ValuesOfDimensions.payment_method": "credit_card",
    "ValuesOfDimensions.discount": "WELCOME10",
    "ValuesOfDimensions.customer_type": "returning",
    "ValuesOfDimensions.customer_segment": "champions",
    "ValuesOfDimensions.referrer": "www.google.com",
    "ValuesOfDimensions.utm_source": "newsletter",
    "ValuesOfDimensions.utm_medium": "email",
    "ValuesOfDimensions.utm_campaign": "spring",
    "ValuesOfDimensions.device": "mobile",
    "ValuesOfDimensions.customer": _ID,
    "ValuesOfDimensions.product": _ID,
    "ValuesOfDimensions.variant": _ID,
    "ValuesOfDimensions.category": _ID,
    "FigureRow.order_id": _ID,
    "FigureRow.line_id": _ID,
    "FigureRow.refund_id": _ID,
    "FigureRow.payment_id": None,
    "FigureRow.customer_id": None,
    "FigureRow.visitor_id": None,
    "FigureRow.session_id": None,
    "InventoryReportRow.id": _ID,
    "ApiKey.kind": "secret",
    "ApiKey.name": "Warehouse",
    "Category.name": "Mugs",
    "Category.slug": "mugs",
    "CategoryReference.name": "Mugs",
    "CategoryReference.slug": "mugs",
    "CategorySales.name": "Mugs",
    "CountPoint.value": 12,
    "Discount.amount": None,
    "Discount.title": "Ten percent off",
    "Inventory.quantity": 40,
    "Location.code": "torino",
    "Location.name": "Torino shop",
    "LocationChanges.code": "torino",
    "NewApiKey.kind": "secret",
    "NewApiKey.name": "Warehouse",
    "OrderDiscount.amount": 3.98,
    "OrderDiscount.shipping_amount": 0,
    "OrderDiscount.title": "Ten percent off",
    "Order.status": "processing",
    "OrderHit.status": "processing",
    "OrderLine.total": 43.7,
    "Payment.status": "captured",
    "Product.status": "active",
    "ProductHit.status": "active",
    "Ready.status": "ready",
    "ReportFile.url": "/api/v1/reports/01890a5d-ac96-774b-bcce-b302099a8057/files/csv",
    "Notification.kind": "quarantined_data",
    "PipelineRun.name": "lake_export",
    "PipelineRun.error": None,
    "PipelineShare.name": "lake_export",
    "Session.kind": "table",
    "Session.name": "Table 4",
    "ShippingRate.kind": "flat",
    "ShippingRate.name": "Standard",
    "ShippingRate.price": 4.9,
    "Stock.quantity": 40,
    "TaxRate.name": "IVA",
    "Tenant.name": "Fig & Bracken",
    "Tenant.slug": "fig-and-bracken",
    "TenantPatch.name": "Fig & Bracken",
    "User.email": "owner@example.com",
    "User.name": "Ada Rossi",
    "User.role": "owner",
    "Variant.title": "350 ml",
    "VariantDetail.title": "350 ml",
}

BY_NAME = {**_AMOUNTS, **_TEXTS, **_FLAGS, **_COUNTS}
_BY_FORMAT = {"uuid": _ID}
# of a kind of value with neither a name above nor anything else that shows it
_BY_TYPE: dict[str, Any] = {"integer": 1, "number": 1}


def fill_examples(schemas: dict[str, dict[str, Any]]) -> None:
    """Give each property of the document's schemas an example, unless it has one."""
    for resource, schema in schemas.items():
        for name, form in schema.get("properties", {}).items():
            if form.keys().isdisjoint({"example", "enum", "$ref", "anyOf"}):
                _fill(resource, name, form)


def _fill(resource: str, name: str, form: dict[str, Any]) -> None:
    kinds = form["type"] if isinstance(form.get("type"), list) else [form.get("type")]
    key = f"{resource}.{name}"
    if form.get("format") in _BY_FORMAT:
        form["example"] = _BY_FORMAT[form["format"]]
    elif key in OF_RESOURCES:
        form["example"] = OF_RESOURCES[key]
    elif name in BY_NAME and _is_of(BY_NAME[name], kinds):
        form["example"] = BY_NAME[name]
    elif kinds[0] in _BY_TYPE:
        form["example"] = max(_BY_TYPE[kinds[0]], form.get("minimum", 0))


def _is_of(example: Any, kinds: list[Any]) -> bool:
    """Whether an example is of one of a property's types: `total` counts in some resources."""
    if example is None:
        return "null" in kinds
    if isinstance(example, bool):
        return "boolean" in kinds
    if isinstance(example, str):
        return "string" in kinds
    if isinstance(example, list):
        return "array" in kinds
    return "number" in kinds or ("integer" in kinds and isinstance(example, int))
