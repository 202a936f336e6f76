"""What endpoints work with: engines, waker, signing keys. Built once by `create_app`.

Belongs here: the container and how an endpoint reaches it. Does not: building it (app.py).
"""

from dataclasses import dataclass
from threading import BoundedSemaphore
from uuid import UUID

import redis
from cryptography.fernet import MultiFernet
from flask import current_app
from sqlalchemy import Engine

from shop_api.db.kept_documents import KeptDocuments
from shop_api.db.read_routing import ReadRouting
from shop_api.db.replica import Replica
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.exchange import Exchange
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.settings import Settings
from shop_api.spine.waker import Waker

EXTENSION = "shop_api"
# the request header, as WSGI names it
READ_POSITION = "X_READ_POSITION"


@dataclass(frozen=True)
class Services:
    """The means of one api process."""

    settings: Settings
    engine: Engine
    # of the replica; None: all reads are the primary's
    reads: ReadRouting | None
    waker: Waker
    # waits for its answers: tickets, sign-ins
    redis: redis.Redis
    # answers at once or is gone without: whatever every request asks
    request_redis: RequestRedis
    # sign cursors and access tokens
    secret_keys: SecretKeys
    platform_key: str
    # encrypts stored answers that hold a secret
    cipher: MultiFernet
    # products' JSON, by the versions of their rows
    product_documents: KeptDocuments
    # how many threads may sign somebody in at a time
    sign_in_places: BoundedSemaphore

    def replica_for(self, exchange: Exchange, tenant_id: UUID) -> Replica | None:
        """The replica, if a read of this tenant may be served by it."""
        if self.reads is None:
            return None
        return self.reads.replica_for(tenant_id, exchange.header(READ_POSITION))


def services() -> Services:
    """The services of the application that handles the present request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
