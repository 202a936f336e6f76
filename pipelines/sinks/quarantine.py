"""Tenants whose data was refused: kept out of runs, made anew later.

Belongs here: lake_quarantine, and when a tenant is tried again. Does not: refusing (isolation.py).

While a tenant is here, what changes of it is passed over. That loses nothing: when it is tried
again all of it is made anew from Postgres, and only a run that has published that takes it out.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from pipelines.sources.spine import whole_tenants
from shop_api.models import lake_quarantine

FIRST_RETRY = timedelta(seconds=30)
LAST_RETRY = timedelta(hours=1)
_DOUBLINGS = 10


@dataclass(frozen=True)
class Held:
    """How often a tenant was refused in a row, and when it is tried again."""

    attempt: int
    retry_at: datetime


def read(connection: Connection) -> dict[str, Held]:
    """All tenants in quarantine."""
    columns = lake_quarantine.c
    query = select(columns.tenant_id, columns.attempt, columns.retry_at)
    return {
        str(row.tenant_id): Held(row.attempt, row.retry_at) for row in connection.execute(query)
    }


def with_due(changes: pl.DataFrame, held_back: Mapping[str, Held], now: datetime) -> pl.DataFrame:
    """Changes without those of the tenants held back, and with all of each that is due."""
    due = [id_ for id_, held in held_back.items() if held.retry_at <= now]
    others = changes.filter(~pl.col("tenant_id").is_in(list(held_back)))
    return pl.concat([others, whole_tenants(due)])


def update(
    connection: Connection, refused: Collection[str], released: Collection[str], now: datetime
) -> None:
    """In the open transaction: put in the refused, for longer each time; take out the released."""
    columns = lake_quarantine.c
    if released:
        ids = [UUID(tenant_id) for tenant_id in released]
        connection.execute(delete(lake_quarantine).where(columns.tenant_id.in_(ids)))
    known = read(connection) if refused else {}
    for tenant_id in refused:
        attempt = known[tenant_id].attempt + 1 if tenant_id in known else 1
        delay = min(LAST_RETRY, FIRST_RETRY * 2 ** min(attempt - 1, _DOUBLINGS))
        values = {"attempt": attempt, "retry_at": now + delay}
        connection.execute(
            insert(lake_quarantine)
            .values(tenant_id=UUID(tenant_id), created_at=now, **values)
            .on_conflict_do_update(index_elements=["tenant_id"], set_=values)
        )
