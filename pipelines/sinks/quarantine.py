"""Tenants whose data was refused: kept out of runs, made anew later.

Belongs here: lake_quarantine, when a tenant is tried again, and what the tenant is told of it. Does
not: refusing (isolation.py).

While a tenant is here, what changes of it is passed over. That loses nothing: when it is tried
again all of it is made anew from Postgres, and only a run that has published that takes it out.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from pipelines.checks.failure import CheckFailedError
from pipelines.sinks.delta import LostFilesError
from pipelines.sources.spine import whole_tenants
from shop_api.kernel.clock import format_instant
from shop_api.models import lake_quarantine
from shop_api.spine.held_data import HELD, explain
from shop_api.spine.notifications import (
    QUARANTINED_DATA,
    Notification,
    Resolution,
    Told,
    leave,
)

FIRST_RETRY = timedelta(seconds=30)
LAST_RETRY = timedelta(hours=1)
_DOUBLINGS = 10
PIPELINES_URL = "/api/v1/analytics/pipelines"
RELEASED = Notification(
    kind=QUARANTINED_DATA,
    level="info",
    title="Your figures are up to date again",
    message="What had changed while they were held back is in them.",
    action_url=PIPELINES_URL,
    data={"state": "released"},
)


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
    connection: Connection,
    refused: Mapping[str, Exception],
    released: Collection[str],
    as_of: datetime | None,
    now: datetime,
) -> int:
    """In the open transaction: put in the refused, for longer each time; take out the released.

    Tenants are told when they are put in and when they are taken out, not of each refusal between.
    `as_of` is of the snapshot that stands; answers how many tenants are in quarantine then.
    """
    columns = lake_quarantine.c
    told: list[tuple[UUID, Told]] = []
    if released:
        ids = [UUID(tenant_id) for tenant_id in released]
        gone = delete(lake_quarantine).where(columns.tenant_id.in_(ids))
        for tenant_id in connection.execute(gone.returning(columns.tenant_id)).scalars():
            told += [(tenant_id, Resolution(QUARANTINED_DATA)), (tenant_id, RELEASED)]
    known = read(connection) if refused else {}
    for tenant_id, reason in refused.items():
        attempt = known[tenant_id].attempt + 1 if tenant_id in known else 1
        delay = min(LAST_RETRY, FIRST_RETRY * 2 ** min(attempt - 1, _DOUBLINGS))
        values = {"attempt": attempt, "retry_at": now + delay, **_cause(reason)}
        connection.execute(
            insert(lake_quarantine)
            .values(tenant_id=UUID(tenant_id), created_at=now, as_of=as_of, **values)
            .on_conflict_do_update(index_elements=["tenant_id"], set_=values)
        )
        if tenant_id not in known:
            told.append((UUID(tenant_id), _held(values, reason, as_of)))
    leave(connection, told, now)
    return connection.execute(select(func.count()).select_from(lake_quarantine)).scalar_one()


def _cause(reason: Exception) -> dict[str, Any]:
    """Why, as it is kept: what the tenant is shown of it later."""
    if isinstance(reason, CheckFailedError):
        broken = {"table_name": reason.table, "rule": reason.rule, "row_count": reason.count}
        return {"cause": "rule", **broken}
    cause = "lost_files" if isinstance(reason, LostFilesError) else "unreadable"
    return {"cause": cause, "table_name": None, "rule": None, "row_count": None}


def _held(values: Mapping[str, Any], reason: Exception, as_of: datetime | None) -> Notification:
    examples = reason.examples if isinstance(reason, CheckFailedError) else []
    why = explain(values["cause"], values["table_name"], values["rule"], values["row_count"])
    return Notification(
        kind=QUARANTINED_DATA,
        level="error",
        title="Your figures are held back",
        message=f"{why} {HELD}",
        key=QUARANTINED_DATA,
        action_url=PIPELINES_URL,
        data={
            "state": "held",
            "cause": values["cause"],
            "table": values["table_name"],
            "rule": values["rule"],
            "row_count": values["row_count"],
            # ids, dates and amounts of the tenant's own rows
            "examples": [{name: str(value) for name, value in row.items()} for row in examples],
            "as_of": None if as_of is None else format_instant(as_of),
        },
    )
