"""Tenants whose files in the lake cannot be read are made anew, and do not hold up the others.

Belongs here: finding whose files they are, and doing the work with all of those tenants. Does not:
making a tenant anew (rebuild.py), data that is refused (isolation.py).

All that is in the lake is in Postgres too, so a file that a disk lost costs its tenant's rebuild.
"""

import logging
from collections.abc import Callable, Collection

import polars as pl

from pipelines.changeset import Changeset
from pipelines.sinks.delta import UnreadableFileError
from pipelines.sources.spine import whole_tenants

logger = logging.getLogger(__name__)


def apply_mending(
    apply: Callable[[pl.DataFrame], Changeset],
    find_damaged: Callable[[], Collection[str]],
    changes: pl.DataFrame,
) -> Changeset:
    """`apply` of the changes, and of all of each tenant whose files turn out to be unreadable.

    `find_damaged` tells which tenants have lost files; it is asked when the first is met, so that
    many lost files take one more attempt, not one each.
    """
    anew: set[str] = set()
    while True:
        try:
            return apply(changes)
        except UnreadableFileError as error:
            if error.tenant_id in anew:
                raise
            found = {error.tenant_id, *find_damaged()} - anew
            for tenant_id in sorted(found):
                logger.error(
                    "making tenant %s anew, whose files in the lake are damaged: %s",
                    tenant_id,
                    error if tenant_id == error.tenant_id else "lost or cut off",
                )
            anew |= found
            changes = pl.concat([changes, whole_tenants(found)])
