"""Which processes of the product run, on whatever machine: each says so in Redis again and again.

Belongs here: saying it, and who said it lately. Does not: whether they work well (operations). A
process that ends in order takes its name off; one that dies is forgotten after LIFE_SECONDS.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.metadata import version
from typing import Any
from uuid import UUID

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop_api.db.outages import describe
from shop_api.kernel.clock import utc_now
from shop_api.kernel.ids import new_id

BEAT_SECONDS = 5.0
LIFE_SECONDS = 15
TIMEOUT_SECONDS = 2.0

# the ids of all that were started and have not taken themselves off
INSTANCES = "instances"

logger = logging.getLogger(__name__)


class Instance(msgspec.Struct, frozen=True):
    """A process, as it describes itself."""

    id: UUID
    # api, realtime or worker
    kind: str
    host: str
    pid: int
    version: str
    started_at: datetime
    # what its kind has to tell
    state: dict[str, Any] = {}
    # since it last said so, by Redis's clock
    heartbeat_age_seconds: float = 0.0


class Heartbeat:
    """Says that this process runs. Start it in the process itself, not before a fork."""

    def __init__(
        self, redis_url: str, kind: str, describe: Callable[[], dict[str, Any]] = dict
    ) -> None:
        self._client = redis.Redis.from_url(
            redis_url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        )
        self._describe = describe
        now = utc_now()
        self._instance = Instance(
            new_id(now), kind, socket.gethostname(), os.getpid(), version("shop-api"), now
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Say so from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Say that the process ends."""
        self._stopped.set()
        self._thread.join(TIMEOUT_SECONDS)
        own = str(self._instance.id)
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.delete(_key(own))
                pipeline.srem(INSTANCES, own)
                pipeline.execute()
        except redis.RedisError:
            # forgotten by itself
            return
        finally:
            self._client.close()

    def _run(self) -> None:
        is_heard = True
        while not self._stopped.is_set():
            try:
                self._beat()
                is_heard = True
            except redis.RedisError as error:
                if is_heard:
                    logger.warning(
                        "this process cannot be registered in Redis: %s", describe(error)
                    )
                is_heard = False
            self._stopped.wait(BEAT_SECONDS)

    def _beat(self) -> None:
        own = str(self._instance.id)
        said = msgspec.json.encode(msgspec.structs.replace(self._instance, state=self._describe()))
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.set(_key(own), said, ex=LIFE_SECONDS)
            pipeline.sadd(INSTANCES, own)
            pipeline.execute()


def list_instances(client: redis.Redis) -> list[Instance]:
    """Those that said lately that they run, in the order of their start; RedisError as it is."""
    ids = sorted(_texts(client.smembers(INSTANCES)))
    with client.pipeline(transaction=False) as pipeline:
        for own in ids:
            pipeline.get(_key(own))
            pipeline.pttl(_key(own))
        answers = pipeline.execute()
    found, gone = [], []
    for own, said, life in zip(ids, answers[::2], answers[1::2], strict=True):
        if said is None:
            gone.append(own)
            continue
        age = max(0.0, LIFE_SECONDS - life / 1000)
        instance = msgspec.json.decode(said, type=Instance)
        found.append(msgspec.structs.replace(instance, heartbeat_age_seconds=round(age, 3)))
    if gone:
        client.srem(INSTANCES, *gone)
    return found


def _texts(members: Any) -> Iterable[str]:
    return (member.decode() for member in members)


def _key(own: str) -> str:
    return f"instance:{own}"
