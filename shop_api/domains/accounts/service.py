"""Signing in, tokens and keys; knows no HTTP."""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import BoundedSemaphore
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey
from sqlalchemy import Engine

from shop_api.db.attempts import Attempts
from shop_api.db.tenancy import PLATFORM_TENANT, TenantSession
from shop_api.db.types import AnyRow
from shop_api.domains.accounts import errors, repository
from shop_api.domains.accounts.repository import AccountRepository
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError
from shop_api.kernel.ids import new_id
from shop_api.kernel.networks import network_of
from shop_api.kernel.principal import (
    METRICS,
    PUBLISHABLE_SCOPES,
    ROLE_SCOPES,
    Principal,
    Proof,
    shared_set,
)
from shop_api.kernel.rate_limits import PLAN_LIMITS, limits_of
from shop_api.kernel.secret_keys import SecretKeys, key_id
from shop_api.kernel.tokens import hash_token, make_token
from shop_api.spine.unit_of_work import UnitOfWork

# A key's last use is written at most this often, so that a busy key is no hot row.
LAST_USED_RESOLUTION = timedelta(seconds=60)

# Accounts of one address whose password a login without a tenant tries: each costs an Argon2 run.
MAX_CANDIDATES = 3

# Each run takes 64 MiB and some 50 ms of four threads: eight at once would take a worker from 125
# to 573 MiB, and anybody may ask for one.
PARALLEL_RUNS = 2
RUN_WAIT_SECONDS = 5.0

# The platform's own keys are not counted at all.
UNCOUNTED = PLAN_LIMITS["enterprise"]

_hasher = PasswordHasher()
_runs = BoundedSemaphore(PARALLEL_RUNS)


def hash_of_nobody(hasher: PasswordHasher) -> str:
    """A hash that is of no password, and takes as long to find that out as any.

    Put together without a run, which every process would make at its start.
    """
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


# Verified when nobody has the address, so that both cases take the same time.
_NOBODY = hash_of_nobody(_hasher)


@dataclass(frozen=True)
class Tokens:
    """What a sign-in or a refresh gives."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True)
class TokenPolicy:
    """How access and refresh tokens are made."""

    secret_keys: SecretKeys
    access_token_seconds: int
    refresh_token_seconds: int


@contextmanager
def sign_in_place(places: BoundedSemaphore, wait_seconds: float = 0.0) -> Iterator[None]:
    """One of the places where passwords are checked; 503 when none comes free in that time.

    Who waits for a password to be checked holds a thread. Anybody may ask for that, and must not
    take the threads that serve customers.
    """
    if not places.acquire(timeout=wait_seconds):
        raise errors.sign_in_busy()
    try:
        yield
    finally:
        places.release()


def hash_password(password: str) -> str:
    """Argon2id, with the library's parameters."""
    with sign_in_place(_runs, RUN_WAIT_SECONDS):
        return _hasher.hash(password)


class Authenticator:
    """Checks bearer credentials: API keys, access tokens and the platform's own keys."""

    def __init__(
        self, engine: Engine, policy: TokenPolicy, platform_key: str, metrics_key: str | None
    ) -> None:
        self.engine = engine
        self.policy = policy
        self.platform_key = platform_key
        self.metrics_key = metrics_key

    def __call__(self, token: str, before_lookup: Callable[[], None]) -> Principal | None:
        """The principal of a credential; None when it is not valid.

        `before_lookup` is called before Postgres is asked for what anybody may have made up: a key.
        The platform's keys are known here, and an access token is signed.
        """
        if hmac.compare_digest(token.encode(), self.platform_key.encode()):
            return Principal(PLATFORM_TENANT, "platform:key", frozenset(), UNCOUNTED, True)
        if self.metrics_key and hmac.compare_digest(token.encode(), self.metrics_key.encode()):
            scopes = frozenset({METRICS})
            return Principal(PLATFORM_TENANT, "platform:metrics", scopes, UNCOUNTED, True)
        if token.startswith(("sk_", "pk_")):
            before_lookup()
            return self._check_key(token)
        return self._check_access_token(token)

    def _check_key(self, token: str) -> Principal | None:
        now = utc_now()
        with self.engine.begin() as connection:
            key = repository.find_key_by_hash(connection, hash_token(token))
            if key is None or key.revoked_at or (key.expires_at and key.expires_at <= now):
                return None
            tenant = repository.find_tenant(connection, key.tenant_id)
            if tenant is None:
                return None
            if key.last_used_at is None or now - key.last_used_at > LAST_USED_RESOLUTION:
                session = TenantSession(connection, key.tenant_id)
                AccountRepository(session).touch_key(key.id, now)
        scopes = shared_set(tuple(key.scopes))
        if key.kind == "publishable":
            scopes &= PUBLISHABLE_SCOPES
        return Principal(
            key.tenant_id,
            f"api_key:{key.id}",
            scopes,
            limits_of(tenant.plan, tenant.rate_limits),
            origins=shared_set(tuple(tenant.cors_origins)),
            is_publishable=key.kind == "publishable",
            expires_at=key.expires_at,
            proof=_proof_of(key),
            currency=tenant.currency,
            timezone=tenant.timezone,
        )

    def _check_access_token(self, token: str) -> Principal | None:
        claims = read_access_token(token, self.policy)
        if claims is None:
            return None
        tenant_id, user_id, sign_in_id, issued_at = claims
        with self.engine.begin() as connection:
            tenant = repository.find_tenant(connection, tenant_id)
            accounts = AccountRepository(TenantSession(connection, tenant_id))
            user = accounts.find_user(user_id, sign_in_id)
        if tenant is None or user is None or user.disabled_at is not None or user.has_ended:
            return None
        if user.signed_out_at is not None and issued_at < user.signed_out_at:
            return None
        return Principal(
            tenant_id,
            f"user:{user_id}",
            ROLE_SCOPES[user.role],
            limits_of(tenant.plan, tenant.rate_limits),
            origins=shared_set(tuple(tenant.cors_origins)),
            signed_in_at=issued_at,
            sign_in_id=sign_in_id,
            currency=tenant.currency,
            timezone=tenant.timezone,
        )


def _proof_of(key: AnyRow) -> Proof | None:
    """What must come with a key, None when it is enough by itself."""
    if key.public_key is None and key.certificate_fingerprint is None:
        return None
    return Proof(key.id, key.certificate_fingerprint, key.public_key, key.requires_signature)


def make_access_token(
    tenant_id: UUID, user_id: UUID, sign_in_id: UUID, policy: TokenPolicy, now: datetime
) -> str:
    """A signed access token (JWT, HS256) of a user, who made it in a sign-in."""
    claims = {
        "iss": "shop-api",
        "sub": str(user_id),
        "tenant_id": str(tenant_id),
        "sid": str(sign_in_id),
        "jti": secrets.token_hex(8),
        # with its fraction: a token of the second in which its user was signed out is refused
        "iat": now.timestamp(),
        "exp": int(now.timestamp()) + policy.access_token_seconds,
    }
    key = _jwt_keys(policy).keys[0]
    return jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": key.kid}, claims, key)


def read_access_token(token: str, policy: TokenPolicy) -> tuple[UUID, UUID, UUID, datetime] | None:
    """(tenant, user and sign-in id, when it was made) of a valid access token, else None."""
    try:
        decoded = jwt.decode(token, _jwt_keys(policy), algorithms=["HS256"])
        jwt.JWTClaimsRegistry(
            # whole seconds, and none may be younger than they say
            now=ceil(utc_now().timestamp()),
            iss={"essential": True, "value": "shop-api"},
            exp={"essential": True},
        ).validate(decoded.claims)
        claims = decoded.claims
        issued_at = datetime.fromtimestamp(claims["iat"], UTC)
        tenant_id, user_id, sign_in_id = (
            UUID(str(claims[name])) for name in ("tenant_id", "sub", "sid")
        )
        return tenant_id, user_id, sign_in_id, issued_at
    except (JoseError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return None


def _jwt_keys(policy: TokenPolicy) -> KeySet:
    """The keys of access tokens, each with its `kid`; the first signs."""
    keys = policy.secret_keys.derived(b"access-token")
    return KeySet([OctKey.import_key(key, {"kid": key_id(key)}) for key in keys])


# How long a network counts as one from which somebody signs in.
FAMILIAR_SECONDS = 2_592_000


@dataclass(frozen=True)
class SignInThrottle:
    """How many sign-ins may fail, per e-mail address and per network address.

    An attempt is counted before the password is checked, so that many at once are not all let in,
    and taken back when it succeeds. An address nobody has counts as any other. Somebody who signs
    in from where they did before is counted apart: others who guess shut nobody out. While Redis is
    away nothing is counted.
    """

    attempts: Attempts
    account_limit: int
    address_limit: int

    @contextmanager
    def attempt(self, email: str, address: str) -> Iterator[None]:
        """Count a sign-in that fails with `invalid_login`; raises `too_many_sign_ins`."""
        attempts, network = self.attempts, network_of(address)
        there = f"{email}\0{network}"
        familiar = attempts.key("familiar", there)
        is_familiar = bool(address) and attempts.is_remembered(familiar)
        limits = {attempts.key("account", there if is_familiar else email): self.account_limit}
        if address:
            limits[attempts.key("address", network)] = self.address_limit
        wait = attempts.count(limits)
        if wait:
            raise errors.too_many_sign_ins(wait)
        try:
            yield
        except DomainError as error:
            if error.code != errors.INVALID_LOGIN.code:
                attempts.take_back(*limits)
            raise
        attempts.take_back(*limits)
        if address:
            attempts.remember(familiar, FAMILIAR_SECONDS)


def check_login(engine: Engine, email: str, password: str, tenant_slug: str | None) -> AnyRow:
    """The user who signs in; raises `invalid_login`, or `tenant_required` when several match."""
    with engine.begin() as connection:
        candidates = repository.list_logins(connection, email, tenant_slug, MAX_CANDIDATES + 1)
    tried = candidates[:MAX_CANDIDATES]
    matching = [user for user in tried if _verify(user.password_hash, password)]
    matching = [user for user in matching if user.disabled_at is None]
    if not matching:
        # as long as it takes with the most accounts there may be: its time tells nothing
        runs = MAX_CANDIDATES if tenant_slug is None else 1
        for _ in range(runs - len(tried)):
            _verify(_NOBODY, password)
        raise errors.INVALID_LOGIN
    if len(matching) > 1 or len(candidates) > MAX_CANDIDATES:
        raise errors.AMBIGUOUS_LOGIN
    return matching[0]


def _verify(password_hash: str, password: str) -> bool:
    try:
        with sign_in_place(_runs, RUN_WAIT_SECONDS):
            return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False


def start_session(work: UnitOfWork, checked: AnyRow, policy: TokenPolicy) -> Tokens:
    """Tokens of a new sign-in of the user `check_login` found: a new family of refresh tokens.

    Raises `invalid_login` when the user has been disabled or given another password meanwhile.
    """
    user = work.repository(AccountRepository).lock_user(checked.id)
    if user is None or user.disabled_at or user.password_hash != checked.password_hash:
        raise errors.INVALID_LOGIN
    return open_session(work, checked.id, policy)


def open_session(work: UnitOfWork, user_id: UUID, policy: TokenPolicy) -> Tokens:
    """Tokens of a new sign-in of a user whose row this transaction holds."""
    work.audit("user_signed_in", "user", user_id, None, {})
    return _issue(work, user_id, new_id(work.now), policy)


def refresh_session(engine: Engine, token: str) -> AnyRow:
    """The stored refresh token; raises `invalid_refresh_token` when unknown or expired."""
    with engine.begin() as connection:
        row = repository.find_refresh_token(connection, hash_token(token))
    if row is None or row.expires_at <= utc_now():
        raise errors.INVALID_REFRESH_TOKEN
    return row


def rotate(work: UnitOfWork, row: AnyRow, policy: TokenPolicy) -> Tokens | None:
    """New tokens for a refresh token, once. None when it was used before: the family is revoked."""
    accounts = work.repository(AccountRepository)
    user = accounts.lock_user(row.user_id)
    if user is None or user.disabled_at is not None:
        return None
    if not accounts.use_refresh_token(row.id, work.now):
        accounts.revoke_family(row.family_id, work.now)
        family = {"family_id": str(row.family_id)}
        work.audit("refresh_token_reused", "user", row.user_id, family, None)
        return None
    return _issue(work, row.user_id, row.family_id, policy)


def end_session(work: UnitOfWork, row: AnyRow) -> None:
    """Revoke the sign-in a refresh token belongs to."""
    accounts = work.repository(AccountRepository)
    accounts.lock_user(row.user_id)
    accounts.revoke_family(row.family_id, work.now)
    work.audit("user_signed_out", "user", row.user_id, {}, None)


def _issue(work: UnitOfWork, user_id: UUID, family_id: UUID, policy: TokenPolicy) -> Tokens:
    refresh_token = make_token("rt_")
    work.repository(AccountRepository).add_refresh_token(
        {
            "id": new_id(work.now),
            "user_id": user_id,
            "family_id": family_id,
            "token_hash": hash_token(refresh_token),
            "created_at": work.now,
            "expires_at": work.now + timedelta(seconds=policy.refresh_token_seconds),
        }
    )
    access_token = make_access_token(work.tenant_id, user_id, family_id, policy, work.now)
    return Tokens(access_token, refresh_token, policy.access_token_seconds)
