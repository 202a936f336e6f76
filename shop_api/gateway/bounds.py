"""The bounds of path and query, and the version asked for.

Belongs here: refusing what no endpoint takes, before any work.
"""

import re

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange, Stage

MAX_URL_BYTES = 8192

_VENDOR_TYPE = re.compile(r"application/vnd\.shop\.v(\d+)\+json")
_ACCEPTED = ("application/json", "application/problem+json", "application/*", "*/*")


class Bounds:
    """414 for a URL too long, 400 for too many parameters or bytes that are no text, 406."""

    def __init__(self, forward: Stage, parameter_limit: int) -> None:
        self.forward = forward
        self.parameter_limit = parameter_limit

    def __call__(self, exchange: Exchange) -> Answer:
        environ = exchange.environ
        query = environ.get("QUERY_STRING", "")
        if len(query) + len(exchange.path) > MAX_URL_BYTES:
            raise DomainError(
                ErrorKind.URL_TOO_LONG,
                "url_too_long",
                f"The URL is longer than {MAX_URL_BYTES} bytes.",
            )
        if query and query.count("&") + 1 > self.parameter_limit:
            raise DomainError(
                ErrorKind.MALFORMED,
                "too_many_parameters",
                f"More than {self.parameter_limit} query parameters.",
            )
        if "%00" in query or "\x00" in exchange.path:
            raise DomainError(ErrorKind.MALFORMED, "invalid_url", "The URL holds a NUL character.")
        accept = environ.get("HTTP_ACCEPT")
        if accept and "vnd.shop." in accept:
            self._check_version(accept)
        return self.forward(exchange)

    @staticmethod
    def _check_version(accept: str) -> None:
        versions = _VENDOR_TYPE.findall(accept)
        if "1" not in versions and not any(kind in accept for kind in _ACCEPTED):
            raise DomainError(
                ErrorKind.NOT_ACCEPTABLE,
                "unknown_version",
                "This API speaks version 1: Accept: application/vnd.shop.v1+json.",
            )
