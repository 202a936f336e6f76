"""What a credential must be allowed.

Belongs here: the check every endpoint begins with. Does not: which scope an endpoint needs, which
scopes there are (kernel/principal.py).
"""

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import Exchange
from shop_api.kernel.principal import ANY, METRICS, OPERATOR_KEYS, PLATFORM, PUBLIC

# scopes that are no names a key can have
NEEDS = {
    PLATFORM: "the platform key",
    METRICS: "the metrics key",
    ANY: "any credential of a tenant",
}


def require_scope(exchange: Exchange, scope: str) -> None:
    """401 without a credential, 403 without the scope."""
    if scope == PUBLIC:
        return
    principal = exchange.principal
    if principal is None:
        opener = OPERATOR_KEYS.get(scope, "an API key or an access token")
        raise DomainError(
            ErrorKind.UNAUTHENTICATED, "unauthenticated", f"Send {opener}: Authorization: Bearer …"
        )
    if scope == PLATFORM:
        # the metrics key opens the metrics alone
        allowed = principal.is_platform and not principal.scopes
    elif scope == METRICS:
        allowed = METRICS in principal.scopes
    elif scope == ANY:
        allowed = not principal.is_platform
    else:
        allowed = scope in principal.scopes and not principal.is_platform
    if not allowed:
        needs = NEEDS.get(scope, f"the scope {scope}, which this credential lacks")
        raise DomainError(ErrorKind.FORBIDDEN, "insufficient_scope", f"This needs {needs}.")
