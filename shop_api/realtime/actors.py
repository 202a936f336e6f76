"""Those who listen: what each may do now, asked when a ticket is taken and while it listens.

Belongs here: reading the standing of users and API keys, and judging by it. Does not: how a
credential is checked (domains/accounts), closing (hub.py).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from shop_api.kernel.principal import ROLE_SCOPES, Principal

# (tenant, actor)
ActorKey = tuple[UUID, str]

# One statement for all tenants, which row-level security still shows one at a time.
STANDINGS = """
SELECT tenant_id, actor, scopes, role, signed_out_at, ended_sign_ins
FROM list_standings(%(tenants)s::uuid[], %(actors)s::uuid[], %(sign_ins)s::uuid[], %(now)s)
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a live user or key may do now; access tokens made before `signed_out_at`, or in one of
    the `ended_sign_ins`, are void.
    """

    scopes: frozenset[str]
    signed_out_at: datetime | None
    ended_sign_ins: frozenset[UUID]


Standings = Mapping[ActorKey, Standing]


class ActorDirectory:
    """Asks Postgres for the standing of actors."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def standings(self, principals: Iterable[Principal]) -> Standings:
        """The standing of each who still has one, in one query."""
        asked = {(p.tenant_id, p.actor, p.sign_in_id) for p in principals}
        if not asked:
            return {}
        with self._engine.begin() as connection:
            rows = connection.exec_driver_sql(
                STANDINGS,
                {
                    "tenants": [tenant_id for tenant_id, _, _ in asked],
                    "actors": [UUID(actor.partition(":")[2]) for _, actor, _ in asked],
                    "sign_ins": [sign_in_id for _, _, sign_in_id in asked],
                    "now": self._clock(),
                },
            ).all()
        return {
            (row.tenant_id, row.actor): Standing(
                ROLE_SCOPES[row.role] if row.role else frozenset(row.scopes),
                row.signed_out_at,
                frozenset(row.ended_sign_ins or ()),
            )
            for row in rows
        }


def admit(principal: Principal, standings: Standings) -> Principal | None:
    """The principal with the scopes it still has; None when its credential no longer counts."""
    standing = standings.get((principal.tenant_id, principal.actor))
    if standing is None or principal.sign_in_id in standing.ended_sign_ins:
        return None
    signed_in_at = principal.signed_in_at
    if standing.signed_out_at and signed_in_at and signed_in_at < standing.signed_out_at:
        return None
    # of thousands who are asked for, few have lost a scope
    if principal.scopes <= standing.scopes:
        return principal
    return replace(principal, scopes=principal.scopes & standing.scopes)
