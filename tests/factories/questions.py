"""Questions to the lake that can be answered, by operation."""

from collections.abc import Callable
from typing import Any

from tests.fixtures.api import Shop

QUESTION_BODIES: dict[str, Callable[[Shop], dict[str, Any]]] = {
    "query_figures": lambda _: {
        "metrics": ["net_sales", "units"],
        "dimensions": ["product"],
        "filters": [{"dimension": "channel", "operator": "in", "values": ["web"]}],
    },
}
