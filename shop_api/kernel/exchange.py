"""One request and its answer, as the gateway hands them from stage to stage and on to Flask.

Belongs here: what is known of a request, what an answer is made of. Does not: deciding anything.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from shop_api.kernel.api_versions import NEWEST
from shop_api.kernel.cache_policy import CachePolicy
from shop_api.kernel.errors import DomainError
from shop_api.kernel.principal import Principal

ENVIRON_KEY = "shop_api.exchange"
# in the environ of a request that stands in a batch
IS_INNER = "shop_api.is_inner"

Header = tuple[str, str]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# what any other is called, from the gateway's door on
OTHER_METHOD = "other"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key, as digests: of the key in its place, and of what was asked."""

    key_digest: bytes
    request_digest: bytes
    # of the same request under secret keys that signed before
    other_digests: tuple[bytes, ...] = ()

    def of(self, tenant_id: UUID, actor: str) -> "IdempotencyKey":
        """The key in the place of an actor who is known only by what was sent."""
        place = self.key_digest + tenant_id.bytes + actor.encode()
        return replace(self, key_digest=sha256(place).digest())

    def is_of(self, request_digest: bytes) -> bool:
        """Whether a stored digest is of this request."""
        return request_digest == self.request_digest or request_digest in self.other_digests


@dataclass(frozen=True, slots=True)
class CacheGrant:
    """What an answer that follows the lake was made from, and until when it may be kept.

    `version` names the figures it was made from; where others are current it is not used.
    """

    version: str
    until: datetime
    # of an answer that another process made
    made_at: datetime | None = None


@dataclass(slots=True, eq=False)
class CacheSlot:
    """The place of a read's answer in the caches, as response_cache hands it to single_flight.

    `version` is what the answer would be made from, read before it is made; `epoch` the newest
    purge that means it. `find` looks there once more; `keep` puts an answer there, and says with
    which leave, None when it may not be kept.
    """

    policy: CachePolicy
    digest: str
    epoch: str
    version: str
    find: "Callable[[], Answer | None]"
    keep: "Callable[[Answer], CacheGrant | None]"
    # what may be given meanwhile, and until when: it is made anew before it is too old
    meanwhile: "Answer | None" = None
    meanwhile_until: datetime | None = None


@dataclass(slots=True, eq=False)
class Exchange:
    """A request on its way in."""

    environ: dict[str, Any]
    # one of METHODS or OTHER_METHOD
    method: str
    path: str
    started_at: datetime
    request_id: str = ""
    trace_id: str = ""
    principal: Principal | None = None
    # the version of the API that is asked for
    api_version: str = NEWEST
    idempotency: IdempotencyKey | None = None
    cache_grant: CacheGrant | None = None
    cache_slot: CacheSlot | None = None
    # the route's template, for logs and metrics; set when Flask has matched it
    route: str | None = None
    cache_status: str | None = None
    # the process itself asks again what a client asked before
    is_repeat: bool = False
    # of the body; what is refused by its length is not received
    received_bytes: int = 0
    # how long it took to answer, once it is
    seconds: float = 0.0
    # of a signed request: the Content-Digest that was signed, "" without one
    signed_digest: str | None = None
    # of a credential that is not valid, or of what no endpoint takes: raised once it is counted
    refusal: DomainError | None = None
    # what any answer to this request carries, refusals too
    answer_headers: tuple[Header, ...] = ()

    def header(self, name: str) -> str | None:
        """A request header by its WSGI name without HTTP_: `IF_MATCH`."""
        value: str | None = self.environ.get("HTTP_" + name)
        return value

    def client_address(self, trusted_proxies: int) -> str:
        """The network address the request comes from, "" when it is not known.

        Each of `trusted_proxies` adds at the end of X-Forwarded-For whom it was asked by; what
        stands before their entries anybody may have written.
        """
        address: str = self.environ.get("REMOTE_ADDR", "")
        forwarded = (self.header("X_FORWARDED_FOR") or "").split(",")
        if 0 < trusted_proxies <= len(forwarded):
            return forwarded[-trusted_proxies].strip() or address
        return address


@dataclass(slots=True, eq=False)
class Answer:
    """A response on its way out. `body` is bytes, or an iterable for a stream."""

    status: int
    headers: list[Header]
    body: bytes | Iterable[bytes]
    # this answer as it leaves, by content coding (None: as it is); kept with a cached answer
    forms: "dict[str | None, Answer]" = field(default_factory=dict)
    # its headers with those that every answer has, made once however often it is given
    common_headers: list[Header] | None = None

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        lower = name.lower()
        return next((value for key, value in self.headers if key.lower() == lower), None)


Stage = Callable[[Exchange], Answer]
