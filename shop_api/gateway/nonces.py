"""Nonces of signed requests, each used once in all processes.

Belongs here: remembering them in Redis. Does not: signatures (signatures.py).
"""

import secrets

import redis

from shop_api.db.request_redis import RedisAway, RequestRedis
from shop_api.kernel.errors import DomainError, ErrorKind


class NonceBook:
    """Remembers nonces for as long as a signature with them would be believed."""

    def __init__(self, request_redis: RequestRedis) -> None:
        self.request_redis = request_redis

    def __call__(self, name: str, seconds: int) -> bool:
        """Use a nonce; False when it was used before.

        Without Redis nobody knows, and the request is refused: that none is sent twice is what
        signing promises.
        """
        token = secrets.token_hex(8)
        try:
            return self.request_redis.ask(lambda client: _use(client, name, token, seconds))
        except RedisAway as error:
            raise DomainError(
                ErrorKind.UNAVAILABLE,
                "replay_check_unavailable",
                "Whether this signed request came before cannot be told now. Sign and send it"
                " again shortly.",
                retry_after_seconds=1,
            ) from error


def _use(client: redis.Redis, name: str, token: str, seconds: int) -> bool:
    """Whether the nonce is this token's: it also is when the command was carried out, its answer
    was lost, and the command was sent again."""
    if client.set(name, token, nx=True, ex=seconds):
        return True
    return client.get(name) == token.encode()
