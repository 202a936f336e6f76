"""Routes: every endpoint declares its scope, its input and its output, and gets one `Call`.

Belongs here: the decorators `read`, `query` and `mutation` and what they check first. Does not:
endpoints. The view's docstring becomes its documentation: the first line is the summary.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from uuid import UUID

import flask_smorest
from flask import request
from marshmallow import Schema
from sqlalchemy.exc import DBAPIError

from shop_api.db.constraints import constraint_error
from shop_api.db.tenancy import PLATFORM_TENANT, read_session
from shop_api.kernel.cache_policy import REAL_TIME, CachePolicy
from shop_api.kernel.exchange import ENVIRON_KEY, Exchange
from shop_api.kernel.principal import PLATFORM, PUBLIC
from shop_api.spine.unit_of_work import UnitOfWork
from shop_api.web.body_examples import BODY_EXAMPLES
from shop_api.web.call import Call
from shop_api.web.direct import DirectRead
from shop_api.web.documentation import (
    changes_existing,
    operation_documentation,
    unavailable_response,
)
from shop_api.web.documented_headers import request_headers, success_headers
from shop_api.web.documented_versions import older_contents
from shop_api.web.mutation import run_mutation
from shop_api.web.older_shapes import older_shapes
from shop_api.web.parser import (
    PARSER,
    UNKNOWN_FIELD,
    OptionalBody,
    body_error,
    decode_json,
    parameter_error,
)
from shop_api.web.refused_values import with_value
from shop_api.web.reply import Reply, to_response
from shop_api.web.scopes import require_scope
from shop_api.web.services import services

__all__ = ["Blueprint", "Call"]

View = Callable[..., Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What an endpoint declares."""

    method: str
    rule: str
    scope: str
    # marshmallow schema of a successful answer; None: no body
    returns: Any = None
    status: int = 200
    query: type[Schema] | None = None
    body: type[Schema] | None = None
    # "json", or "files" for a multipart form, whose parts the view reads itself
    body_location: str = "json"
    # of a successful answer that is no JSON
    content_type: str | None = None
    # what else it comes as, by `Accept`: content type → an example
    also_as: dict[str, str] = field(default_factory=dict)
    # schema of a 503 that is no problem
    unavailable: type[Schema] | None = None
    # open a tenant's transaction for a read
    has_session: bool = True
    # a read whose view needs nothing of Flask, and is asked so often that it is called without
    is_direct: bool = False
    # of a read whose answers may be kept; its query then takes `real_time`
    cache: CachePolicy | None = None
    # a change of something that has one ETag, so that If-Match is honoured
    is_conditional: bool = True
    # the answer holds a secret: kept encrypted under an idempotency key
    is_secret: bool = False
    # it changes nothing: no unit of work, no Idempotency-Key
    is_read: bool = False
    # a mutation whose answer is kept under its idempotency key; without one, what is sent carries
    # ids by which it counts once
    is_keyed: bool = True


class Blueprint(flask_smorest.Blueprint):
    """A noun's endpoints."""

    ARGUMENTS_PARSER = PARSER

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._prepare_doc_cbks.append(self._prepare_header_doc)
        self.direct_reads: list[DirectRead] = []
        self.cached_routes: list[tuple[str, CachePolicy]] = []

    @staticmethod
    def _prepare_header_doc(doc: dict[str, Any], info: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add headers and other forms, which smorest's own documentation would replace."""
        granted = next(iter(doc["responses"].values()))
        granted["headers"] = info["answer_headers"]
        for content_type, example in info.get("also_as", {}).items():
            granted["content"][content_type] = {"schema": {"type": "string"}, "example": example}
        granted.get("content", {}).update(info["older_contents"])
        headers = info.get("request_headers", [])
        if headers:
            doc["parameters"] = [*doc.get("parameters", []), *headers]
        return doc

    def read(self, rule: str, *, scope: str, **options: Any) -> Callable[[View], View]:
        """GET, with the options of `Operation`. The view gets `(call, **path)`."""
        operation = Operation(method="GET", rule=rule, scope=scope, is_read=True, **options)

        def decorate(view: View) -> View:
            shapes = older_shapes(operation.returns)

            def answer(call: Call, path: dict[str, Any]) -> Reply:
                reply = ask(call, path)
                if shapes is None:
                    return reply
                return shapes.back(shapes.mark(reply), call.exchange.api_version)

            def ask(call: Call, path: dict[str, Any]) -> Reply:
                # the gateway's, and no filter
                call.query.pop(REAL_TIME, None)
                if scope == PUBLIC or not operation.has_session:
                    return view(call, **path)
                replica = call.services.replica_for(call.exchange, call.tenant_id)
                with read_session(call.services.engine, replica, call.tenant_id) as session:
                    call.tenant_session = session
                    return view(call, **path)

            def run(call: Call, path: dict[str, Any]) -> Any:
                reply = answer(call, path)
                return to_response(reply.status, reply.all_headers(), reply.parts or reply.body)

            template = (self.url_prefix or "") + rule
            if operation.cache is not None:
                self.cached_routes.append((template, operation.cache))
            if operation.is_direct:
                query = operation.query() if operation.query is not None else None
                self.direct_reads.append(DirectRead(template, scope, query, answer))
            return self._register(operation, view, run)

        return decorate

    def query(self, rule: str, *, scope: str, **options: Any) -> Callable[[View], View]:
        """POST of a question too long for a URL, with the options of `Operation`: a read.

        It changes nothing, so there is no unit of work, no audit and nothing to replay: an
        Idempotency-Key that is sent means nothing. The view gets `(call, **path)`, no session.
        """
        operation = Operation(
            method="POST", rule=rule, scope=scope, is_read=True, is_conditional=False, **options
        )
        return self._without_session(operation)

    def mutation(
        self, method: str, rule: str, *, scope: str, **options: Any
    ) -> Callable[[View], View]:
        """POST, PUT, PATCH, DELETE: the view runs in one unit of work, `call.work`.

        A public endpoint knows its tenant only after checking what it was sent: its view gets a
        second argument, `commit(tenant_id, actor, handler)`, and returns what that returns.
        """
        operation = Operation(method=method, rule=rule, scope=scope, **options)

        def decorate(view: View) -> View:
            shapes = older_shapes(operation.returns)

            def run(call: Call, path: dict[str, Any]) -> Any:
                def commit(tenant_id: UUID, actor: str, handler: Callable[..., Reply]) -> Any:
                    def handle(work: UnitOfWork) -> Reply:
                        call.unit_of_work, call.tenant_session = work, work.session
                        return handler(work)

                    origin = call.origin(tenant_id, actor)
                    try:
                        return run_mutation(
                            call.services,
                            call.exchange,
                            origin,
                            handle,
                            shapes,
                            is_secret=operation.is_secret,
                        )
                    except DBAPIError as error:
                        known = constraint_error(error)
                        if known is None:
                            raise
                        raise with_value(known, call.body) from error

                if scope == PUBLIC:
                    return view(call, commit, **path)
                tenant_id = PLATFORM_TENANT if scope == PLATFORM else call.tenant_id
                return commit(tenant_id, call.principal.actor, lambda _: view(call, **path))

            return self._register(operation, view, run)

        return decorate

    def intake(self, rule: str, *, scope: str, **options: Any) -> Callable[[View], View]:
        """POST of things that bring ids of their own, with the options of `Operation`.

        No transaction is opened and no answer is kept: sent again, with an Idempotency-Key or
        without, they are taken in again, and whoever reads them counts each id once. The view gets
        `(call, **path)`.
        """
        operation = Operation(method="POST", rule=rule, scope=scope, is_keyed=False, **options)
        return self._without_session(operation)

    def _without_session(self, operation: Operation) -> Callable[[View], View]:
        """The view answers `(call, **path)` by what it finds elsewhere than in Postgres."""

        def decorate(view: View) -> View:
            def run(call: Call, path: dict[str, Any]) -> Any:
                reply = view(call, **path)
                return to_response(reply.status, reply.all_headers(), reply.body)

            return self._register(operation, view, run)

        return decorate

    def _register(
        self, operation: Operation, view: View, run: Callable[[Call, dict[str, Any]], Any]
    ) -> View:
        """Wrap a view with its checks, its parsing and its documentation, and route to it."""
        names = [name for name in ("query", "body") if getattr(operation, name) is not None]
        template = (self.url_prefix or "") + operation.rule

        @wraps(view)
        def endpoint(*parsed: Any, **path: Any) -> Any:
            exchange: Exchange = request.environ[ENVIRON_KEY]
            values = dict(zip(names, parsed, strict=True))
            call = Call(services(), exchange, values.get("query", {}), values.get("body", {}))
            if operation.query is None and request.args:
                raise parameter_error({name: [UNKNOWN_FIELD] for name in request.args})
            if operation.method != "GET" and operation.body is None:
                refuse_body()
            return run(call, path)

        documented = self._document(operation, view, endpoint)

        @wraps(documented)
        def guarded(**path: Any) -> Any:
            exchange: Exchange = request.environ[ENVIRON_KEY]
            exchange.route = template
            require_scope(exchange, operation.scope)
            return documented(**path)

        guarded.scope = operation.scope  # type: ignore[attr-defined]
        self.route(operation.rule, methods=[operation.method], endpoint=view.__name__)(guarded)
        return view

    def _document(self, operation: Operation, view: View, endpoint: Any) -> Any:
        """The endpoint with smorest's parsing and documentation around it."""
        template = (self.url_prefix or "") + operation.rule
        takes_condition = operation.is_conditional and changes_existing(operation.method, template)
        documented = endpoint
        # schemas as instances: webargs would make one anew for every request, 0.1 ms each
        if operation.body is not None:
            body = uncopied(operation.body())
            if operation.returns is not None:
                self.ARGUMENTS_PARSER.tell_read_only(body, operation.returns())
            documented = self.arguments(
                body,
                location=operation.body_location,
                example=BODY_EXAMPLES.get(view.__name__),
                required=not issubclass(operation.body, OptionalBody),
            )(documented)
        query = None if operation.query is None else uncopied(operation.query())
        if query is not None:
            documented = self.arguments(query, location="query")(documented)
        status = operation.status
        if operation.returns is None and operation.content_type is None and status == 200:
            status = 204
        returns = operation.returns
        if isinstance(returns, type):
            returns = uncopied(returns())
        documented = self.response(status, returns, content_type=operation.content_type)(documented)
        documentation = operation_documentation(
            view,
            operation.method,
            template,
            operation.scope,
            takes_condition,
            is_read=operation.is_read,
        )
        if not operation.is_keyed:
            documentation["x-idempotent-by"] = "ids"
        if operation.unavailable is not None:
            documentation["responses"]["503"] = unavailable_response(operation.unavailable)
        documented = self.doc(**documentation)(documented)
        # where smorest looks for what its decorators noted
        notes: dict[str, Any] = documented._apidoc  # noqa: SLF001
        notes["also_as"] = operation.also_as
        shapes = older_shapes(operation.returns)
        notes["older_contents"] = older_contents(operation.returns, shapes) if shapes else {}
        is_list = query is not None and "after" in query.fields
        notes["answer_headers"] = success_headers(
            status,
            is_read=operation.is_read,
            is_list=is_list,
            is_versioned=shapes is not None,
            is_keyed=operation.is_keyed,
        )
        notes["request_headers"] = request_headers(
            operation.method,
            takes_condition,
            is_read=operation.is_read,
            is_keyed=operation.is_keyed,
        )
        # smorest's own 422; ours is a problem, documented with the others
        notes.get("arguments", {}).pop("responses", None)
        return documented


def uncopied(schema: Schema) -> Schema:
    """A schema that stays the one it is when what holds it is copied.

    smorest copies what it knows of an endpoint at each of its decorators, and for each application;
    the schemas in it, which nobody changes, were a quarter of all calls while the api loads.
    """
    schema.__deepcopy__ = lambda _: schema  # type: ignore[attr-defined]
    return schema


def refuse_body() -> None:
    """422 for any field in the body of an endpoint that takes none."""
    if not request.get_data(cache=True).strip():
        return
    sent = decode_json(request)
    if not isinstance(sent, dict):
        raise body_error(["Must be an object."])
    if sent:
        raise body_error({name: [UNKNOWN_FIELD] for name in sent})
