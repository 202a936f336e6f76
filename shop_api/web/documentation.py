"""The OpenAPI document's common parts: problems, security, ids.

Belongs here: what every operation shares. Does not: headers (documented_headers.py), resources'
schemas (domains), and what their fields look like (examples.py).
"""

import json
from collections.abc import Callable
from typing import Any

import flask_smorest
from flask import Flask
from marshmallow import Schema, fields

from shop_api.kernel.api_versions import MEDIA_TYPE, NEWEST
from shop_api.kernel.errors import DomainError, ErrorKind, FieldError, conflict, not_found
from shop_api.kernel.principal import PUBLIC
from shop_api.kernel.problem import CONTENT_TYPE, problem_body
from shop_api.web.documented_headers import (
    PROBLEM_HEADERS,
    answer_headers,
    header_components,
)
from shop_api.web.fields import Id, Instant, Money, MoneyParameter, Number
from shop_api.web.scopes import NEEDS

# status → what it says of a request, and one refusal of it
PROBLEMS: dict[int, tuple[str, DomainError]] = {
    400: (
        "The request is malformed: `invalid_id`, `invalid_json`, `invalid_cursor`, …; or a query"
        " parameter is `unknown_parameter` or `invalid_parameter`.",
        DomainError(
            ErrorKind.MALFORMED,
            "invalid_parameter",
            "A query parameter is not acceptable; `errors` says which and why.",
            [FieldError("limit", "Must be between 1 and 100.")],
        ),
    ),
    401: (
        "No credential, or one that is not valid.",
        DomainError(
            ErrorKind.UNAUTHENTICATED,
            "invalid_credential",
            "The key or access token is unknown, expired or revoked.",
        ),
    ),
    403: (
        "The credential lacks the scope.",
        DomainError(
            ErrorKind.FORBIDDEN,
            "insufficient_scope",
            "This needs the scope orders:write, which this credential lacks.",
        ),
    ),
    404: ("No such resource for this tenant.", not_found("order")),
    406: (
        "No representation of the kind asked for.",
        DomainError(
            ErrorKind.NOT_ACCEPTABLE,
            "unknown_version",
            f"This API speaks version 1: Accept: {MEDIA_TYPE}.",
        ),
    ),
    409: (
        "The present state refuses it: a duplicate, an illegal move, out of stock, …",
        conflict("illegal_state_change", "A completed order cannot be cancelled. It is final."),
    ),
    412: (
        "`If-Match` names a version that is no longer current.",
        DomainError(
            ErrorKind.PRECONDITION_FAILED,
            "precondition_failed",
            "The resource has changed since the version in If-Match. Read it again.",
        ),
    ),
    413: (
        "The body is too large.",
        DomainError(
            ErrorKind.TOO_LARGE, "body_too_large", "The body is larger than 10000000 bytes."
        ),
    ),
    414: (
        "The URL is longer than 8 KB.",
        DomainError(ErrorKind.URL_TOO_LONG, "url_too_long", "The URL is longer than 8192 bytes."),
    ),
    415: (
        "The body is not of a type this takes.",
        DomainError(
            ErrorKind.UNSUPPORTED_MEDIA,
            "unsupported_media_type",
            "Send the body as JSON, with Content-Type: application/json.",
        ),
    ),
    422: (
        "The request is well-formed but not acceptable; `errors` says where.",
        DomainError(
            ErrorKind.INVALID,
            "validation_failed",
            "The body is not acceptable; `errors` says where and why.",
            [FieldError("/lines/0/quantity", "Must be a whole number.")],
        ),
    ),
    429: (
        "Too many requests; see `Retry-After`.",
        DomainError(
            ErrorKind.RATE_LIMITED,
            "rate_limited",
            "Mutations of this tenant: at most 150 in 60 s (policy mutations). Wait as"
            " Retry-After says.",
        ),
    ),
    503: (
        "A dependency is away or the deadline passed; see `Retry-After`.",
        DomainError(
            ErrorKind.UNAVAILABLE,
            "database_unavailable",
            "The database is away. Try again shortly.",
        ),
    ),
}


class FieldErrorSchema(Schema):
    """One refused value."""

    pointer = fields.String(
        required=True,
        metadata={"description": "JSON pointer into the body, or the parameter's name."},
    )
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """Problem details (RFC 9457)."""

    type = fields.String(required=True, metadata={"example": "urn:shop-api:problem:not_found"})
    title = fields.String(required=True, metadata={"example": "Not Found"})
    status = fields.Integer(required=True, metadata={"example": 404})
    detail = fields.String(required=True, metadata={"example": "No such order."})
    instance = fields.String(required=True, metadata={"example": "/api/v1/orders/…"})
    code = fields.String(
        required=True,
        metadata={"description": "Stable; decide on this.", "example": "not_found"},
    )
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FieldErrorSchema))


def problem_components(spec: Any) -> None:
    """Register one response component per problem status, and the security schemes."""
    spec.components.schema("Problem", schema=ProblemSchema)
    for status, (description, error) in PROBLEMS.items():
        body = json.loads(problem_body(error, "8f14e45fceea167a", "/api/v1/orders"))
        spec.components.response(
            f"Problem{status}",
            {
                "description": description,
                "headers": answer_headers(*filter(None, [PROBLEM_HEADERS.get(status)])),
                "content": {
                    CONTENT_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "example": body,
                    }
                },
            },
        )
    spec.components.security_scheme(
        "bearer",
        {
            "type": "http",
            "scheme": "bearer",
            "description": "A secret key `sk_…`, a publishable key `pk_…`, or an access token."
            " For who runs the product: the platform key for `/tenants` and the details of"
            " `/health/ready`, the metrics key for `/metrics`.",
        },
    )


def operation_documentation(
    view: Callable[..., Any],
    method: str,
    rule: str,
    scope: str,
    takes_condition: bool,
    *,
    is_read: bool,
) -> dict[str, Any]:
    """What smorest cannot infer: problems, security, scope."""
    statuses = {400, 401, 406, 414, 422, 429, 503}
    if scope != PUBLIC:
        statuses.add(403)
    if "<" in rule:
        statuses.add(404)
    if method != "GET":
        statuses |= {413, 415}
    if not is_read:
        statuses.add(409)
    if takes_condition:
        statuses.add(412)
    document: dict[str, Any] = {
        "operationId": view.__name__,
        "responses": {
            str(code): {"$ref": f"#/components/responses/Problem{code}"}
            for code in sorted(statuses)
        },
    }
    if method == "GET":
        document["responses"]["304"] = {
            "description": "`If-None-Match` names the version there is.",
            "headers": answer_headers("ETag"),
        }
    elif is_read:
        document["x-changes-nothing"] = True
    if scope == PUBLIC:
        document["security"] = []
    else:
        what = NEEDS.get(scope, f"scope `{scope}`")
        document["x-scope"] = scope
        document["security"] = [{"bearer": []}]
        document["description"] = f"{_rest_of_docstring(view)}\n\nNeeds {what}.".strip()
    return document


def unavailable_response(schema: type[Schema]) -> dict[str, Any]:
    """A 503 that says more than a problem does; one from before the endpoint is a problem."""
    return {
        "description": PROBLEMS[503][0],
        "headers": answer_headers("Retry-After"),
        "content": {
            "application/json": {"schema": schema},
            CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    }


def changes_existing(method: str, rule: str) -> bool:
    """Whether an operation changes something that exists: it honours If-Match."""
    return method in ("PUT", "PATCH", "DELETE") or (method == "POST" and "<" in rule)


def _rest_of_docstring(view: Callable[..., Any]) -> str:
    """The docstring after its first line."""
    lines = (view.__doc__ or "").strip().splitlines()[1:]
    return "\n".join(line.strip() for line in lines).strip()


DESCRIPTION = f"""
A multi-tenant commerce API with its own analytics lake.

Send `Authorization: Bearer <API key or access token>`. Amounts are JSON numbers with exactly the
currency's digits; times are RFC 3339 in UTC; ids are UUIDs. Every refusal is a problem (RFC 9457):
decide on its `code`. A query parameter that is unknown, given twice or not as it must be is 400; a
field of the body that is unknown or not acceptable is 422. Every POST, PUT, PATCH and DELETE that
changes something takes an `Idempotency-Key`. `RateLimit-Policy` and `RateLimit` of every answer
tell how often you may ask, and how much of that is left.

Who asks for no version gets the newest. To stay with one, send
`Accept: {MEDIA_TYPE}; version={NEWEST}`: [what each changed](/api/docs/versions).
"""


def make_api(flask: Flask, id_converter: type) -> flask_smorest.Api:
    """flask-smorest's registry, with this API's common components. It serves nothing itself."""
    flask.config.update(
        API_TITLE="shop-api",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={
            "info": {
                "description": DESCRIPTION.strip(),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            # wherever the document came from
            "servers": [{"url": "/"}],
        },
    )
    api = ProblemApi(flask)
    api.register_converter(id_converter, lambda _: {"type": "string", "format": "uuid"})
    for field, kind, form in (
        (Money, "number", None),
        (MoneyParameter, "number", None),
        (Number, "number", None),
        (Instant, "string", "date-time"),
        (Id, "string", "uuid"),
    ):
        api.register_field(field, kind, form)
    header_components(api.spec)
    problem_components(api.spec)
    return api


class ProblemApi(flask_smorest.Api):
    """Without smorest's own error bodies and default error response."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """The application maps errors to problems itself."""

    def _register_responses(self) -> None:
        """Problems are registered per status instead."""
