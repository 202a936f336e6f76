"""The rows an import refuses: where they are and why.

Belongs here: keeping the first of them and counting all. Does not: finding them (expressions.py,
checks.py).
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TextIO

REJECT_LIMIT = 100_000
# What a spreadsheet would run as a formula is written as text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# what Postgres, or UTF-8, cannot hold, and what a terminal would obey
NOT_STORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def storable(sentence: str) -> str:
    """A sentence that quotes a file, whatever the file's bytes are."""
    return NOT_STORABLE.sub("\ufffd", sentence)


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused value: `row` is 1-based without the header; `column` None: the row as a whole."""

    file: str
    row: int
    column: str | None
    reason: str


@dataclass
class RejectLog:
    """The first `limit` rejects, and how many rows were refused of each entity.

    A row of a file that several entities are made from is listed once for each value that cannot be
    read. What a check finds is listed where nothing else is said of the row: it may only follow.
    """

    limit: int = REJECT_LIMIT
    kept: list[Reject] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    _rows: set[tuple[str, int]] = field(default_factory=set)
    _seen: set[Reject] = field(default_factory=set)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def room(self) -> int:
        """How many more can be kept."""
        return self.limit - len(self.kept)

    def add(
        self, entity: str, row_count: int, rejects: Iterable[Reject], *, are_values: bool = False
    ) -> None:
        """Count `row_count` refused rows of `entity` and keep what there is room for.

        `are_values`: they are about values that cannot be read, not what a check found.
        """
        if row_count:
            self.counts[entity] = self.counts.get(entity, 0) + row_count
        if are_values:
            new = [reject for reject in rejects if reject not in self._seen]
        else:
            new = [r for r in rejects if (r.file, r.row) not in self._rows]
        new = new[: max(self.room, 0)]
        self.kept += new
        self._seen.update(new)
        self._rows.update((reject.file, reject.row) for reject in new)


def write_rejects(rejects: Iterable[Reject], out: TextIO, *, has_header: bool = True) -> None:
    """The rejects as CSV."""
    writer = csv.writer(out, lineterminator="\n")
    if has_header:
        writer.writerow(["file", "row", "column", "reason"])
    for reject in rejects:
        writer.writerow(
            [
                _as_text(reject.file),
                reject.row,
                _as_text(reject.column or ""),
                _as_text(reject.reason),
            ]
        )


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
