"""Deleting a table's files that were replaced, and that nobody reads any more.

Belongs here: which of them may go. Does not: when that is asked (compaction.py), and leases
(analytics/leases.py).

The log tells which files a leased version has, for six hours. Of a version that a reader holds for
longer, its age is what is left to go by: it has no file that was written after it was published.
"""

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from deltalake.exceptions import DeltaError

from analytics.leases import CLOCK
from pipelines.sinks.delta import LakeTable

# As in the tables' configuration (delta.py): commits older than this leave the log.
LOG_KEPT = timedelta(hours=6)
# A snapshot is published at the end of the run that began at its `as_of`, this much later at most.
LONGEST_RUN = timedelta(hours=6)
# `as_of` is by Postgres' clock, the age of a commit by the store's.
CLOCKS_APART = timedelta(hours=1)
# The names of commits begin so, and those of checkpoints.
COMMIT = re.compile(r"(\d{20})\.(json|checkpoint\.)")
logger = logging.getLogger(__name__)


def vacuum(
    table: LakeTable, retention_hours: int, leased: Mapping[int, datetime], *, is_thorough: bool
) -> None:
    """Delete files that were replaced so long ago, and that no leased version has.

    `leased`: versions that are read, with the `as_of` of their snapshots.
    """
    kept = sorted(version for version in leased if 0 <= version <= table.version)

    def clear(versions: list[int], *, dry_run: bool) -> list[str]:
        return table.delta.vacuum(
            retention_hours=retention_hours,
            enforce_retention_duration=False,
            full=is_thorough,
            dry_run=dry_run,
            keep_versions=versions,
        )

    if not clear([], dry_run=True):
        return
    try:
        clear(kept, dry_run=False)
    except DeltaError:
        oldest = _oldest_told(table)
        untold = [leased[version] for version in kept if version < oldest]
        if not untold:
            raise
        told = [version for version in kept if version >= oldest]
        _delete_younger(table, clear(told, dry_run=True), untold)
    table.delta.update_incremental()


def _oldest_told(table: LakeTable) -> int:
    """The first version of which the log tells all: that of its oldest checkpoint, or the first.

    Asked of the names that are there, for an error may be the store's: who reads would lose files.
    """
    folder = f"{table.contract.name}/_delta_log"
    names = (found.key.rpartition("/")[2] for found in table.store.listing(folder))
    commits = [match for name in names if (match := COMMIT.match(name))]
    return min(
        (int(found[1]) for found in commits if found[2] != "json" or int(found[1]) == 0),
        default=0,
    )


def _delete_younger(table: LakeTable, replaced: list[str], untold: list[datetime]) -> None:
    """Delete replaced files that are younger than what the log does not tell of any more."""
    # what was published since has not left the log: who says to read it so does not
    latest = table.store.now(CLOCK) - LOG_KEPT + CLOCKS_APART
    until = max((as_of for as_of in untold if as_of <= latest), default=None)
    prefix = f"{table.contract.name}/"
    paths = {f"{prefix}{table.store.key(path).removeprefix(prefix)}" for path in replaced}
    for found in table.store.listing(table.contract.name):
        if found.key in paths and (until is None or found.modified_at > until + LONGEST_RUN):
            table.store.delete(found.key)
    if until is not None:
        logger.warning("of %s files of %s are kept, for who reads it still", table.root, until)
