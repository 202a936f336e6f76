"""The names of timezones that tenants and imports may use.

Belongs here: the list. Does not: what a zone's clocks tell (analytics/periods.py).
"""

from functools import cache
from importlib.resources import files

# Means that no zone was chosen.
NO_ZONES = frozenset({"Factory"})


@cache
def timezones() -> frozenset[str]:
    """The zones a tenant may be in: those of the package tzdata, of which the figures' days are.

    The zones of the host are of another edition, and stand beside the machine's own and copies with
    other leap seconds.
    """
    names = (files("tzdata") / "zones").read_text(encoding="utf-8").split()
    return frozenset(names) - NO_ZONES
