"""One tenant's refused data does not hold up the others.

Belongs here: finding whose data a run failed on, and doing the run without those. Does not: trying
them again (sinks/quarantine.py says when).

What points to the data is a failed check or a frame that cannot be computed. Anything else (the
disk, Postgres) fails the run, as does a failure of all tenants together that none of them shows
alone. Of changes all may be refused: the tenants that did not change go on. But where several
tenants were good until then, all of them break one rule and nobody's changes pass, the rule is
taken to be wrong, not the data: the run fails, and holds back nobody. A lake that is made anew
fails when every tenant is refused: nothing would be left of it.
"""

import logging
from collections.abc import Callable, Collection, Mapping

import polars as pl

from pipelines.changeset import Changeset
from pipelines.checks.failure import CheckFailedError, without_values

logger = logging.getLogger(__name__)

OF_DATA = (CheckFailedError, pl.exceptions.PolarsError)
# So many tenants do not come to break the same rule within one run, and nobody else change.
TOO_MANY_ALIKE = 3


def _never(_: Mapping[str, Exception]) -> bool:
    return False


def apart(
    all_but: Callable[[Collection[str]], Changeset],
    alone: Callable[[str], Changeset],
    tenant_ids: Collection[str],
    may_refuse_all: Callable[[Mapping[str, Exception]], bool] = _never,
) -> Changeset:
    """The work of `tenant_ids`, without those whose data is refused.

    `all_but` does it for all but some, `alone` for one: what that writes nobody reads.
    `may_refuse_all` is asked, with the reasons, when nobody is left.
    """
    refused: dict[str, Exception] = {}
    try:
        changeset = all_but(())
    except OF_DATA as error:
        logger.warning("looking for the tenants whose data is refused: %s", error)
        refused = _refused_alone(alone, tenant_ids)
        if not refused or (len(refused) == len(tenant_ids) and not may_refuse_all(refused)):
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

    def may_refuse_all(refused: Mapping[str, Exception]) -> bool:
        rules = [_rule(error) for id_, error in refused.items() if id_ not in held_back]
        return len(rules) < TOO_MANY_ALIKE or len(set(rules)) > 1

    changeset = apart(
        lambda without: attempt(changes.filter(~pl.col("tenant_id").is_in(list(without)))),
        lambda tenant_id: attempt(changes.filter(pl.col("tenant_id") == tenant_id)),
        tenant_ids,
        may_refuse_all,
    )
    changeset.released = (tenant_ids & set(held_back)) - changeset.refused.keys()
    return changeset


def _rule(error: Exception) -> tuple[str, ...]:
    if isinstance(error, CheckFailedError):
        return error.table, error.rule
    return (type(error).__name__,)


def refusals(changeset: Changeset) -> str | None:
    """What the run's record says of tenants left out."""
    if not changeset.refused:
        return None
    refused = changeset.refused.items()
    return "; ".join(f"tenant {id_}: {without_values(error)}" for id_, error in refused)
