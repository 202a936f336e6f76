"""Trying it out in the API reference: the body that is shown there is one that can be sent."""

from typing import Any

import pytest

from shop_api.app import make_document
from shop_api.web.body_examples import BODY_EXAMPLES
from tests.factories.operations import Operation, make_request, operations
from tests.fixtures.api import Shop

# Examples name people, things and secrets that this shop does not have: looked for, and not found.
NOT_THERE = frozenset(
    {
        "invalid_invitation",
        "invalid_login",
        "invalid_refresh_token",
        "lake_not_ready",
        "line_not_found",
        "not_found",
        "product_not_found",
        "variant_not_found",
    }
)

WITH_JSON = [operation for operation in operations() if operation.takes_json]


def shown(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """What Swagger UI fills in for a schema: its example, or those of its fields."""
    if "$ref" in schema:
        return shown(document, document["components"]["schemas"][schema["$ref"].split("/")[-1]])
    for part in schema.get("allOf", []):
        return shown(document, part)
    if "example" in schema:
        return schema["example"]
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        fields = schema["properties"].items()
        return {name: shown(document, form) for name, form in fields if not form.get("readOnly")}
    if "items" in schema:
        return [shown(document, schema["items"])]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    return {"boolean": True, "integer": 0, "number": 0, "object": {}}.get(str(kind), "string")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_document()


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_the_body_that_is_shown_can_be_sent(
    shop: Shop, operation: Operation, document: dict[str, Any]
) -> None:
    content = operation.document["requestBody"]["content"]["application/json"]
    body = content["example"] if "example" in content else shown(document, content["schema"])
    answered = make_request(operation, shop).send(body=body)
    assert answered.status < 400 or answered.code in NOT_THERE, (body, answered.body)


def test_every_body_that_is_shown_is_of_an_operation() -> None:
    assert set(BODY_EXAMPLES) <= {operation.id for operation in WITH_JSON}
