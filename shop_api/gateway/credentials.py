"""Who asks: the bearer credential, checked once and trusted for a moment.

Belongs here: reading the header and the short cache. Does not: how a credential is checked
(domains/accounts), what it allows (web), how often an address may have one looked up that is
not valid (rate_limit.py).
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import islice

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange, Stage
from shop_api.kernel.principal import Principal

# Called before Postgres is asked for a credential that anybody may have made up; raises when it is
# not to be.
BeforeLookup = Callable[[], None]
Authenticate = Callable[[str, BeforeLookup], Principal | None]
# The same, for the address a request comes from.
AdmitStranger = Callable[[Exchange], None]

# Credentials found valid, of some 500 bytes each, that a process remembers.
MAX_CACHED = 10_000
MAX_TOKEN_LENGTH = 4096
# With the scheme, and some blanks.
MAX_HEADER_LENGTH = MAX_TOKEN_LENGTH + 64


class Credentials:
    """Sets the exchange's principal, or its error: 401 for a credential that is not valid, once the
    address it came from is counted (rate_limit.py)."""

    def __init__(
        self,
        forward: Stage,
        authenticate: Authenticate,
        cache_seconds: float,
    ) -> None:
        self.forward = forward
        self.authenticate = authenticate
        self.cache_seconds = cache_seconds
        # told by the stage that counts addresses (rate_limit.py)
        self.admit_stranger: AdmitStranger = lambda _: None
        # by the header in the one spelling that is kept, those checked last at the end
        self._cache: dict[str, tuple[float, Principal]] = {}
        # held to change it
        self._lock = threading.Lock()

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
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            detail = "Send the key or access token as `Authorization: Bearer …`."
            exchange.refusal = _error(detail)
            return
        if len(header) <= MAX_HEADER_LENGTH:
            exchange.principal = self._find(exchange, token)
        if exchange.principal is None:
            detail = "The key or access token is unknown, expired or revoked."
            exchange.refusal = _error(detail)

    def _find(self, exchange: Exchange, token: str) -> Principal | None:
        """The principal of a token, by one entry however its header was spelt."""
        header = f"Bearer {token}"
        now = time.monotonic()
        kept = self._cache.get(header)
        if kept is not None and kept[0] > now:
            return kept[1]
        # one that was valid when it was last asked for is no stranger's, who may be many at the
        # address it comes from
        before_lookup = partial(self.admit_stranger, exchange) if kept is None else _admit
        principal = self.authenticate(token, before_lookup)
        with self._lock:
            self._cache.pop(header, None)
            if principal is not None:
                if len(self._cache) >= MAX_CACHED:
                    for oldest in list(islice(self._cache, MAX_CACHED // 2)):
                        del self._cache[oldest]
                self._cache[header] = (now + self.cache_seconds, principal)
        return principal


def _admit() -> None:
    """Whoever comes with it may have it looked up."""


def _error(detail: str) -> DomainError:
    return DomainError(ErrorKind.UNAUTHENTICATED, "invalid_credential", detail)
