"""One tenant's refused data does not hold up the others.

Belongs here: finding whose data a run failed on, and doing the run without those. Does not: trying
them again (sinks/quarantine.py says when).

What points to the data is a failed check or a frame that cannot be computed. Anything else (the
disk, Postgres) fails the run, as does a failure of all tenants together that none of them shows
alone. Of changes all may be refused: the tenants that did not change go on. A lake that is made
anew fails when every tenant is refused: nothing would be left of it.
"""

import logging
from collections.abc import Callable, Collection

import polars as pl

from pipelines.changeset import Changeset
from pipelines.checks.failure import CheckFailedError

logger = logging.getLogger(__name__)

OF_DATA = (CheckFailedError, pl.exceptions.PolarsError)


def apart(
    all_but: Callable[[Collection[str]], Changeset],
    alone: Callable[[str], Changeset],
    tenant_ids: Collection[str],
    *,
    may_refuse_all: bool = False,
) -> Changeset:
    """The work of `tenant_ids`, without those whose data is refused.

    `all_but` does it for all but some, `alone` for one: what that writes nobody reads.
    """
    refused: dict[str, Exception] = {}
    try:
        changeset = all_but(())
    except OF_DATA as error:
        logger.warning("looking for the tenants whose data is refused: %s", error)
        refused = _refused_alone(alone, tenant_ids)
        if not refused or (len(refused) == len(tenant_ids) and not may_refuse_all):
            raise
        changeset = all_but(refused)
    for tenant_id, reason in refused.items():
        logger.error("the lake goes on without tenant %s: %s", tenant_id, reason)
    changeset.refused = refused
    return changeset


def _refused_alone(
    alone: Callable[[str], Changeset], tenant_ids: Collection[str]
) -> dict[str, Exception]:
    refused: dict[str, Exception] = {}
    for tenant_id in sorted(tenant_ids):
        try:
            alone(tenant_id)
        except OF_DATA as error:
            refused[tenant_id] = error
    return refused


def apply_apart(
    attempt: Callable[[pl.DataFrame], Changeset], changes: pl.DataFrame, held_back: Collection[str]
) -> Changeset:
    """The changes, without those of tenants whose data is refused.

    `held_back` are in quarantine already: of them there are only those to be tried again.
    """
    tenant_ids = set(changes["tenant_id"])
    changeset = apart(
        lambda without: attempt(changes.filter(~pl.col("tenant_id").is_in(list(without)))),
        lambda tenant_id: attempt(changes.filter(pl.col("tenant_id") == tenant_id)),
        tenant_ids,
        may_refuse_all=True,
    )
    changeset.released = (tenant_ids & set(held_back)) - changeset.refused.keys()
    return changeset


def refusals(changeset: Changeset) -> str | None:
    """What the run's record says of tenants left out."""
    if not changeset.refused:
        return None
    return "; ".join(f"tenant {id_}: {error}" for id_, error in changeset.refused.items())
