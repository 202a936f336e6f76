"""What of a tenant shapes its facts: the timezone of its days and the grain of its partitions; and
what a reader of them must know.

Belongs here: reading that. Does not: choosing a grain (rebuild.py, compaction.py).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, text

from pipelines.frames import TEXT, Grain
from pipelines.sources.reader import Reader

TENANTS = """
SELECT t.id, t.timezone, coalesce(p.grain, 'year')
FROM tenants t LEFT JOIN lake_partitions p ON p.tenant_id = t.id
WHERE %(tenant_ids)s::uuid[] IS NULL OR t.id = ANY(%(tenant_ids)s::uuid[])
ORDER BY t.id
"""


@dataclass(frozen=True)
class Tenant:
    """A tenant as the lake sees it."""

    id: str
    timezone: str
    grain: Grain


def read_tenants(reader: Reader, tenant_ids: list[str] | None) -> dict[str, Tenant]:
    """Tenants by id; all of them when None."""
    frame = reader.frame(
        TENANTS, {"id": TEXT, "timezone": TEXT, "grain": TEXT}, {"tenant_ids": tenant_ids}
    )
    return {
        id_: Tenant(id_, timezone, cast("Grain", grain)) for id_, timezone, grain in frame.rows()
    }


@dataclass(frozen=True)
class Described:
    """What a reader of a tenant's facts must know of it."""

    id: str
    slug: str
    timezone: str
    currency: str
    # whether its data is refused, and of when its figures then are
    is_held: bool
    held_as_of: datetime | None


def describe_tenants(connection: Connection, tenant_ids: list[str] | None) -> dict[str, Described]:
    """Tenants by id; all of them when None."""
    statement = text(
        "SELECT t.id::text, t.slug, t.timezone, t.currency, q.tenant_id IS NOT NULL, q.as_of"
        " FROM tenants t LEFT JOIN lake_quarantine q ON q.tenant_id = t.id"
        " WHERE CAST(:ids AS uuid[]) IS NULL OR t.id = ANY(CAST(:ids AS uuid[]))"
    )
    rows = connection.execute(statement, {"ids": tenant_ids})
    return {row.id: Described(*row) for row in rows}
