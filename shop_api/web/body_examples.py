"""What the API reference fills in for "Try it out": a body that can be sent as it stands.

Belongs here: bodies of operations, by operation id, whose fields cannot all be sent together or
name something of the shop. Does not: examples of single fields (examples.py), which serve the rest.
"""

from typing import Any

# stands for an id of the reader's own shop
_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_ADDRESS = {"line1": "Via Roma 1", "city": "Torino", "postal_code": "10121", "country": "IT"}

BODY_EXAMPLES: dict[str, Any] = {
    "create_api_key": {"name": "Warehouse", "scopes": ["catalog:read", "inventory:write"]},
    "update_api_key": {"name": "Warehouse", "scopes": ["catalog:read"]},
    "update_tenant": {"name": "Fig & Bracken", "settings": {"order_hold_minutes": 45}},
    "change_plan": {"plan": "pro", "rate_limits": {"mutations": 3000}},
    "create_category": {"name": "Mugs", "slug": "mugs"},
    "replace_category": {"name": "Mugs", "slug": "mugs"},
    "update_category": {"name": "Mugs and cups", "position": 2},
    "create_product": {
        "name": "Fig mug",
        "description": "Stoneware, 350 ml.",
        "sku": "FIG-MUG-350",
        "price": 19.90,
        "status": "active",
        "tags": ["kitchen"],
        "inventory": {"quantity": 12},
    },
    "replace_product": {"name": "Fig mug, large", "price": 24.90, "status": "active"},
    "update_product": {"price": 17.90, "tags": ["kitchen", "sale"]},
    "bulk_update_products": {"products": [{"id": _ID, "price": 17.90}]},
    "adjust_stock": {"adjustments": [{"variant_id": _ID, "delta": 12}]},
    "create_customer": {"email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace"},
    "update_customer": {"phone": "+39 011 555 0100", "tags": ["regular"]},
    "create_discount": {
        "code": "WELCOME10",
        "title": "10 % off",
        "kind": "percentage",
        "percentage": 10,
    },
    "update_discount": {"percentage": 15, "usage_limit": 100},
    "create_shipping_rate": {
        "name": "Standard, 3 days",
        "kind": "flat",
        "countries": ["IT", "FR"],
        "price": 4.90,
    },
    "update_shipping_rate": {"price": 5.90, "free_from_subtotal": 60},
    "create_exchange_rate": {
        "currency": "EUR",
        "rate": 1.08,
        "effective_at": "2026-03-01T00:00:00Z",
    },
    "open_session": {"kind": "table", "name": "Table 4"},
    "place_order": {"lines": [{"variant_id": _ID, "quantity": 2}], "shipping_address": _ADDRESS},
    "update_order": {"note": "Ring twice", "shipping_address": _ADDRESS},
    "pay_order": {"provider": "manual", "method": "cash"},
    "fulfill_order": {"carrier": "DHL", "tracking_number": "JJD000390007"},
    "return_goods": {"lines": [{"line_id": _ID, "quantity": 1}], "reason": "Too small"},
    "refund_order": {"amount": 5.00, "reason": "Late"},
    "query_figures": {
        "metrics": ["net_sales", "units"],
        "dimensions": ["category"],
        "filters": [{"dimension": "channel", "operator": "in", "values": ["web"]}],
        "period": "90d",
        "compare": "previous_period",
        "sort": "net_sales",
        "limit": 10,
    },
    "track_events": {
        "events": [
            {
                "id": _ID,
                "kind": "product_view",
                "occurred_at": "2026-01-31T12:00:00Z",
                "visitor_id": "v_8f14e4",
                "session_id": "s_5fceea",
                "path": "/products/fig-mug",
                "referrer_host": "www.example.com",
                "device": "mobile",
                "product_id": _ID,
            }
        ]
    },
    "run_batch": {
        "requests": [
            {"method": "GET", "path": "/api/v1/products?limit=2"},
            {
                "method": "POST",
                "path": "/api/v1/customers",
                "headers": {"Idempotency-Key": "customer-7"},
                "body": {"first_name": "Ada"},
            },
        ]
    },
}
