"""UUIDv7 ids for many rows at once, in the order they are taken.

Belongs here: ids of one import. Does not: ids of single rows (kernel/ids.py).
"""

import os
from datetime import datetime

PER_MILLISECOND = 4096
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class IdSequence:
    """Ids that begin at an instant and count on: 4 096 for each millisecond (RFC 9562 §6.2).

    The last 62 bits of each are random, so that two imports of the same instant do not meet.
    """

    def __init__(self, now: datetime) -> None:
        self._first_millisecond = int(now.timestamp() * 1000)
        self._taken = 0

    def take(self, count: int) -> list[str]:
        """The next `count` ids, as text."""
        first = self._taken
        self._taken += count
        noise = os.urandom(8 * count).hex()
        head = ""
        ids = []
        for place in range(first, first + count):
            counter = place % PER_MILLISECOND
            if counter == 0 or not head:
                stamp = f"{self._first_millisecond + place // PER_MILLISECOND:012x}"
                head = f"{stamp[:8]}-{stamp[8:]}-7"
            i = 16 * (place - first)
            variant = _VARIANTS[noise[i]]
            ids.append(
                f"{head}{counter:03x}-{variant}{noise[i + 1 : i + 4]}-{noise[i + 4 : i + 16]}"
            )
        return ids
