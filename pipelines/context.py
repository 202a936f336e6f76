"""What every run of the lake needs.

Belongs here: the database, the folder and the hooks of one process. Does not: running (runner.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Engine

from analytics.contracts import CONTRACTS
from analytics.store import Store
from pipelines.sinks.delta import LakeTable
from pipelines.sinks.manifests import Manifests
from shop_api.spine.jobs import AfterPublish


def _no_step(_: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class LakeContext:
    """One process's hold on the lake. Its tables keep their logs in memory between runs."""

    # shop_exporter
    engine: Engine
    # a folder, or s3://bucket/path
    location: str
    # orders a year from which a tenant is partitioned by month
    month_rows: int
    # how long storefront events stay
    traffic_retention: timedelta = timedelta(days=400)
    # how long replaced files stay, beside those that a lease names
    retention_hours: int = 1
    # what the bucket needs
    storage_options: Mapping[str, str] | None = None
    # called with the tenants a snapshot changed, after it is published
    after_publish: list[AfterPublish] = field(default_factory=list)
    # told each step as it begins: "lake_export", "commit orders", "publish", …
    on_step: Callable[[str], None] = _no_step
    store: Store = field(init=False)
    tables: dict[str, LakeTable] = field(init=False)
    manifests: Manifests = field(init=False)

    def __post_init__(self) -> None:
        store = Store(self.location, self.storage_options)
        tables = {name: LakeTable(store, contract) for name, contract in CONTRACTS.items()}
        object.__setattr__(self, "store", store)
        object.__setattr__(self, "tables", tables)
        object.__setattr__(self, "manifests", Manifests(store))
