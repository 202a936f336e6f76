"""The read side of the lake: contracts, file lists, metrics, dashboards, reports. No Flask.

`open_lake` is what an analyst starts from. It comes with Polars, which the api does not load, so
it is imported by who asks for it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analytics.tenant_lake import open_lake

__all__ = ["open_lake"]


def __getattr__(name: str) -> Any:
    if name == "open_lake":
        from analytics import tenant_lake

        return tenant_lake.open_lake
    raise AttributeError(f"module 'analytics' has no attribute {name!r}")
