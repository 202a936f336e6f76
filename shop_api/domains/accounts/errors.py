"""What signing in refuses."""

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.metrics.definitions import server_busy_refusals

INVALID_LOGIN = DomainError(
    ErrorKind.UNAUTHENTICATED, "invalid_login", "E-mail address or password is wrong."
)
INVALID_REFRESH_TOKEN = DomainError(
    ErrorKind.UNAUTHENTICATED,
    "invalid_refresh_token",
    "The refresh token is unknown, expired, used or revoked. Sign in again.",
)
AMBIGUOUS_LOGIN = DomainError(
    ErrorKind.INVALID,
    "tenant_required",
    "This e-mail address has accounts at several tenants. Send the tenant's slug as `tenant`.",
)


def sign_in_busy() -> DomainError:
    """No place is left to check a password at; counted."""
    server_busy_refusals.labels("sign_in").inc()
    return DomainError(
        ErrorKind.UNAVAILABLE,
        "sign_in_busy",
        "Too many passwords are being checked. Try again shortly.",
        retry_after_seconds=1,
    )


def too_many_sign_ins(seconds: int) -> DomainError:
    """Too many passwords were wrong, for this address or from this place."""
    return DomainError(
        ErrorKind.RATE_LIMITED,
        "too_many_sign_ins",
        "Too many sign-ins have failed. Try again later.",
        retry_after_seconds=seconds,
    )
