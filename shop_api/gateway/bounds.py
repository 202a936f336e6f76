"""The bounds of path and query, and the version asked for.

Belongs here: refusing what no endpoint takes, before any work.
"""

import re
from functools import lru_cache
from urllib.parse import quote

from shop_api.gateway.refusal import MAX_PATH_LENGTH, PATH_SAFE
from shop_api.kernel.api_versions import BY_NAME, DEPRECATIONS, MEDIA_TYPE, NEWEST, OLDEST
from shop_api.kernel.deprecation import PAGE
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange, Header, Stage

MAX_URL_BYTES = 8192

_ANY_JSON = frozenset({"application/json", "application/problem+json", "application/*", "*/*"})
_VENDOR = "application/vnd.shop"
_PARAMETERS = frozenset({"version", "q", "charset"})
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Bounds:
    """414 for a URL too long, 400 for too many parameters or bytes that are no text, 406: raised by
    rate_limit.py, once the request is counted."""

    def __init__(self, forward: Stage, parameter_limit: int) -> None:
        self.forward = forward
        self.parameter_limit = parameter_limit

    def __call__(self, exchange: Exchange) -> Answer:
        environ = exchange.environ
        query = environ.get("QUERY_STRING", "")
        error = None
        if len(query) + len(exchange.path) > MAX_URL_BYTES:
            error = DomainError(
                ErrorKind.URL_TOO_LONG,
                "url_too_long",
                f"The URL is longer than {MAX_URL_BYTES} bytes.",
            )
        # each takes a byte at least
        elif len(query) >= self.parameter_limit and query.count("&") + 1 > self.parameter_limit:
            error = DomainError(
                ErrorKind.MALFORMED,
                "too_many_parameters",
                f"More than {self.parameter_limit} query parameters.",
            )
        elif "%00" in query or "\x00" in exchange.path:
            error = DomainError(
                ErrorKind.MALFORMED, "invalid_url", "The URL holds a NUL character."
            )
        accept = environ.get("HTTP_ACCEPT")
        # whoever names a version wants no other, however it is spelt
        if accept and ("vnd.shop" in (lower := accept.lower()) or "version=" in lower):
            error = self._choose_version(exchange, accept) or error
        if error is not None and exchange.refusal is None:
            exchange.refusal = error
        return self.forward(exchange)

    @staticmethod
    def _choose_version(exchange: Exchange, accept: str) -> DomainError | None:
        try:
            version = version_of(accept)
        except DomainError as error:
            return error
        if version != NEWEST:
            exchange.api_version = version
            exchange.answer_headers += deprecation_headers(exchange)
        return None


@lru_cache(maxsize=256)
def version_of(accept: str) -> str:
    """The version an Accept that names the vendor's type wants most; 406 when there is none of it.

    Of ranges wanted as much the one that says most counts: a version, then the vendor's type, then
    any JSON, which both are the newest.
    """
    wanted: list[tuple[float, int, str]] = []
    unknown: str | None = None
    for media_range in accept.split(","):
        kind, parameters = _parsed(media_range)
        version = parameters.get("version")
        # a version that would pass unseen
        is_misspelt = not parameters.keys() <= _PARAMETERS
        if kind in _ANY_JSON and version is None:
            wanted.append((_quality(parameters), 0, NEWEST))
        elif kind == MEDIA_TYPE and version is None and not is_misspelt:
            wanted.append((_quality(parameters), 1, NEWEST))
        elif kind == MEDIA_TYPE and version in BY_NAME:
            wanted.append((_quality(parameters), 2, version))
        elif kind.startswith("version="):
            raise _unknown_version(None)
        elif kind.startswith(_VENDOR) or version is not None:
            unknown = version if kind == MEDIA_TYPE else None
    quality, _, name = max(wanted, default=(0.0, 0, ""))
    if quality <= 0:
        raise _unknown_version(unknown)
    return name


def deprecation_headers(exchange: Exchange) -> tuple[Header, ...]:
    """What tells a client of an older version that it is one; the same URL has the newest."""
    query = exchange.environ.get("QUERY_STRING", "")
    target = exchange.path + ("?" + query if query else "")
    # a proxy takes so much of headers; empty, a reference is to what was asked for
    is_brief = len(target) <= MAX_PATH_LENGTH
    uri = quote(target.encode("latin-1"), safe=PATH_SAFE + "?%") if is_brief else ""
    successor = f'<{uri}>; type="{BY_NAME[NEWEST].media_type}"'
    return DEPRECATIONS[exchange.api_version].headers(successor)


def _parsed(media_range: str) -> tuple[str, dict[str, str]]:
    kind, *rest = media_range.split(";")
    parameters = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return kind.strip().lower(), parameters


def _quality(parameters: dict[str, str]) -> float:
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0


def _unknown_version(asked: str | None) -> DomainError:
    if asked is None:
        detail = f"This API speaks version 1: Accept: {MEDIA_TYPE}; version={NEWEST}."
    else:
        name = f"version {asked}" if _DAY.fullmatch(asked) else "such version"
        known = ", ".join(BY_NAME)
        if _DAY.fullmatch(asked) and asked < OLDEST:
            detail = f"There is no {name} any more. The oldest is {OLDEST}; there are: {known}."
        else:
            detail = f"There is no {name}. There are: {known}."
        detail += f" Each is told at {PAGE}."
    return DomainError(ErrorKind.NOT_ACCEPTABLE, "unknown_version", detail)
