"""What holds for every operation of the OpenAPI document, asked of each."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from openapi_spec_validator import validate

from shop_api.app import make_document
from shop_api.kernel.principal import ANY, PLATFORM, SCOPES
from tests.factories.operations import BOUNDARY, Operation, Request, make_request, operations
from tests.fixtures.api import PLATFORM_KEY, ApiClient, Shop, open_shop

ALL = operations()
COMPONENTS = make_document()["components"]
# what answers to anyone
PUBLIC = [operation for operation in ALL if operation.scope is None]
WITH_IDS = [operation for operation in ALL if operation.path_names]
# a payment callback names its tenant in its path and proves it by its signature
OF_A_TENANT = [operation for operation in WITH_IDS if operation.scope not in (None, PLATFORM)]
WITH_JSON = [operation for operation in ALL if operation.takes_json]
WITH_FORM = [operation for operation in ALL if operation.content_types and not operation.takes_json]
WITHOUT_BODY = [
    operation for operation in ALL if operation.method != "GET" and not operation.content_types
]
# what they are sent brings ids of its own, and no answer is kept under a key
UNKEPT = [operation for operation in ALL if "x-idempotent-by" in operation.document]
# change many things, of which each has an ETag of its own
OF_MANY = {"bulk_update_products", "bulk_delete_products"}
# send events, and leave the endpoint as it is
WITHOUT_CHANGE = {"test_webhook_endpoint", "redeliver_webhooks"}
# no export has run here; test_insights.py asks them
FROM_THE_LAKE = {
    "get_dashboard",
    "get_revenue",
    "get_order_figures",
    "get_usage",
    "get_customer_figures",
    "get_customer_report",
    "get_inventory_report",
    "get_product_figures",
    "get_sales_report",
    "query_figures",
    "list_figure_rows",
    "get_traffic",
}


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Shop:
    """One shop for all."""
    return open_shop(api)


@pytest.fixture(scope="module")
def other_shop(api: ApiClient) -> Shop:
    """Somebody else's shop."""
    return open_shop(api)


class Keys:
    """Keys of a shop, each with all scopes but one."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._made: dict[str, str] = {}

    def without(self, scope: str) -> str:
        """A key that lacks the scope: where any will do, or the platform's, that of the other."""
        if scope == ANY:
            return PLATFORM_KEY
        if scope not in self._made:
            body = {"name": "narrow", "scopes": sorted(SCOPES.keys() - {scope})}
            self._made[scope] = self.shop.api.post("/api/v1/api_keys", body).json["key"]
        return self._made[scope]


@pytest.fixture(scope="module")
def keys(shop: Shop) -> Keys:
    """Keys that lack a scope."""
    return Keys(shop)


def each(found: list[Operation]) -> Any:
    return pytest.mark.parametrize("operation", found, ids=str)


@each(ALL)
def test_it_answers(shop: Shop, operation: Operation) -> None:
    answered = make_request(operation, shop).send()
    declared = [int(code) for code in operation.document["responses"] if code.startswith("2")]
    if operation.id in FROM_THE_LAKE:
        assert (answered.status, answered.code) == (503, "lake_not_ready")
    else:
        assert answered.status in declared, answered.body
    assert promised_headers(operation, answered.status) <= set(answered.headers)


def promised_headers(operation: Operation, status: int) -> set[str]:
    """Those that every answer of the status has, by the document."""
    response = operation.document["responses"][str(status)]
    if "$ref" in response:
        response = COMPONENTS["responses"][response["$ref"].split("/")[-1]]
    return {name for name in response["headers"] if COMPONENTS["headers"][name]["required"]}


def test_answers_tell_their_headers() -> None:
    for operation in ALL:
        for code, response in operation.document["responses"].items():
            if not code.startswith("2"):
                continue
            named = set(response["headers"])
            assert "X-Request-ID" in named, operation.id
            assert ("ETag" in named) == (code != "204"), operation.id
            assert ("Link" in named) == ("after" in operation.parameters), operation.id
            is_kept = not operation.is_read and operation not in UNKEPT
            assert ("Location" in named) == (is_kept and code in ("201", "202")), operation.id
            assert ("Idempotency-Replayed" in named) == is_kept, operation.id


@each([operation for operation in ALL if operation.scope is not None])
def test_it_needs_a_credential(shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    anonymous = request.send(api=shop.api.with_token(None))
    assert (anonymous.status, anonymous.code) == (401, "unauthenticated")
    assert anonymous.headers["WWW-Authenticate"].startswith("Bearer")
    wrong = request.send(api=shop.api.with_token("sk_" + "x" * 43))
    assert (wrong.status, wrong.code) == (401, "invalid_credential")
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")


@each([operation for operation in ALL if operation.scope is not None])
def test_it_needs_its_scope(shop: Shop, keys: Keys, operation: Operation) -> None:
    request = make_request(operation, shop)
    assert operation.scope is not None
    refused = request.send(api=shop.api.with_token(keys.without(operation.scope)))
    assert (refused.status, refused.code) == (403, "insufficient_scope")
    # and nothing happened
    declared = {int(code) for code in operation.document["responses"] if code.startswith("2")}
    if operation.id not in FROM_THE_LAKE:
        assert request.send().status in declared


@each(OF_A_TENANT)
def test_another_tenants_id_does_not_exist(
    shop: Shop, other_shop: Shop, operation: Operation
) -> None:
    request = make_request(operation, shop)
    foreign = request.send(api=other_shop.api)
    absent = request.send(path=absent_path(request))
    assert (foreign.status, foreign.code) == (404, "not_found")
    assert (absent.status, absent.code) == (404, "not_found")
    assert foreign.json["detail"] == absent.json["detail"]
    # and nothing happened to it
    assert request.send().status < 300


@each([operation for operation in ALL if operation.method == "PATCH"])
def test_a_change_of_nothing_leaves_no_trace(shop: Shop, operation: Operation) -> None:
    """Neither a version, so that nobody's If-Match is spoilt, nor an entry in the log."""
    request = make_request(operation, shop)
    before, newest = request.api.get(request.path), {"limit": 1}
    logged = shop.api.get("/api/v1/audit_log", query=newest).json["data"]
    answered = request.send(body={})
    assert (answered.status, answered.body) == (200, before.body)
    assert answered.headers["ETag"] == before.headers["ETag"]
    assert shop.api.get("/api/v1/audit_log", query=newest).json["data"] == logged


def absent_path(request: Request) -> str:
    path = request.operation.path
    for name in request.operation.path_names:
        path = path.replace(f"{{{name}}}", str(uuid4()))
    return path


@each(WITH_IDS)
@pytest.mark.parametrize(
    "bad", ["1", "x" * 300, "%E9", "null", "00000000-0000-0000-0000-00000000000g"]
)
def test_an_id_of_another_form_is_malformed(shop: Shop, operation: Operation, bad: str) -> None:
    path = operation.path
    for name in operation.path_names:
        path = path.replace(f"{{{name}}}", bad)
    answered = shop.api.call(operation.method, path)
    assert (answered.status, answered.code) == (400, "invalid_id")


@each(ALL)
def test_unknown_parameters_are_refused(shop: Shop, operation: Operation) -> None:
    """Whatever else is wrong: alone, given twice, beside one that is known and not acceptable."""
    request = make_request(operation, shop)
    known = next(iter(operation.query_names), None)
    twice = {known: ["x", "x"]} if known else {}
    for query in ({"colour": "red"}, {"colour": ["red", "blue"]}, {"colour": "red", **twice}):
        answered = request.send(query=query)
        assert (answered.status, answered.code) == (400, "unknown_parameter")
        unknown = {"pointer": "colour", "detail": "Unknown parameter."}
        assert unknown in answered.json["errors"]


@each([operation for operation in ALL if operation.query_names])
def test_parameters_that_are_not_as_they_must_be_are_refused(
    shop: Shop, operation: Operation
) -> None:
    request = make_request(operation, shop)
    for name in operation.query_names:
        is_list = operation.parameters[name]["schema"].get("type") == "array"
        for value in ("\x07", ["x", "x"]):
            if value == ["x", "x"] and is_list:
                continue
            refused = request.send(query={name: value})
            assert (refused.status, refused.code) == (400, "invalid_parameter"), (name, value)
            assert refused.json["errors"][0]["pointer"] == name


@each(WITH_JSON)
def test_unknown_fields_are_refused(shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    answered = request.send(body={**(request.body or {}), "a/b": 1})
    assert (answered.status, answered.code) == (422, "validation_failed")
    assert answered.json["errors"] == [{"pointer": "/a~1b", "detail": "Unknown field."}]


@each(WITH_JSON)
def test_unknown_fields_inside_are_refused(shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    for pointer, body in with_unknown(request.body or {}):
        refused = request.send(body=body)
        assert (refused.status, refused.code) == (422, "validation_failed"), pointer
        assert refused.json["errors"] == [{"pointer": pointer, "detail": "Unknown field."}]


def with_unknown(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """The value with an unknown field in each of the objects inside, and where it is."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in items:
        if not isinstance(inner, dict | list):
            continue
        places = list(with_unknown(inner, f"{pointer}/{name}"))
        if isinstance(inner, dict):
            places.append((f"{pointer}/{name}/unknown", {**inner, "unknown": 1}))
        for place, changed in places:
            whole = dict(value) if isinstance(value, dict) else list(value)
            whole[name] = changed
            yield place, whole


@each(WITHOUT_BODY)
def test_unknown_fields_are_refused_where_none_is_known(shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    refused = request.send(body={"unknown": 1})
    assert (refused.status, refused.code) == (422, "validation_failed")
    assert refused.json["errors"] == [{"pointer": "/unknown", "detail": "Unknown field."}]
    assert request.send().status < 300


@each(WITH_FORM)
def test_unknown_parts_of_a_form_are_refused(shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    head, end = (request.data or b"").rsplit(b"--", 2)[0], f"--{BOUNDARY}--".encode()
    for disposition in (b'name="unknown"', b'name="unknown"; filename="a.csv"'):
        part = b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n1\r\n"
        data = head + part % (BOUNDARY.encode(), disposition) + end + b"\r\n"
        refused = request.send(data=data, content_type=request.content_type)
        assert (refused.status, refused.code) == (422, "validation_failed"), refused.body
        assert refused.json["errors"] == [{"pointer": "/unknown", "detail": "Unknown field."}]
    assert request.send().status < 300


@each(WITH_JSON)
def test_each_field_refuses_another_type(shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    for name in request.body or {}:
        values: tuple[Any, ...] = ({}, [[]], True, "\x00", 10**400)
        for value in values:
            answered = request.send(body={**(request.body or {}), name: value})
            assert answered.status in (401, 422), (name, value, answered.body)
            if answered.status == 422 and answered.code == "validation_failed":
                assert answered.json["errors"][0]["pointer"].startswith(f"/{name}")


@each(WITH_JSON)
@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b'{"a": NaN}', "application/json", 400, "invalid_json"),
        (b'{"a": "\xff"}', "application/json", 400, "invalid_json"),
        (b'{"a": "\\ud800"}', "application/json", 400, "invalid_json"),
        (b'{"\\udc00": 1}', "application/json", 400, "invalid_json"),
        (b'{"a": 1e99999999999999999999}', "application/json", 400, "invalid_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "application/json", 400, "invalid_json"),
        (b"[" * 40 + b"]" * 40, "application/json", 400, "nesting_too_deep"),
        (b"[]", "application/json", 422, "validation_failed"),
        (b'[{"a": 1}]', "application/json", 422, "validation_failed"),
        (b"null", "application/json", 422, "validation_failed"),
        (b'"text"', "application/json", 422, "validation_failed"),
        (b"1", "application/json", 422, "validation_failed"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"{}", None, 415, "unsupported_media_type"),
    ],
)
def test_bodies_of_another_form_are_refused(
    shop: Shop,
    operation: Operation,
    data: bytes,
    content_type: str | None,
    status: int,
    code: str,
) -> None:
    request = Request(operation, shop.api, operation.path)
    if operation.scope == PLATFORM:
        request.api = shop.api.with_token(PLATFORM_KEY)
    for name in operation.path_names:
        request.path = request.path.replace(f"{{{name}}}", str(uuid4()))
    if not data and not operation.document["requestBody"]["required"]:
        # nothing is a body that may be left out
        status, code = 404, "not_found"
    answered = request.send(data=data, content_type=content_type)
    assert (answered.status, answered.code) == (status, code), answered.body


@each([operation for operation in WITH_JSON if operation.document["requestBody"].get("required")])
def test_a_body_that_is_needed_is_asked_for(shop: Shop, operation: Operation) -> None:
    request = make_request(operation, shop)
    answered = request.send(data=b"", content_type="application/json")
    assert answered.code in ("invalid_json", "invalid_signature"), answered.body


def test_the_document_is_valid() -> None:
    document = make_document()
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_the_document_is_whole() -> None:
    ids = [operation.id for operation in ALL]
    assert len(set(ids)) == len(ids)
    for operation in ALL:
        document = operation.document
        assert document["summary"].endswith("."), operation.id
        assert len(document["tags"]) == 1, operation.id
        for code in ("400", "406", "429", "503"):
            assert code in document["responses"], operation.id
        assert (operation.scope is None) == (document["security"] == []), operation.id
        takes_key = "Idempotency-Key" in operation.parameters
        assert takes_key == (not operation.is_read), operation.id
        if operation.id in OF_MANY | WITHOUT_CHANGE:
            assert "If-Match" not in operation.parameters, operation.id
        elif operation.method in ("PUT", "PATCH", "DELETE") or (
            operation.method == "POST" and operation.path_names
        ):
            assert "If-Match" in operation.parameters, operation.id


@each(WITH_JSON)
def test_its_body_shows_an_example(operation: Operation) -> None:
    content = operation.document["requestBody"]["content"]["application/json"]
    schema = COMPONENTS["schemas"][content["schema"]["$ref"].split("/")[-1]]
    properties = schema["properties"].values()
    has_example = any("example" in p or "examples" in p or "$ref" in str(p) for p in properties)
    assert "example" in content or has_example


def test_only_what_brings_ids_of_its_own_keeps_no_answer_under_a_key() -> None:
    assert {operation.id for operation in UNKEPT} == {"track_events"}


def test_public_operations_are_the_few_that_must_be() -> None:
    assert {operation.id for operation in PUBLIC} == {
        "login",
        "refresh",
        "logout",
        "accept_invitation",
        "receive_payment_callback",
        "get_liveness",
        "get_readiness",
    }
