"""Nonces of signed requests, each used once in all processes.

Belongs here: remembering them in Redis. Does not: signatures (signatures.py).
"""

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
        try:
            return bool(
                self.request_redis.ask(lambda client: client.set(name, 1, nx=True, ex=seconds))
            )
        except RedisAway as error:
            raise DomainError(
                ErrorKind.UNAVAILABLE,
                "replay_check_unavailable",
                "Whether this signed request came before cannot be told now. Sign and send it"
                " again shortly.",
                retry_after_seconds=1,
            ) from error
