"""How often whom may ask: address, tenant, user and endpoint class, in this order.

Belongs here: under which quotas a request falls, and the headers that tell of them. Does not: the
plans' figures (kernel/rate_limits.py) and counting (leases.py, db/sliding_windows.py).
"""

import time
from dataclasses import dataclass
from math import ceil

from shop_api.gateway.body_size import TRACK_PATH
from shop_api.gateway.idempotency import MUTATIONS
from shop_api.gateway.leases import Lease, Leases
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Answer, Exchange, Header, Stage
from shop_api.kernel.networks import network_of
from shop_api.kernel.principal import Principal
from shop_api.kernel.rate_limits import BURST_SECONDS, MINUTE_SECONDS, PlanLimits, Quota
from shop_api.metrics.definitions import rate_limit_refusals

# What probes and scrapers ask is not counted.
UNCOUNTED = ("/health/", "/metrics")
ANALYTICS = "/api/v1/analytics/"
GRAPHQL = "/graphql"

# Keys that a process looks up a second at most for addresses with no request left. To look up none
# would let a stranger shut out whoever comes from the same address (an office, a mobile network)
# with a valid key that this process has not seen; to look up all, two statements each, would let
# them keep Postgres busy without a limit. One number for all such addresses together: only who
# sends made-up keys from one, or sits beside somebody who does, meets it.
MAX_STRANGER_LOOKUPS = 50

# Addresses and actors whose leases a process keeps; past that it begins anew.
MAX_KEPT = 20_000

HELP = {
    "address": "Requests without a valid credential from this network address",
    "requests": "Requests of this tenant",
    "burst": "Requests of this tenant within a second",
    "user": "Requests of this user or API key",
    "analytics": "Analytics requests of this tenant",
    "graphql": "GraphQL requests of this tenant",
    "mutations": "Mutations of this tenant",
}


@dataclass(slots=True)
class Counted:
    """The quotas a kind of request falls under, and how a client reads of them."""

    leases: list[Lease]
    limits: PlanLimits | None
    policy: Header
    # as they were told last, and in which second
    headers: tuple[Header, ...] = ()
    second: int = 0

    def tell(self, second: int) -> tuple[Header, ...]:
        """The headers of now: of the quotas the one with the least left, and when its window
        ends."""
        tightest, least = None, 0
        for lease in self.leases:
            left = lease.free + lease.remaining
            if tightest is None or left < least:
                tightest, least = lease.quota, left
        assert tightest is not None, "every request falls under a quota"
        window = tightest.window_seconds
        state = f'"{tightest.name}";r={least};t={window - second % window}'
        self.headers, self.second = (self.policy, ("RateLimit", state)), second
        return self.headers


class RateLimit:
    """429 for whoever asks more often than the plan has it; tells all others how much is left."""

    def __init__(
        self,
        forward: Stage,
        leases: Leases,
        address_limit: int,
        user_ratio: float,
        trusted_proxies: int,
    ) -> None:
        self.forward = forward
        self.leases = leases
        self.address_quota = Quota("address", address_limit, MINUTE_SECONDS)
        self.user_ratio = user_ratio
        self.trusted_proxies = trusted_proxies
        self._counted: dict[tuple[str, str], Counted] = {}
        # shared by a tenant's actors, by kinds of request, by addresses of one network
        self._leases: dict[tuple[str, Quota], Lease] = {}
        # of keys from addresses with no request left, in the second it was last asked for
        self._lookups = (0, 0)

    def __call__(self, exchange: Exchange) -> Answer:
        principal = exchange.principal
        # what is refused is no probe's: it may have been looked up
        is_probe = exchange.refusal is None and exchange.path.startswith(UNCOUNTED)
        if is_probe or (principal is not None and principal.is_platform):
            return self._admit(exchange)
        counted = self._find(exchange, principal)
        now = time.time()
        second = int(now)
        if self.leases.take_here(counted.leases, now):
            # as they were told last: what is left as it was when Redis was asked, or a second ago
            told = counted.headers if second == counted.second else counted.tell(second)
            exchange.answer_headers += told
            return self._admit(exchange)
        used_up = self.leases.take(counted.leases, now)
        exchange.answer_headers += counted.tell(second)
        if used_up is not None:
            raise _refusal(used_up)
        return self._admit(exchange)

    def admit_stranger(self, exchange: Exchange) -> None:
        """Have a key looked up that this process has not found valid before; raise `rate_limited`
        when its address is known to have no request left, and enough were looked up for such."""
        lease = self._leases.get(self._place_of(exchange.client_address(self.trusted_proxies)))
        now = time.time()
        if lease is None or not lease.is_empty(now):
            return
        second, (counted_in, count) = int(now), self._lookups
        # several threads may write the same number: a few more, and no lock
        self._lookups = (second, count + 1 if counted_in == second else 1)
        if self._lookups[1] > MAX_STRANGER_LOOKUPS:
            exchange.answer_headers += self._find(exchange, None).tell(second)
            raise _refusal(lease)

    def _admit(self, exchange: Exchange) -> Answer:
        if exchange.refusal is not None:
            raise exchange.refusal
        return self.forward(exchange)

    def _find(self, exchange: Exchange, principal: Principal | None) -> Counted:
        """The quotas of a request; the same objects for the same kind of request."""
        if principal is None:
            key = (exchange.client_address(self.trusted_proxies), "")
        else:
            key = (principal.actor, endpoint_class(exchange.method, exchange.path))
        counted = self._counted.get(key)
        if counted is None or (principal is not None and counted.limits is not principal.limits):
            if len(self._counted) >= MAX_KEPT:
                self._counted.clear()
                self._leases.clear()
            if principal is None:
                counted = _counted([self._lease(*self._place_of(key[0]))], None)
            else:
                counted = self._of_principal(principal, key[1])
            self._counted[key] = counted
        return counted

    def _of_principal(self, principal: Principal, kind: str) -> Counted:
        limits = principal.limits
        tenant = f"tenant:{principal.tenant_id}"
        leases = [
            self._lease(tenant, Quota("requests", limits.requests, MINUTE_SECONDS)),
            self._lease(tenant, Quota("burst", limits.burst, BURST_SECONDS)),
        ]
        if self.user_ratio < 1:
            quota = Quota("user", ceil(limits.requests * self.user_ratio), MINUTE_SECONDS)
            leases.append(self._lease(f"{tenant}:{principal.actor}", quota))
        if kind:
            quota = Quota(kind, getattr(limits, kind), MINUTE_SECONDS)
            leases.append(self._lease(tenant, quota))
        return _counted(leases, limits)

    def _place_of(self, address: str) -> tuple[str, Quota]:
        """Where the lease of an address is."""
        return f"address:{network_of(address) or 'unknown'}", self.address_quota

    def _lease(self, scope: str, quota: Quota) -> Lease:
        return self._leases.setdefault((scope, quota), Lease(scope, quota))


def endpoint_class(method: str, path: str) -> str:
    """Which quota of its own a request has beside the tenant's: a field of PlanLimits, or none."""
    if path.startswith(ANALYTICS):
        return "analytics"
    if path == GRAPHQL:
        return "graphql"
    # what visitors do changes nothing of the tenant's, and comes as often as they do
    return "mutations" if method in MUTATIONS and path != TRACK_PATH else ""


def _counted(leases: list[Lease], limits: PlanLimits | None) -> Counted:
    policies = [
        f'"{lease.quota.name}";q={lease.quota.limit};w={lease.quota.window_seconds}'
        for lease in leases
    ]
    return Counted(leases, limits, ("RateLimit-Policy", ", ".join(policies)))


def _refusal(lease: Lease) -> DomainError:
    """429 for a quota that is used up; counted."""
    quota = lease.quota
    rate_limit_refusals.labels(quota.name).inc()
    return DomainError(
        ErrorKind.RATE_LIMITED,
        "rate_limited",
        f"{HELP[quota.name]}: at most {quota.limit} in {quota.window_seconds} s"
        f" (policy {quota.name}). Wait as Retry-After says.",
        retry_after_seconds=max(1, ceil(lease.wait_seconds)),
    )
