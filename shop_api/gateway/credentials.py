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
    """Sets the exchange's principal, or its error: 401 for a credential that is not valid, once the
    address it came from is counted (rate_limit.py)."""

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
                self._check(exchange, header)
        return self.forward(exchange)

    def _check(self, exchange: Exchange, header: str) -> None:
        now = time.monotonic()
        scheme, _, token = header.partition(" ")
        token = token.strip()
        principal = None
        if scheme.lower() != "bearer" or not token:
            detail = "Send the key or access token as `Authorization: Bearer …`."
            exchange.refusal = _error(detail)
            return
        if len(token) <= MAX_TOKEN_LENGTH:
            principal = self.authenticate(token)
        if principal is None:
            detail = "The key or access token is unknown, expired or revoked."
            exchange.refusal = _error(detail)
            return
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[header] = (now + self.cache_seconds, principal)
        exchange.principal = principal


def _error(detail: str) -> DomainError:
    return DomainError(ErrorKind.UNAUTHENTICATED, "invalid_credential", detail)
