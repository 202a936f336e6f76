"""What is really pushed is what its definition and the AsyncAPI document say.

The official schema of AsyncAPI 3 is that of the npm package @asyncapi/specs: where
SHOP_TEST_ASYNCAPI_SCHEMA names its `schemas/3.0.0.json`, the document is held to it too.
"""

import copy
import json
import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft7Validator, Draft202012Validator, ValidationError

from pipelines.figures import Figures
from pipelines.metric_push import metric_push
from pipelines.report_jobs import make_due_reports
from pipelines.runner import run_export
from shop_api.app import App
from shop_api.kernel.clock import utc_now
from shop_api.kernel.principal import SCOPES
from shop_api.realtime.asyncapi import make_events_document
from shop_api.realtime.event_log import EventLog
from shop_api.realtime.frames import EVENT_STREAM, OutgoingEvent
from shop_api.realtime.messages import NOTES, REQUESTS
from shop_api.spine.event_types import EVENT_TYPES
from shop_api.spine.notifications import FAILED_REPORT, Notification, Resolution, tell
from shop_api.spine.unit_of_work import Origin, unit_of_work
from tests.api.test_fulfillments import act, some
from tests.api.test_orders import move, pay
from tests.factories.exports import mapping_text
from tests.fixtures.api import ApiClient, Shop
from tests.fixtures.imports import new_runner, send, write_bad_export
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

PATH = "/api/v1/asyncapi.json"
OFFICIAL = os.environ.get("SHOP_TEST_ASYNCAPI_SCHEMA")


def sell(shop: Shop) -> None:
    """What a shop does with products, stock, orders and money."""
    image = {"url": "https://example.com/1.png"}
    lamp = shop.product("19.90", 10, name="Lamp", images=[image])
    path = f"/api/v1/products/{lamp['id']}"
    shop.api.patch(path, {"price": Decimal("24.5"), "tags": ["new"], "category_ids": []})
    shop.api.post(f"{path}/images", image)
    variant = lamp["variants"][0]["id"]
    shop.api.patch(f"{path}/variants/{variant}", {"inventory": {"low_stock_alert": 7}})
    shop.api.delete(f"/api/v1/products/{shop.product()['id']}")
    ada = {"first_name": "Ada", "email": "ada@example.com"}
    customer = shop.api.post("/api/v1/customers", ada).json["id"]
    line = {"variant_id": variant, "quantity": 2}
    bought = {"lines": [line], "customer_id": customer, "note": "write to bob@example.com"}
    placed = shop.api.post("/api/v1/orders", bought)
    assert placed.status == 201, placed.body
    pay(shop, placed.json)
    act(shop, placed.json, "refunds", {"amount": 5})
    act(shop, placed.json, "refunds", some(placed.json, 1))
    move(shop, shop.order((variant, 3)).json, "cancel")
    adjustment = {"variant_id": variant, "delta": -4}
    body = {"reason": "recount", "adjustments": [adjustment]}
    moved = shop.api.post("/api/v1/inventory/adjustments", body)
    assert moved.status == 200, moved.body


def bring_in(app: App, shop: Shop, database: Database, folder: Path) -> None:
    """An import that comes to its end, and one that is called off."""
    export = write_bad_export(folder)
    runner = new_runner(database, app)
    assert send(shop.api, export, mapping_text()).status == 202
    runner.run(utc_now())
    job = send(shop.api, export, mapping_text(), key="import-2").json
    shop.api.post(f"/api/v1/jobs/{job['id']}/cancel")


def report(app: App, shop: Shop, database: Database) -> None:
    """What comes of the lake: figures, a report; and what the platform tells."""
    context = new_runner(database, app).context
    database.server.execute("UPDATE tenants SET created_at = '2100-01-01'", database.name)
    database.server.execute(
        f"UPDATE tenants SET created_at = now() - interval '3 days' WHERE id = '{shop.tenant_id}'",
        database.name,
    )
    now = utc_now()
    run_export(new_lake(database, Path(context.settings.lake_location)), now)
    figures = Figures(context)
    try:
        metric_push(context, figures)(frozenset({shop.tenant_id}), now)
        assert make_due_reports(context, figures, utc_now() + timedelta(seconds=1))
    finally:
        figures.engine.close()
    with unit_of_work(
        database.engine, database.waker, Origin(shop.tenant_id, "system:test", "test", now)
    ) as work:
        told = Notification(FAILED_REPORT, "error", "Report", "It could not be made.", "report:1")
        tell(work, told)
        tell(work, Resolution("report:1"))


def closed(schema: Any) -> Any:
    """A copy in which an object has no properties but those declared: none goes unsaid."""
    if isinstance(schema, dict):
        copied = {name: closed(value) for name, value in schema.items()}
        if "properties" in schema:
            copied["additionalProperties"] = False
        return copied
    return [closed(value) for value in schema] if isinstance(schema, list) else schema


def validators() -> dict[str, Draft202012Validator]:
    """By type, of a whole message."""
    document = closed(json.loads(json.dumps(make_events_document())))
    components = document["components"]
    return {
        name: Draft202012Validator(
            {**components["messages"][name]["payload"], "components": components},
            validate_formats=True,
        )
        for name in EVENT_TYPES
    }


def test_every_event_a_shop_pushes_is_as_declared(
    app: App, shop: Shop, database: Database, tmp_path: Path
) -> None:
    sell(shop)
    bring_in(app, shop, database, tmp_path)
    report(app, shop, database)
    log = EventLog(app.services.engine, utc_now)
    events, position = [], 0
    while batch := log.after(shop.tenant_id, position):
        events += batch
        position = batch[-1].sequence
    pushed = [OutgoingEvent(event) for event in events if event.type in EVENT_TYPES]
    assert {outgoing.event.type for outgoing in pushed} == set(EVENT_TYPES)
    declared = validators()
    emails = 0
    for outgoing in pushed:
        for shows_email in (True, False):
            block = outgoing.frame(EVENT_STREAM, shows_email=shows_email).data.decode()
            named, typed, data, *rest = block.split("\n")
            assert (named, typed) == (
                f"id: {outgoing.event.id}",
                f"event: {outgoing.event.type}",
            )
            assert rest == ["", ""]
            declared[outgoing.event.type].validate(json.loads(data.removeprefix("data: ")))
            emails += "ada@example.com" in block
            assert shows_email or "@" not in block, block
    assert emails == 1
    orders = [outgoing for outgoing in pushed if outgoing.event.type.startswith("order_")]
    assert all(outgoing.subject.order_id for outgoing in orders)
    goods = [o for o in pushed if o.event.type.startswith(("product_", "inventory_"))]
    assert all(outgoing.subject.product_id for outgoing in goods)
    assert any(json.loads(bytes(o.event.data)).get("threshold_alert") for o in goods)


def test_the_document_is_served_and_its_examples_are_right(app: App, api: ApiClient) -> None:
    served = api.with_token(None).get(PATH)
    assert served.status == 200
    assert served.headers["Content-Type"] == "application/json"
    assert api.get(PATH, headers={"If-None-Match": served.headers["ETag"]}).status == 304
    document = json.loads(served.body)
    assert document == json.loads(json.dumps(make_events_document()))
    for page in ("/api/docs", "/api/docs/redoc", "/api/docs/versions"):
        assert PATH.encode() in api.get(page).body
    messages = document["components"]["messages"]
    requests = {str(struct.__struct_config__.tag) for struct in REQUESTS}
    assert set(messages) == {*EVENT_TYPES, *NOTES, *requests}
    declared = validators()
    for name, known in EVENT_TYPES.items():
        assert known.scope is None or known.scope in SCOPES
        assert messages[name]["x-scope"] == known.scope
        for example in messages[name]["examples"]:
            declared[name].validate(example["payload"])
            with pytest.raises(ValidationError):
                declared[name].validate({**example["payload"], "more": 1})


def references(node: Any) -> list[str]:
    """Every $ref below."""
    if isinstance(node, dict):
        found = [node["$ref"]] if "$ref" in node else []
        return found + [ref for value in node.values() for ref in references(value)]
    return [ref for value in node for ref in references(value)] if isinstance(node, list) else []


def test_the_document_holds_together() -> None:
    document = json.loads(json.dumps(make_events_document()))
    for reference in references(document):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    channels = document["channels"]
    assert {channel["address"] for channel in channels.values()} == {"/ws", "/events"}
    assert set(EVENT_TYPES) <= set(channels["websocket"]["messages"])
    assert set(EVENT_TYPES) <= set(channels["eventStream"]["messages"])
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        name = operation["channel"]["$ref"].removeprefix("#/channels/")
        for message in operation.get("messages", []):
            assert message["$ref"].startswith(f"#/channels/{name}/messages/")


@pytest.mark.skipif(OFFICIAL is None, reason="SHOP_TEST_ASYNCAPI_SCHEMA is not set")
def test_the_document_is_asyncapi_3() -> None:
    official = Draft7Validator(json.loads(Path(str(OFFICIAL)).read_text(encoding="utf-8")))
    document = json.loads(json.dumps(make_events_document()))
    official.validate(document)
    broken = copy.deepcopy(document)
    broken["operations"]["sendEvents"]["action"] = "publish"
    assert not official.is_valid(broken)
