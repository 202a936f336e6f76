"""Who asks: the bearer credential, checked once and trusted for a moment.

Belongs here: reading the header and the short cache. Does not: how a credential is checked
(domains/accounts), what it allows (web).
"""

import time
from collections.abc import Callable

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange, Stage
from shop_api.kernel.principal import Principal

Authenticate = Callable[[str], Principal | None]

MAX_CACHED = 10_000
MAX_TOKEN_LENGTH = 4096


class Credentials:
    """Sets the exchange's principal; 401 for a credential that is not valid."""

    def __init__(self, forward: Stage, authenticate: Authenticate, cache_seconds: float) -> None:
        self.forward = forward
        self.authenticate = authenticate
        self.cache_seconds = cache_seconds
        self._cache: dict[str, tuple[float, Principal]] = {}

    def __call__(self, exchange: Exchange) -> Answer:
        header = exchange.environ.get("HTTP_AUTHORIZATION")
        if header is not None:
            kept = self._cache.get(header)
            if kept is not None and kept[0] > time.monotonic():
                exchange.principal = kept[1]
            else:
                exchange.principal = self._check(header)
        return self.forward(exchange)

    def _check(self, header: str) -> Principal:
        now = time.monotonic()
        scheme, _, token = header.partition(" ")
        token = token.strip()
        principal = None
        if scheme.lower() != "bearer" or not token:
            detail = "Send the API key or access token as `Authorization: Bearer …`."
            raise DomainError(ErrorKind.UNAUTHENTICATED, "invalid_credential", detail)
        if len(token) <= MAX_TOKEN_LENGTH:
            principal = self.authenticate(token)
        if principal is None:
            raise DomainError(
                ErrorKind.UNAUTHENTICATED,
                "invalid_credential",
                "The API key or access token is unknown, expired or revoked.",
            )
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[header] = (now + self.cache_seconds, principal)
        return principal
