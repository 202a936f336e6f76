"""Signing in over HTTP."""

import logging
from functools import cache
from typing import Any

from shop_api.db.attempts import Attempts
from shop_api.domains.accounts import errors, service
from shop_api.domains.accounts.schemas import LoginBody, RefreshBody, TokensSchema
from shop_api.domains.accounts.service import SignInThrottle, TokenPolicy, Tokens
from shop_api.kernel.principal import PUBLIC
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply
from shop_api.web.services import Services

logger = logging.getLogger(__name__)

auth = Blueprint(
    "auth",
    __name__,
    url_prefix="/api/v1/auth",
    description="Sign in and out, and renew access tokens.",
)


def token_policy(services: Services) -> TokenPolicy:
    """How this installation makes tokens."""
    settings = services.settings
    return TokenPolicy(
        services.secret_keys, settings.access_token_seconds, settings.refresh_token_seconds
    )


def sign_in_throttle(services: Services) -> SignInThrottle:
    """How this installation counts sign-ins that fail."""
    settings = services.settings
    return SignInThrottle(
        Attempts(
            services.redis,
            services.secret_keys.signing,
            "sign-in",
            settings.sign_in_window_seconds,
        ),
        settings.sign_in_account_limit,
        settings.sign_in_address_limit,
    )


def tokens_reply(tokens: Tokens) -> Reply:
    """Tokens as the answer that nobody may keep."""
    reply = Reply.of(
        {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "token_type": "Bearer",
            "expires_in": tokens.expires_in,
        }
    )
    reply.headers.append(("Cache-Control", "no-store"))
    return reply


@cache
def warn_of_proxy() -> None:
    """Say, once per process, that everybody behind a proxy counts as one address."""
    logger.warning(
        "sign-ins arrive through a proxy (X-Forwarded-For) and SHOP_TRUSTED_PROXIES is 0: failed"
        " sign-ins of all people count for the proxy's one address. Set it to the number of proxies"
    )


def client_address(call: Call) -> str:
    """Whose failed sign-ins are counted together."""
    trusted_proxies = call.services.settings.trusted_proxies
    if not trusted_proxies and call.exchange.header("X_FORWARDED_FOR"):
        warn_of_proxy()
    return call.exchange.client_address(trusted_proxies)


@auth.mutation("POST", "/login", scope=PUBLIC, body=LoginBody, returns=TokensSchema, is_secret=True)
def login(call: Call, commit: Any) -> Any:
    """Sign in with e-mail address and password.

    Gives an access token for 15 minutes and a refresh token that renews it. 429
    `too_many_sign_ins` with `Retry-After` when too many have failed, for this e-mail address or
    from this network address.
    """
    email, password = call.body["email"], call.body["password"]
    address = client_address(call)
    throttle = sign_in_throttle(call.services)
    with throttle.attempt(email, address), service.sign_in_place(call.services.sign_in_places):
        user = service.check_login(call.services.engine, email, password, call.body.get("tenant"))
    policy = token_policy(call.services)
    return commit(
        user.tenant_id,
        f"user:{user.id}",
        lambda work: tokens_reply(service.start_session(work, user, policy)),
    )


@auth.mutation(
    "POST", "/refresh", scope=PUBLIC, body=RefreshBody, returns=TokensSchema, is_secret=True
)
def refresh(call: Call, commit: Any) -> Any:
    """Renew an access token.

    Each refresh token works once. Using an old one again ends the whole sign-in: its tokens of
    either kind work no more.
    """
    row = service.refresh_session(call.services.engine, call.body["refresh_token"])
    policy = token_policy(call.services)

    def rotate(work: Any) -> Reply:
        tokens = service.rotate(work, row, policy)
        if tokens is None:
            # the revocation commits; the refusal follows it, and is not kept under the key
            return Reply(b"", 204, is_stored=False)
        return tokens_reply(tokens)

    answer = commit(row.tenant_id, f"user:{row.user_id}", rotate)
    if answer.status_code == 204:
        raise errors.INVALID_REFRESH_TOKEN
    return answer


@auth.mutation("POST", "/logout", scope=PUBLIC, body=RefreshBody)
def logout(call: Call, commit: Any) -> Any:
    """Sign out: the refresh token's whole sign-in ends, its access tokens and sockets included."""
    row = service.refresh_session(call.services.engine, call.body["refresh_token"])

    def end(work: Any) -> Reply:
        service.end_session(work, row)
        return Reply.empty()

    return commit(row.tenant_id, f"user:{row.user_id}", end)
