"""What of an endpoint is due, and what its attempts came to: the SQL beneath the sender.

Belongs here: claiming, recording, pausing. Does not: sending (sender.py), when to try again
(schedule.py), what clients read (domains/webhooks, domains/webhook_deliveries).

Nothing is marked as claimed: one sender leads, and knows what it is at. One that dies leaves its
deliveries pending, and its successor sends them again under the same id.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from shop_api.db.json import encode_json
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import Repository
from shop_api.kernel.clock import format_instant
from shop_api.spine.notifications import PAUSED_WEBHOOK, Notification, tell
from shop_api.spine.unit_of_work import UnitOfWork
from shop_api.webhooks.attempts import Attempted
from shop_api.webhooks.events import SUBJECT, TEST_EVENT, message_sql
from shop_api.webhooks.schedule import is_given_up

ACTIVE_NOW = "w.status = 'active' AND (w.blocked_until IS NULL OR w.blocked_until <= %(now)s)"

# Read by the exporter, of all tenants: one look into an index for each endpoint.
FIND_WORK = f"""
SELECT w.tenant_id, w.id FROM webhook_endpoints w
WHERE w.status <> 'deleted' AND EXISTS (
    SELECT FROM webhook_deliveries d
    WHERE d.tenant_id = w.tenant_id AND d.endpoint_id = w.id AND d.state = 'pending'
      AND d.next_attempt_at <= %(now)s AND ({ACTIVE_NOW} OR d.event_type = '{TEST_EVENT}'))
"""

FIND_ENDPOINT = """
SELECT url, secret,
    CASE WHEN previous_secret_expires_at > %(now)s THEN previous_secret END AS previous_secret
FROM webhook_endpoints
WHERE tenant_id = %(tenant_id)s AND id = %(endpoint_id)s AND status <> 'deleted'
"""

# What waited while its endpoint was paused, past its day.
EXPIRE = """
UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL, finished_at = %(now)s,
    version = version + 1
WHERE tenant_id = %(tenant_id)s AND endpoint_id = %(endpoint_id)s AND state = 'pending'
  AND next_attempt_at <= %(now)s AND expires_at <= %(now)s
"""

# Of each subject the first that is not done, along two indexes: a join could be planned as a walk
# over all that waits. A test goes to a paused endpoint, too.
FIND_DUE = f"""
WITH due AS MATERIALIZED (
    SELECT d.id, d.sequence, d.event_type, d.attempt_count, d.tried_count, d.expires_at,
        d.next_attempt_at, w.scopes
    FROM webhook_endpoints w, webhook_deliveries d
    WHERE w.tenant_id = %(tenant_id)s AND w.id = %(endpoint_id)s AND w.status <> 'deleted'
      AND d.tenant_id = %(tenant_id)s AND d.endpoint_id = %(endpoint_id)s
      AND d.state = 'pending' AND d.next_attempt_at <= %(now)s
      AND d.id <> ALL(%(known)s::uuid[])
      AND ({ACTIVE_NOW} OR d.event_type = '{TEST_EVENT}')
      AND d.sequence = (
        SELECT min(b.sequence) FROM webhook_deliveries b
        WHERE b.tenant_id = %(tenant_id)s AND b.endpoint_id = %(endpoint_id)s
          AND b.subject = d.subject AND b.state = 'pending')
    ORDER BY d.next_attempt_at, d.sequence LIMIT %(limit)s
)
SELECT d.*, {message_sql("d.scopes")} AS message
FROM due d JOIN events e ON e.tenant_id = %(tenant_id)s AND e.sequence = d.sequence
ORDER BY d.next_attempt_at, d.sequence
"""

# What a crash of Postgres takes back is sent again, under the same id.
NOT_FLUSHED = "SELECT set_config('synchronous_commit', 'off', true)"

# A delivery that another sender recorded meanwhile, or that is gone, is left alone.
_RECORD = """
WITH attempt AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(attempts)s::json) AS a
        (delivery_id uuid, number integer, started_at timestamptz, duration_microseconds bigint,
         outcome text, request_headers jsonb, status integer, response_headers jsonb,
         response_body text, error text, state text, next_attempt_at timestamptz)
), changed AS (
    UPDATE webhook_deliveries d
    SET state = a.state, attempt_count = a.number, tried_count = d.tried_count + 1,
        last_status = a.status, next_attempt_at = a.next_attempt_at,
        finished_at = CASE WHEN a.state <> 'pending' THEN %(now)s END, version = d.version + 1
    FROM attempt a
    WHERE d.tenant_id = %(tenant_id)s AND d.id = a.delivery_id AND d.state = 'pending'
      AND d.attempt_count = a.number - 1
    RETURNING d.id, d.endpoint_id, d.subject, d.sequence, d.attempt_count, d.next_attempt_at
), logged AS (
    INSERT INTO webhook_attempts (tenant_id, delivery_id, number, started_at,
        duration_microseconds, outcome, request_headers, status, response_headers, response_body,
        error)
    SELECT %(tenant_id)s, a.delivery_id, a.number, a.started_at, a.duration_microseconds,
        a.outcome, a.request_headers, a.status, a.response_headers, a.response_body, a.error
    FROM attempt a JOIN changed c ON c.id = a.delivery_id
)
"""
RECORD = f"{_RECORD} SELECT count(*) AS deliveries FROM changed"

# Those behind one that is tried later wait with it, so that they are not looked at before; once it
# is done, they are due.
RECORD_AND_MOVE = f"""{_RECORD}
UPDATE webhook_deliveries f SET next_attempt_at = coalesce(c.next_attempt_at, %(now)s)
FROM changed c
WHERE f.tenant_id = %(tenant_id)s AND f.endpoint_id = c.endpoint_id AND f.subject = c.subject
  AND f.state = 'pending' AND f.sequence > c.sequence
  AND CASE WHEN c.next_attempt_at IS NULL THEN c.attempt_count > 1 AND f.next_attempt_at > %(now)s
      ELSE f.next_attempt_at < c.next_attempt_at END
"""

# An answer that came later than the one that asked to be left alone does not end that time.
SUCCEEDED = """
UPDATE webhook_endpoints SET consecutive_failures = 0, failing_since = NULL,
    blocked_until = greatest(blocked_until, %(blocked_until)s::timestamptz)
WHERE tenant_id = %(tenant_id)s AND id = %(endpoint_id)s
  AND (consecutive_failures > 0 OR %(blocked_until)s::timestamptz IS NOT NULL)
"""

FAILED = """
UPDATE webhook_endpoints SET consecutive_failures = consecutive_failures + %(failures)s,
    failing_since = coalesce(failing_since, %(failed_at)s),
    blocked_until = greatest(blocked_until, %(blocked_until)s::timestamptz)
WHERE tenant_id = %(tenant_id)s AND id = %(endpoint_id)s
RETURNING consecutive_failures, failing_since
"""

PAUSE = """
UPDATE webhook_endpoints SET status = 'paused', pause_reason = %(reason)s, paused_at = %(now)s,
    updated_at = %(now)s, version = version + 1
WHERE tenant_id = %(tenant_id)s AND id = %(endpoint_id)s AND status = 'active'
RETURNING url
"""

GONE, FAILING = "gone", "failing"
REASONS = {
    GONE: "answered 410 Gone, which asks that nothing more is sent",
    FAILING: "has taken nothing for a long time",
}
ACTOR = "system:webhooks"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where an endpoint's messages go, and its secrets as they are kept."""

    url: str
    kept_secrets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be attempted now."""

    id: UUID
    event_type: str
    message: bytes
    attempt_count: int
    tried_count: int
    expires_at: datetime

    @property
    def is_test(self) -> bool:
        """Tried once, and no sign of how its endpoint does."""
        return self.event_type == TEST_EVENT


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attempt at a delivery, and what follows; `state` is the delivery's from now on."""

    due: Due
    started_at: datetime
    request_headers: dict[str, str]
    attempted: Attempted
    state: str
    next_attempt_at: datetime | None
    blocked_until: datetime | None = None


class DeliveryQueue(Repository):
    """The deliveries of one tenant, as they are sent."""

    def claim(
        self, endpoint_id: UUID, known: set[UUID], now: datetime, limit: int
    ) -> tuple[Receiver | None, list[Due]]:
        """What of an endpoint is due besides what is known; no receiver: the endpoint is gone."""
        of = {"tenant_id": self.tenant_id, "endpoint_id": endpoint_id, "now": now}
        _, endpoints, rows = self.session.fetch_together(
            Statement(EXPIRE, of),
            Statement(FIND_ENDPOINT, of),
            Statement(FIND_DUE, of | {"known": list(known), "limit": limit}),
        )
        if not endpoints:
            return None, []
        (endpoint,) = endpoints
        secrets = tuple(bytes(s) for s in (endpoint.secret, endpoint.previous_secret) if s)
        due = [
            Due(
                row.id,
                row.event_type,
                row.message.encode(),
                row.attempt_count,
                row.tried_count,
                row.expires_at,
            )
            for row in rows
        ]
        return Receiver(endpoint.url, secrets), due


def record_outcomes(work: UnitOfWork, endpoint_id: UUID, outcomes: list[Outcome]) -> None:
    """Write down what attempts came to, and pause the endpoint when that is due."""
    now = work.now
    of: dict[str, Any] = {"tenant_id": work.tenant_id, "endpoint_id": endpoint_id, "now": now}
    rows = [_row(outcome) for outcome in outcomes]
    # at the first attempt nothing waits with it yet
    is_plain = all(o.state == "delivered" and o.due.attempt_count == 0 for o in outcomes)
    statement = RECORD if is_plain else RECORD_AND_MOVE
    work.session.fetch_together(
        Statement(NOT_FLUSHED, {}), Statement(statement, of | {"attempts": encode_json(rows)})
    )
    counted = [outcome for outcome in outcomes if not outcome.due.is_test]
    failures = [outcome for outcome in counted if outcome.state != "delivered"]
    if any(outcome.attempted.status == 410 for outcome in failures):
        _pause(work, endpoint_id, GONE)
    blocks = [outcome.blocked_until for outcome in failures if outcome.blocked_until]
    of["blocked_until"] = max(blocks, default=None)
    if len(failures) < len(counted):
        work.session.fetch(SUCCEEDED, of)
    elif failures:
        failed_at = min(outcome.started_at for outcome in failures)
        of |= {"failures": len(failures), "failed_at": failed_at}
        lost_one = any(outcome.state == "failed" for outcome in failures)
        for row in work.session.fetch(FAILED, of):
            count, since = row.consecutive_failures, row.failing_since
            if is_given_up(count, since, now, lost_one=lost_one):
                _pause(work, endpoint_id, FAILING)


def _row(outcome: Outcome) -> dict[str, Any]:
    attempted = outcome.attempted
    has_answer = attempted.status is not None
    return {
        "delivery_id": outcome.due.id,
        "number": outcome.due.attempt_count + 1,
        "started_at": format_instant(outcome.started_at),
        "duration_microseconds": round(attempted.duration_seconds * 1_000_000),
        "outcome": attempted.outcome,
        "request_headers": outcome.request_headers,
        "status": attempted.status,
        "response_headers": attempted.headers if has_answer else None,
        "response_body": attempted.body,
        "error": attempted.error,
        "state": outcome.state,
        "next_attempt_at": outcome.next_attempt_at and format_instant(outcome.next_attempt_at),
    }


def _pause(work: UnitOfWork, endpoint_id: UUID, reason: str) -> None:
    values = {"reason": reason, "endpoint_id": endpoint_id, "now": work.now}
    found = work.session.fetch(PAUSE, values | {"tenant_id": work.tenant_id})
    if not found:
        return
    host = urlsplit(found[0].url).hostname
    work.audit(
        "webhook_endpoint_paused",
        SUBJECT,
        endpoint_id,
        {"status": "active", "pause_reason": None},
        {"status": "paused", "pause_reason": reason},
    )
    tell(
        work,
        Notification(
            PAUSED_WEBHOOK,
            "error",
            "A webhook endpoint is paused",
            f"The endpoint at {host} {REASONS[reason]}. Events wait for a day: set it active"
            " again once it is mended; older ones can be redelivered.",
            key=notification_key(endpoint_id),
            action_url=f"/api/v1/webhook_endpoints/{endpoint_id}",
            data={"endpoint_id": str(endpoint_id), "reason": reason},
        ),
    )


def notification_key(endpoint_id: UUID) -> str:
    """Of what a tenant is told of an endpoint that is paused."""
    return f"paused_webhook:{endpoint_id}"
