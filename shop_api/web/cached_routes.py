"""Which policy the reads of a path have.

Belongs here: from paths to policies. Does not: the policies (cache_policies.py).
"""

import re
from collections.abc import Iterable

from shop_api.kernel.cache_policy import CachePolicy

_ID = re.compile("<id:[^>]*>")
_ANY_ID = "[0-9a-f-]{36}"


class CachedRoutes:
    """The policies of templates, whose variables are ids alone."""

    def __init__(self, routes: Iterable[tuple[str, CachePolicy]]) -> None:
        self._by_path: dict[str, CachePolicy] = {}
        self._patterns = []
        for template, policy in routes:
            if "<" in template:
                self._patterns.append((re.compile(_ID.sub(_ANY_ID, template)).fullmatch, policy))
            else:
                self._by_path[template] = policy

    def find(self, path: str) -> CachePolicy | None:
        """The policy of a path's reads."""
        policy = self._by_path.get(path)
        if policy is not None:
            return policy
        return next((policy for matches, policy in self._patterns if matches(path)), None)
