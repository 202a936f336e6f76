"""Who asks: the tenant, the actor and what they may do.

Belongs here: the value every layer passes on, and the list of scopes. Does not: how a credential is
checked (domains/accounts).
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from shop_api.kernel.rate_limits import PlanLimits

# What may be asked for, and what it opens. Every endpoint names one; a test holds that.
SCOPES: dict[str, str] = {
    "tenant:read": "Read the tenant's own record",
    "tenant:write": "Change the tenant's own record",
    "users:read": "Read the people of the tenant",
    "users:write": "Add and change the people of the tenant",
    "keys:read": "Read API keys (never their secret)",
    "keys:write": "Create and revoke API keys",
    "audit:read": "Read the audit log",
    "catalog:read": "Read products, variants and categories",
    "catalog:write": "Change products, variants and categories",
    "inventory:read": "Read locations and stock",
    "inventory:write": "Change locations and stock",
    "customers:read": "Read customers, and see their e-mail addresses in events",
    "customers:write": "Change customers",
    "customers:erase": "Erase customers for good",
    "orders:read": "Read orders",
    "orders:write": "Place, pay, fulfil, refund and cancel orders",
    "pricing:read": "Read discounts, tax rates and shipping rates",
    "pricing:write": "Change discounts, tax rates and shipping rates",
    "analytics:read": "Read dashboards and metrics",
    "reports:read": "Read and download reports",
    "imports:write": "Import files",
    "jobs:read": "Read jobs and their errors",
    "events:read": "Listen to the tenant's events",
    "notifications:read": "Read what the platform tells the tenant",
    "notifications:write": "Mark notifications as read",
    "webhooks:read": "Read webhook endpoints and deliveries (never a secret)",
    "webhooks:write": "Have events sent to webhook endpoints, and sent again",
    "traffic:write": "Send what visitors do in a storefront",
}

# Open to anyone, with or without a credential.
PUBLIC = "public"
# Any valid credential of a tenant: what it opens is asked of each part.
ANY = "any"
# Only the platform's own key.
PLATFORM = "platform"
# Only the key of whoever collects metrics.
METRICS = "metrics"
# What opens those two, and where who runs the product finds it.
OPERATOR_KEYS = {
    PLATFORM: "the platform key (SHOP_PLATFORM_KEY;"
    " unset: the file platform_key of the data folder)",
    METRICS: "the metrics key (SHOP_METRICS_KEY; unset: the file metrics_key of the data folder)",
}

_READ = frozenset(scope for scope in SCOPES if scope.endswith(":read"))
_STAFF = frozenset(
    {
        "tenant:read",
        "catalog:read",
        "catalog:write",
        "inventory:read",
        "inventory:write",
        "customers:read",
        "customers:write",
        "orders:read",
        "orders:write",
        "pricing:read",
        "imports:write",
        "jobs:read",
        "events:read",
        "notifications:read",
        "notifications:write",
    }
)

ROLE_SCOPES: dict[str, frozenset[str]] = {
    "owner": frozenset(SCOPES),
    "admin": frozenset(SCOPES) - {"tenant:write"},
    "staff": _STAFF,
    "analyst": frozenset(
        {"tenant:read", "catalog:read", "analytics:read", "reports:read", "events:read"}
        | {"notifications:read", "notifications:write"}
    ),
    "viewer": _READ - {"users:read", "keys:read", "audit:read", "customers:read", "webhooks:read"},
}

# What a publishable key may do at most: read the public catalogue, tell what visitors do.
PUBLISHABLE_SCOPES = frozenset({"catalog:read", "traffic:write"})


@lru_cache(maxsize=1024)
def shared_set(names: tuple[str, ...]) -> frozenset[str]:
    """Scopes or origins as one set for all principals that have the same: a process remembers
    thousands of them, and a tenant's origins may take 6 KB."""
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Proof:
    """What must come with an API key besides its text."""

    key_id: UUID
    # SHA-256 of the client certificate the key is bound to
    certificate_fingerprint: bytes | None
    # Ed25519, of the signatures the key may or must have
    public_key: bytes | None
    requires_signature: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """A checked credential: its tenant, its actor and its scopes."""

    tenant_id: UUID
    # "user:<id>" or "api_key:<id>"
    actor: str
    scopes: frozenset[str]
    limits: PlanLimits
    # the platform's own key, or that of its metrics: no tenant of its own
    is_platform: bool = False
    # a key that may stand in a page's script: it sees what is public of the catalogue
    is_publishable: bool = False
    # browser origins the tenant allows
    origins: frozenset[str] = frozenset()
    # when a user's access token was made; a key has none
    signed_in_at: datetime | None = None
    # the sign-in it was made in: its family of refresh tokens
    sign_in_id: UUID | None = None
    # of a key that ends; a user's access token is renewed
    expires_at: datetime | None = None
    # of a key that is not enough by itself
    proof: Proof | None = None
    # the tenant's, in which its figures are given
    currency: str = ""
    timezone: str = ""
    # names all who are answered the same: a tenant's credentials of one kind with the same scopes;
    # the same in every process
    audience: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Name the audience once: a text's hash is kept, that of what it stands for is not."""
        decides = "\n".join(
            [
                str(self.tenant_id),
                " ".join(sorted(self.scopes)),
                str(self.is_publishable),
                self.currency,
                self.timezone,
            ]
        )
        name = blake2b(decides.encode(), digest_size=16).hexdigest()
        object.__setattr__(self, "audience", name)
