"""The API reference: the documents and the pages that show them, all from this machine.

Belongs here: `/api/docs`, `/api/docs/redoc`, `/api/v1/openapi.json`, `/api/v1/asyncapi.json`, what
leads to them, and their assets, which come from installed packages. Does not: what the documents
say (documentation.py and the endpoints, realtime/asyncapi.py).
"""

import mimetypes
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec
from flask import Blueprint, Response, current_app, request

from shop_api.kernel.errors import not_found
from shop_api.kernel.etag import make_etag
from shop_api.kernel.exchange import ENVIRON_KEY
from shop_api.kernel.principal import PUBLIC
from shop_api.web.version_page import version_page

SPEC_EXTENSION = "shop_api.openapi"
EVENTS_EXTENSION = "shop_api.asyncapi"

reference = Blueprint("reference", __name__)

# Swagger UI and Redoc set styles from script, and Redoc searches in a worker made from a blob.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self' data:; worker-src 'self' blob:; child-src blob:;"
    " frame-ancestors 'none'"
)

ASSET_ROOTS = {
    "pages": ("shop_api.web", "pages"),
    "swagger": ("flask_openapi3_swagger", "templates/swagger"),
    "redoc": ("flask_openapi3_redoc", "templates/redoc"),
}

# Redoc's own mark, which it would ask another host for; without it the mark is left out.
FOREIGN_IMAGE = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
NO_IMAGE = b"data:,"

MAX_NAME_LENGTH = 100

View = Callable[..., Response]


def public(rule: str) -> Callable[[View], View]:
    """GET `rule`, open to anyone, not part of the OpenAPI document."""

    def decorate(view: View) -> View:
        def routed(**path: Any) -> Response:
            request.environ[ENVIRON_KEY].route = rule
            return view(**path)

        routed.scope = PUBLIC  # type: ignore[attr-defined]
        reference.add_url_rule(rule, view.__name__, routed, methods=["GET"])
        return view

    return decorate


@public("/api/v1/openapi.json")
def openapi_document() -> Response:
    """The OpenAPI 3.1 document."""
    spec = current_app.extensions[SPEC_EXTENSION]
    return _answer(msgspec.json.encode(spec.to_dict()), "application/json")


@public("/api/v1/asyncapi.json")
def asyncapi_document() -> Response:
    """The AsyncAPI 3 document of the events."""
    document = current_app.extensions[EVENTS_EXTENSION]
    return _answer(msgspec.json.encode(document), "application/json")


@public("/")
def root() -> Response:
    """Who knows only the address is led to the reference."""
    return _to_reference()


@public("/api")
def api_root() -> Response:
    """As `/`."""
    return _to_reference()


@public("/api/v1")
def version_root() -> Response:
    """As `/`."""
    return _to_reference()


@public("/api/docs")
def swagger_page() -> Response:
    """The reference with a form to try every operation."""
    return _answer(_asset("pages", "swagger.html"), "text/html; charset=utf-8")


@public("/api/docs/redoc")
def redoc_page() -> Response:
    """The reference to read."""
    return _answer(_asset("pages", "redoc.html"), "text/html; charset=utf-8")


@public("/api/docs/versions")
def versions_page() -> Response:
    """What each version of the API changed."""
    document = current_app.extensions[SPEC_EXTENSION].to_dict()
    return _answer(version_page(document), "text/html; charset=utf-8")


@public("/api/docs/assets/<root>/<path:name>")
def reference_asset(root: str, name: str) -> Response:
    """A script or style of the pages."""
    kind = mimetypes.guess_type(name)[0]
    if root not in ASSET_ROOTS or ".." in name or kind is None or len(name) > MAX_NAME_LENGTH:
        raise not_found("asset")
    response = _answer(_asset(root, name), kind)
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


@lru_cache(maxsize=64)
def _asset(root: str, name: str) -> bytes:
    package, folder = ASSET_ROOTS[root]
    path = files(package).joinpath(folder).joinpath(name)
    if not path.is_file():
        raise not_found("asset")
    return path.read_bytes().replace(FOREIGN_IMAGE, NO_IMAGE)


def _to_reference() -> Response:
    return Response(status=302, headers={"Location": "/api/docs"})


def _answer(body: bytes, content_type: str) -> Response:
    response = Response(body, content_type=content_type)
    response.headers["ETag"] = make_etag(body)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
