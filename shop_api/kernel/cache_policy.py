"""How long the answers of a read may be kept, and what they are made from.

Belongs here: the values an endpoint declares. Does not: the policies (web/cache_policies.py) and
the keeping (gateway).
"""

from collections.abc import Set
from dataclasses import dataclass

# The parameter that asks for an answer made now.
REAL_TIME = "real_time"


@dataclass(frozen=True, slots=True)
class Ingredient:
    """What of a tenant's data (spine/resources.py) is in an answer."""

    resource: str
    # only in answers to credentials with this scope; None: in all
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What one class of reads may keep.

    Kept by tenant, by what the credential may see, path and query. An answer `follows_lake` or is
    made from `ingredients`; it is not used any more when what it is made from has changed.
    """

    keep_seconds: float
    ingredients: tuple[Ingredient, ...] = ()
    # made from the figures of the lake: its endpoint says which version they are
    follows_lake: bool = False
    # dear to make: kept for other processes, too, and made once for all who ask at the same time
    is_shared: bool = False

    def resources(self, scopes: Set[str]) -> tuple[str, ...]:
        """What the answers to a credential with these scopes are made from."""
        return tuple(
            part.resource for part in self.ingredients if part.scope is None or part.scope in scopes
        )
