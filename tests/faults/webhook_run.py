"""A process that makes and sends webhooks to loopback until it is killed.

Run as `python -m tests.faults.webhook_run EXPORTER_URL APPLICATION_URL REDIS_URL`.
"""

import sys
import threading

from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.settings import Settings
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker
from shop_api.webhooks.addresses import AllowedNetworks
from shop_api.webhooks.fan_out import FanOut
from shop_api.webhooks.sender import Means, Sender
from shop_api.webhooks.signing import SecretCipher
from shop_api.webhooks.transport import Transport
from tests.fixtures.stores import SECRET_KEY
from tests.fixtures.webhooks import LOOPBACK, RETENTION_SECONDS

exporter_url, application_url, redis_url = sys.argv[1:]
settings = Settings(_env_file=None)
engine = make_engine(application_url, settings, statement_timeout_seconds=30)
exporter_engine = make_engine(exporter_url, settings, statement_timeout_seconds=30)
fan_out = FanOut(
    exporter_url, engine, exporter_engine, retention_seconds=RETENTION_SECONDS, clock=utc_now
)
sender = Sender(
    exporter_url,
    Means(
        engine=engine,
        exporter_engine=exporter_engine,
        waker=Waker(application_url, ResourceVersions(RequestRedis(redis_url))),
        cipher=SecretCipher(SecretKeys.of(SECRET_KEY, [])),
        make_transport=lambda: Transport(AllowedNetworks.of(LOOPBACK)),
        clock=utc_now,
    ),
)
for follower in (fan_out, sender):
    threading.Thread(target=follower.run, daemon=True).start()
threading.Event().wait()
