"""Documents kept in the process with the versions of the rows they were made from.

Belongs here: keeping the newest of each, within bytes. Does not: what a document is made of, nor
which versions its rows have now: whoever reads asks the database for them each time, so what is
kept is used only while it is what the database would make again.
"""

import sys
import threading
from typing import NamedTuple

# of a key, its versions and their places in a dictionary
ENTRY_OVERHEAD_BYTES = 400


class KeptDocument(NamedTuple):
    """A document, and the versions of its rows."""

    versions: str
    text: str


class KeptDocuments:
    """The documents asked for of late, in two halves: when the young half is full, the old one is
    forgotten. What is asked for in the old half becomes young again.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._half_bytes = limit_bytes // 2
        self._lock = threading.Lock()
        self._young: dict[str, KeptDocument] = {}
        self._old: dict[str, KeptDocument] = {}
        self._young_bytes = 0

    def find(self, key: str) -> KeptDocument | None:
        """The document last kept by this key."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.keep(key, found)
        return found

    def keep(self, key: str, document: KeptDocument) -> None:
        """Keep a document in the place of the one before it."""
        size = sys.getsizeof(document.text) + len(document.versions) + ENTRY_OVERHEAD_BYTES
        if size > self._half_bytes:
            return
        with self._lock:
            if self._young_bytes + size > self._half_bytes:
                self._old, self._young, self._young_bytes = self._young, {}, 0
            # one that is replaced is counted still: a half is full a little early
            self._young_bytes += size
            self._young[key] = document

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())
