"""A process that claims an answer and works on it for ever.

Run as `python -m tests.faults.lease_holder URL DIGEST VERSION`.
"""

import sys
import time
from datetime import UTC, datetime

from shop_api.db.request_redis import RequestRedis
from shop_api.gateway.redis_answers import RedisAnswers, State
from shop_api.kernel.cache_policy import CachePolicy
from shop_api.kernel.exchange import CacheSlot

url, digest, version = sys.argv[1:]
answers = RedisAnswers(RequestRedis(url), 1_000_000)
slot = CacheSlot(
    CachePolicy(600, is_shared=True), digest, "", version, lambda: None, lambda _: None
)
asked = answers.find_or_claim(slot, datetime.now(UTC))
with answers.held(slot, asked.lease):
    sys.stdout.write(f"{asked.state is State.CLAIMED}\n")
    sys.stdout.flush()
    time.sleep(600)
