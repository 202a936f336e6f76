"""The sender: due deliveries out to their endpoints, each at its own pace.

Belongs here: one leader among all workers, a task for each endpoint that has work, and the bounds
on what is sent at once. Does not: SQL (queue.py), HTTP (transport.py), the schedule (schedule.py).

The thread that leads holds the lock and hears of new deliveries; an event loop in a thread of its
own sends. SQL runs on threads beside it. An endpoint begins with two messages at a time and gets
twice as many with every round that goes well, up to 16; after a timeout it has one, and then takes
none of the room of those that answer.
"""

import asyncio
import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shop_api.db.outages import describe
from shop_api.db.tenancy import tenant_session
from shop_api.metrics.definitions import webhook_attempt_duration, webhook_attempts
from shop_api.spine.leadership import POLL_SECONDS, Connection, Leadership
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.waker import Waker
from shop_api.webhooks.attempts import DELIVERED, TIMED_OUT, UNREACHABLE, Attempted
from shop_api.webhooks.fan_out import CHANNEL
from shop_api.webhooks.queue import (
    ACTOR,
    FIND_WORK,
    DeliveryQueue,
    Due,
    Outcome,
    Receiver,
    record_outcomes,
)
from shop_api.webhooks.schedule import asked_to_wait, next_attempt
from shop_api.webhooks.signing import SecretCipher, signed_headers
from shop_api.webhooks.transport import Transport

LOCK = "webhook sender"
FIRST_CONCURRENCY = 2
MAX_CONCURRENCY = 16
# messages on their way at once, to endpoints that answer and to those that let us wait
MAX_SENDING = 256
MAX_SENDING_SLOW = 64
CLAIM_LIMIT = 128
# answers of one endpoint that wait to be written down, before it is sent more
MAX_UNWRITTEN = 32
# threads for SQL
DATABASE_THREADS = 4
# An endpoint whose task failed, of Postgres or of its own, is left alone so long.
FAILED_PAUSE_SECONDS = 5.0
# What may still be answered, and is written down, when the worker ends.
END_SECONDS = 3.0

logger = logging.getLogger(__name__)

T = TypeVar("T")
Place = tuple[UUID, UUID]


@dataclass(slots=True)
class Pace:
    """How many messages at a time an endpoint takes."""

    allowed: int = FIRST_CONCURRENCY
    is_slow: bool = False

    def heed(self, attempted: Attempted) -> None:
        """One at a time after a timeout; else twice as many with each that goes well."""
        if attempted.outcome == TIMED_OUT:
            self.allowed, self.is_slow = 1, True
        elif attempted.outcome == DELIVERED:
            self.allowed, self.is_slow = min(self.allowed * 2, MAX_CONCURRENCY), False


@dataclass(frozen=True)
class Means:
    """What the sender works with."""

    engine: Engine
    # reads of all tenants which of their endpoints have work
    exporter_engine: Engine
    waker: Waker
    cipher: SecretCipher
    make_transport: Callable[[], Transport]
    clock: Callable[[], datetime]
    chance: Callable[[], float] = random.random


class Sender:
    """Sends while it leads, otherwise stands by."""

    def __init__(self, url: str, means: Means) -> None:
        self._leadership = Leadership(url, LOCK)
        self._means = means

    @property
    def is_leading(self) -> bool:
        """Whether this one sends, of all of them."""
        return self._leadership.is_leading

    def stop(self) -> None:
        """Ask `run` to return; it does once what is on its way is answered, or soon."""
        self._leadership.stop()

    def run(self) -> None:
        """Send until stopped, through restarts of Postgres."""
        self._leadership.run(self._lead)

    def _lead(self, connection: Connection) -> None:
        """Hear of work on the connection that holds the lock, while the loop sends."""
        connection.execute(f"LISTEN {CHANNEL}")
        with ThreadPoolExecutor(DATABASE_THREADS, "webhook-sql") as threads:
            # names are resolved on the loop's own threads: one that hangs holds up no SQL
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="webhook-loop", daemon=True)
            thread.start()
            dispatch = Dispatch(self._means, threads)
            sending = asyncio.run_coroutine_threadsafe(dispatch.run(), loop)
            try:
                while not (self._leadership.stopped.is_set() or sending.done()):
                    heard = connection.notifies(timeout=POLL_SECONDS, stop_after=1)
                    places = {_place(note.payload) for note in heard}
                    loop.call_soon_threadsafe(dispatch.wake, places)
            finally:
                loop.call_soon_threadsafe(dispatch.end)
                try:
                    sending.result()
                finally:
                    loop.call_soon_threadsafe(loop.stop)
                    thread.join()
                    loop.close()


def _place(payload: str) -> Place:
    tenant_id, endpoint_id = payload.split()
    return UUID(tenant_id), UUID(endpoint_id)


class Dispatch:
    """The endpoints that have work, each with a task; lives in one event loop."""

    def __init__(self, means: Means, threads: ThreadPoolExecutor) -> None:
        self.means = means
        self.is_ending = False
        self.room = asyncio.Semaphore(MAX_SENDING)
        self.slow_room = asyncio.Semaphore(MAX_SENDING_SLOW)
        self._threads = threads
        self._woken = asyncio.Event()
        self._places: set[Place] = set()
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self._paces: dict[Place, Pace] = {}
        # to be begun again when their tasks end
        self._again: set[Place] = set()
        self._left_alone: dict[Place, datetime] = {}

    def wake(self, places: set[Place]) -> None:
        """These have new work."""
        self._places |= places
        self._woken.set()

    def end(self) -> None:
        """Begin nothing more."""
        self.is_ending = True
        self._woken.set()

    async def run(self) -> None:
        """Give endpoints with work a task each, until told to end."""
        transport = self.means.make_transport()
        try:
            looked_at = None
            while not self.is_ending:
                now = self.means.clock()
                if looked_at is None or now - looked_at >= timedelta(seconds=POLL_SECONDS):
                    looked_at = now
                    await self._look_for_work(now)
                places, self._places = self._places, set()
                for place in places:
                    self._begin(place, transport, now)
                await self._rest()
            if self._tasks:
                await asyncio.wait(self._tasks.values(), timeout=END_SECONDS)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await transport.close()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run SQL beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _look_for_work(self, now: datetime) -> None:
        def find() -> set[Place]:
            with self.means.exporter_engine.connect() as connection:
                rows = connection.exec_driver_sql(FIND_WORK, {"now": now})
                return {(row.tenant_id, row.id) for row in rows}

        try:
            self._places |= await self.in_thread(find)
        except DBAPIError as error:
            logger.warning("cannot look for webhooks to send: %s", describe(error))

    def _begin(self, place: Place, transport: Transport, now: datetime) -> None:
        if place in self._tasks:
            # its task may have looked already
            self._again.add(place)
            return
        if self._left_alone.get(place, now) > now:
            return
        self._left_alone.pop(place, None)
        pace = self._paces.setdefault(place, Pace())
        task = asyncio.create_task(EndpointTask(self, transport, place, pace).run())
        self._tasks[place] = task
        task.add_done_callback(lambda done: self._ended(place, done))

    def _ended(self, place: Place, task: asyncio.Task[None]) -> None:
        del self._tasks[place]
        if place in self._again:
            self._again.discard(place)
            self.wake({place})
        if not self._paces[place].is_slow:
            del self._paces[place]
        if task.cancelled() or (error := task.exception()) is None:
            return
        pause = timedelta(seconds=FAILED_PAUSE_SECONDS)
        self._left_alone[place] = self.means.clock() + pause
        if isinstance(error, DBAPIError):
            logger.warning("webhooks of an endpoint wait: %s", describe(error))
        else:
            logger.error("webhooks of endpoint %s wait", place[1], exc_info=error)


@dataclass
class EndpointTask:
    """Sends what of an endpoint is due, until there is no more.

    Claiming, sending and recording go on beside each other. What is on its way, or answered and not
    yet written down, is known, and not claimed again.
    """

    dispatch: Dispatch
    transport: Transport
    place: Place
    pace: Pace
    receiver: Receiver | None = None
    ready: deque[Due] = field(default_factory=deque)
    sending: dict[asyncio.Task[Outcome], Due] = field(default_factory=dict)
    answered: list[Outcome] = field(default_factory=list)
    claiming: asyncio.Task[list[Due]] | None = None
    recording: asyncio.Task[list[Outcome]] | None = None
    # being written down
    written: list[Outcome] = field(default_factory=list)
    # nothing more is due, as far as is known
    is_dry: bool = False

    async def run(self) -> None:
        """Work until nothing is due and all is written down."""
        try:
            while True:
                self._begin()
                tasks = [*self.sending, *filter(None, (self.claiming, self.recording))]
                if not tasks:
                    return
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                self._take_done()
        finally:
            for task in [*self.sending, *filter(None, (self.claiming, self.recording))]:
                task.cancel()

    def _begin(self) -> None:
        if self.answered and self.recording is None:
            self.written, self.answered = self.answered, []
            self.recording = asyncio.create_task(self._record(self.written))
        may_claim = not (self.is_dry or self.dispatch.is_ending or self.claiming)
        if may_claim and len(self.ready) < self.pace.allowed:
            self.claiming = asyncio.create_task(self._claim())
        self._start()

    def _take_done(self) -> None:
        for task in [task for task in self.sending if task.done()]:
            outcome = task.result()
            del self.sending[task]
            self.answered.append(outcome)
            if outcome.blocked_until is not None:
                # what is due now is not when it has been written down
                self.ready.clear()
                self.is_dry = True
        if self.claiming is not None and self.claiming.done():
            found = self.claiming.result()
            self.claiming = None
            if not self.is_dry:
                self.ready.extend(found)
                self.is_dry = len(found) < CLAIM_LIMIT
        if self.recording is not None and self.recording.done():
            recorded = self.recording.result()
            self.recording = None
            self.written = []
            # those behind what is done are due, unless the endpoint asked to be left alone
            self.is_dry = any(o.blocked_until for o in (*recorded, *self.answered))

    async def _claim(self) -> list[Due]:
        tenant_id, endpoint_id = self.place
        outcomes = (*self.answered, *self.written)
        known = {due.id for due in (*self.ready, *self.sending.values())}
        known |= {outcome.due.id for outcome in outcomes}
        means = self.dispatch.means

        def claim() -> tuple[Receiver | None, list[Due]]:
            with tenant_session(means.engine, tenant_id) as session:
                queue = DeliveryQueue(session)
                return queue.claim(endpoint_id, known, means.clock(), CLAIM_LIMIT)

        self.receiver, due = await self.dispatch.in_thread(claim)
        return due

    def _start(self) -> None:
        """Put as many on their way as the endpoint takes."""
        receiver = self.receiver
        if receiver is None or self.dispatch.is_ending:
            return
        secrets = [self.dispatch.means.cipher.decrypt(kept) for kept in receiver.kept_secrets]
        is_behind = len(self.answered) > MAX_UNWRITTEN
        while self.ready and len(self.sending) < self.pace.allowed and not is_behind:
            due = self.ready.popleft()
            self.sending[asyncio.create_task(self._attempt(due, receiver.url, secrets))] = due

    async def _attempt(self, due: Due, url: str, secrets: list[str]) -> Outcome:
        dispatch = self.dispatch
        async with dispatch.slow_room if self.pace.is_slow else dispatch.room:
            started_at = dispatch.means.clock()
            headers = signed_headers(secrets, message_id(due.id), started_at, due.message)
            try:
                attempted = await self.transport.send(url, due.message, headers)
            except Exception:
                # tried again like any other that did not arrive, and seen by who runs this
                logger.exception("a webhook could not be sent")
                attempted = Attempted(UNREACHABLE, 0.0, error="The message could not be sent.")
        webhook_attempts.labels(attempted.outcome).inc()
        webhook_attempt_duration.observe(attempted.duration_seconds)
        self.pace.heed(attempted)
        return self._outcome(due, started_at, headers, attempted)

    def _outcome(
        self, due: Due, started_at: datetime, headers: dict[str, str], attempted: Attempted
    ) -> Outcome:
        if attempted.outcome == DELIVERED:
            return Outcome(due, started_at, headers, attempted, "delivered", None)
        if due.is_test:
            return Outcome(due, started_at, headers, attempted, "failed", None)
        now = self.dispatch.means.clock()
        chance = self.dispatch.means.chance()
        at = next_attempt(due.tried_count + 1, now, due.expires_at, chance)
        blocked_until = None
        if attempted.status == 429 or (attempted.status == 503 and attempted.retry_after):
            blocked_until = asked_to_wait(attempted.retry_after, now)
            at = at and max(at, blocked_until)
        if at is not None and at >= due.expires_at:
            at = None
        state = "failed" if at is None else "pending"
        return Outcome(due, started_at, headers, attempted, state, at, blocked_until)

    async def _record(self, outcomes: list[Outcome]) -> list[Outcome]:
        tenant_id, endpoint_id = self.place
        means = self.dispatch.means

        def record() -> None:
            origin = Origin(tenant_id, ACTOR, f"webhook-{endpoint_id}", means.clock())
            with unit_of_work(means.engine, means.waker, origin) as work:
                record_outcomes(work, endpoint_id, outcomes)

        await self.dispatch.in_thread(record)
        return outcomes


def message_id(delivery_id: UUID) -> str:
    """What a receiver knows a message by: the same in every attempt."""
    return f"msg_{delivery_id.hex}"
