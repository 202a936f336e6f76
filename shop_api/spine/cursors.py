"""How far a reader of the spine has come, in terms of what Postgres shows it.

Belongs here: snapshots and durable cursors. Does not: reading with them (reader.py).

A reader remembers the snapshot of its last read. What became visible since then are the rows of
transactions that were running in that snapshot, or began after it. So nothing is read twice and no
late commit is lost, however long another transaction stays open. Durable is only the snapshot's
xmin: a reader that starts again reads from there and meets some rows a second time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions a read saw: all below `xmin`, none from `xmax` on, not `in_progress`."""

    xmin: int
    xmax: int
    in_progress: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Snapshot":
        """From Postgres's text form, `xmin:xmax:xid,xid`."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), tuple(int(xid) for xid in running.split(",") if xid))

    @classmethod
    def before(cls, xid: int) -> "Snapshot":
        """A snapshot that saw every transaction before `xid` and none from it on."""
        return cls(xid, xid)


# A database restored elsewhere counts transactions anew: its identifier tells.
SYSTEM_IDENTIFIER = "SELECT system_identifier FROM pg_control_system()"

FIND_CURSOR = f"""
SELECT xid::text FROM spine_cursors
WHERE name = %(name)s AND system_identifier = ({SYSTEM_IDENTIFIER})
"""

SAVE_CURSOR = f"""
INSERT INTO spine_cursors (name, xid, system_identifier, updated_at)
VALUES (%(name)s, %(xid)s::text::xid8, ({SYSTEM_IDENTIFIER}), %(now)s)
ON CONFLICT (name) DO UPDATE SET
    xid = excluded.xid, system_identifier = excluded.system_identifier,
    updated_at = excluded.updated_at
"""


def find_cursor(connection: psycopg.Connection[Any], name: str) -> int | None:
    """The xid from which `name` must read on; None when it never read, or read another server."""
    row = connection.execute(FIND_CURSOR, {"name": name}).fetchone()
    return int(row[0]) if row else None


def save_cursor(connection: psycopg.Connection[Any], name: str, xid: int, now: datetime) -> None:
    """Remember that everything before `xid` is dealt with."""
    connection.execute(SAVE_CURSOR, {"name": name, "xid": str(xid), "now": now})
