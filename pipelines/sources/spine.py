"""What changed since a snapshot: the spine's events that it does not hold, and the ledger's rows.

Belongs here: positions in the spine and the ids events name. Does not: the rows of those ids.

A position is the exact set of transactions a snapshot saw (`pg_current_snapshot()`). A transaction
that was still open then is not in the set, whatever its id or time, so a late commit is not lost;
one that was is, so nothing is handled twice.

A database restored elsewhere brings events whose ids its server has not reached. The snapshot the
lake starts from there holds them; until the server gets to their ids they are not new.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
from sqlalchemy import Connection, text

from pipelines.frames import TEXT
from pipelines.sources.reader import Reader

CHANGE_COLUMNS = {"tenant_id": TEXT, "subject_type": TEXT, "subject_id": TEXT}
SUBJECTS = ("order", "product", "customer", "category", "exchange_rate", "tenant")
# A row of the ledger of stock, which tells by itself which transaction wrote it.
MOVEMENT = "stock_movement"


@dataclass(frozen=True)
class Position:
    """Which transactions were seen, on which server, and when."""

    xid: int
    transactions: str
    system_identifier: int
    # every commit before this instant was seen
    as_of: datetime


# Commits before now() are all visible: a transaction's clock is read before its snapshot is taken.
POSITION = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_current_snapshot()::text,
       (SELECT system_identifier FROM pg_control_system()), now()
"""

# One cheap query: has anything been recorded that the position does not hold, or is it old, or of
# another server?
UNSEEN = """
SELECT EXISTS (
    SELECT FROM events
    WHERE xid >= pg_snapshot_xmin(CAST(:transactions AS pg_snapshot))
      AND xid < pg_snapshot_xmax(pg_current_snapshot())
      AND NOT pg_visible_in_snapshot(xid, CAST(:transactions AS pg_snapshot))
) OR CAST(:as_of AS timestamptz) < now() - CAST(:confirm_after AS interval)
  OR CAST(:system_identifier AS bigint) <> (SELECT system_identifier FROM pg_control_system())
"""

CHANGES = """
SELECT tenant_id, subject_type, coalesce(subject_id, batch.id)
FROM events
LEFT JOIN LATERAL jsonb_array_elements_text(
    CASE WHEN subject_id IS NULL AND jsonb_typeof(data->'ids') = 'array' THEN data->'ids' END
) AS element (text) ON true
LEFT JOIN LATERAL (SELECT element.text::uuid) AS batch (id) ON true
WHERE xid >= pg_snapshot_xmin(%(transactions)s::pg_snapshot)
  AND xid < pg_snapshot_xmax(pg_current_snapshot())
  AND NOT pg_visible_in_snapshot(xid, %(transactions)s::pg_snapshot)
  AND subject_type = ANY(%(subjects)s)
  AND NOT (data ? 'ids' AND data->'ids' = '[]'::jsonb)
GROUP BY 1, 2, 3
UNION ALL
SELECT tenant_id, %(movement)s, id FROM stock_movements
WHERE xid >= pg_snapshot_xmin(%(transactions)s::pg_snapshot)
  AND xid < pg_snapshot_xmax(pg_current_snapshot())
  AND NOT pg_visible_in_snapshot(xid, %(transactions)s::pg_snapshot)
"""

OLDEST = """
SELECT coalesce(extract(epoch FROM now() - min(recorded_at)), 0)::float8 FROM events
WHERE xid >= pg_snapshot_xmin(%(transactions)s::pg_snapshot)
  AND xid < pg_snapshot_xmax(pg_current_snapshot())
  AND NOT pg_visible_in_snapshot(xid, %(transactions)s::pg_snapshot)
"""


def is_any_unseen(connection: Connection, position: Position, confirm_after: timedelta) -> bool:
    """Whether a run may have something to do."""
    values = {
        "transactions": position.transactions,
        "as_of": position.as_of,
        "system_identifier": position.system_identifier,
        "confirm_after": confirm_after,
    }
    return bool(connection.execute(text(UNSEEN), values).scalar())


def position(reader: Reader) -> Position:
    """The position of the reader's own instant."""
    return Position(*reader.row(POSITION))


def oldest_wait_seconds(reader: Reader, transactions: str) -> float:
    """How long before the reader's instant the oldest event not in `transactions` was recorded."""
    seconds: float = reader.row(OLDEST, {"transactions": transactions})[0]
    return seconds


def whole_tenants(tenant_ids: Iterable[str]) -> pl.DataFrame:
    """Changes, as of `changes`, that stand for all of each tenant."""
    rows = [(tenant_id, "tenant", None) for tenant_id in sorted(tenant_ids)]
    return pl.DataFrame(rows, schema=CHANGE_COLUMNS, orient="row")


def changes(reader: Reader, transactions: str) -> pl.DataFrame:
    """(tenant_id, subject_type, subject_id) of events not in `transactions`, each once.

    A batch names its ids in data["ids"]; without them subject_id is null and means all of them.
    Beside them are the new rows of the ledger of stock: what moved it has an event, too, but not
    one that names them.
    """
    return reader.frame(
        CHANGES,
        CHANGE_COLUMNS,
        {"transactions": transactions, "subjects": list(SUBJECTS), "movement": MOVEMENT},
    )
