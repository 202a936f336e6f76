"""Two processes make and send webhooks, and whichever leads is killed again and again: every event
arrives, in order per subject, and is recorded as delivered once.
"""

import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import psycopg

from shop_api.domains.webhooks.service import Rules, create_endpoint
from shop_api.kernel.clock import utc_now
from shop_api.kernel.principal import SCOPES
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.webhooks.addresses import AllowedNetworks
from shop_api.webhooks.sender import MAX_CONCURRENCY, MAX_UNWRITTEN
from shop_api.webhooks.signing import SecretCipher
from tests.factories.rows import make_tenant
from tests.fixtures.processes import process_environment, running, wait_until
from tests.fixtures.stores import SECRET_KEY, Database
from tests.fixtures.webhooks import LOOPBACK, Answer, Message, receiving

EVENTS = 600
SUBJECTS = 40
KILLS = 4
RUN = ["-m", "tests.faults.webhook_run"]


def test_each_event_arrives_though_whoever_leads_is_killed(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    tenant_id = make_tenant(database)
    dice = random.Random(1)
    urls = [database.exporter_url, database.application_url, redis_url]
    environment = process_environment(database.settings(tmp_path, redis_url))

    def answer(_: Message) -> Answer:
        time.sleep(dice.random() / 50)
        return Answer()

    with ExitStack() as stack, receiving() as receiver:
        receiver.answer = answer
        _make_endpoint(database, tenant_id, receiver.url())

        def start() -> subprocess.Popen[bytes]:
            return stack.enter_context(running([*RUN, *urls], environment, tmp_path / "log"))

        processes = [start(), start()]
        subjects = [UUID(int=dice.randrange(SUBJECTS)) for _ in range(EVENTS)]
        with ThreadPoolExecutor(1) as pool:
            announced = pool.submit(_announce, database, tenant_id, subjects)
            for kill in range(1, KILLS + 1):
                reached = kill * EVENTS // (KILLS + 2)
                wait_until(lambda n=reached: len(receiver.messages) >= n, 30)  # type: ignore[misc]
                # from the second on it leads both: it was there when the other was killed
                victim = processes.pop(0)
                os.kill(victim.pid, signal.SIGKILL)
                victim.wait()
                processes.append(start())
            announced.result()
        wait_until(lambda: _states(database, tenant_id) == {"delivered": EVENTS}, 60)
        log = (tmp_path / "log").read_text()
        assert "Traceback" not in log, log
    firsts: dict[str, list[int]] = defaultdict(list)
    bodies: dict[str, bytes] = {}
    for message in receiver.messages:
        if message.id not in bodies:
            firsts[message.json["data"]["order_id"]].append(message.json["id"])
        assert bodies.setdefault(message.id, message.body) == message.body
    assert len(bodies) == EVENTS
    assert all(numbers == sorted(numbers) for numbers in firsts.values())
    # those that were on their way, or not yet written down, when their sender was killed came again
    unwritten = MAX_CONCURRENCY + 2 * (MAX_UNWRITTEN + MAX_CONCURRENCY)
    assert len(receiver.messages) - EVENTS <= KILLS * unwritten


def _make_endpoint(database: Database, tenant_id: UUID, url: str) -> None:
    rules = Rules(
        frozenset(SCOPES),
        AllowedNetworks.of(LOOPBACK),
        SecretCipher(SecretKeys.of(SECRET_KEY, [])),
    )
    origin = Origin(tenant_id, "system:test", "test", utc_now())
    with unit_of_work(database.engine, database.waker, origin) as work:
        create_endpoint(work, {"url": url, "description": "", "event_types": None}, rules)


def _announce(database: Database, tenant_id: UUID, subjects: list[UUID]) -> None:
    """An event of each, in a transaction of its own."""
    for subject in subjects:
        origin = Origin(tenant_id, "system:test", "test", utc_now())
        with unit_of_work(database.engine, database.waker, origin) as work:
            work.append("order_created", "order", subject, {"order_id": str(subject)})


def _states(database: Database, tenant_id: UUID) -> dict[str, int]:
    query = "SELECT state, count(*) FROM webhook_deliveries WHERE tenant_id = %s GROUP BY state"
    with psycopg.connect(database.server.url(database.name)) as connection:
        return dict(connection.execute(query, (tenant_id,)).fetchall())
