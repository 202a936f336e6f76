"""One tenant's lake for people: its files, SQL over its tables, and the answers of the dashboard.

Belongs here: what a notebook starts from. Does not: how anything is computed (dashboard/), and
plotting. `shop_api` serves the same answers over HTTP.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deltalake.exceptions import DeltaError

from analytics.contracts import CONTRACTS
from analytics.currencies import currency_digits
from analytics.dashboard.answers import build_dashboard, build_revenue
from analytics.dashboard.customers import build_customers
from analytics.dashboard.question import AnalyticsRequest
from analytics.engine import Engine, Row
from analytics.lake import Lake, Snapshot

MAKE_ONE = "Make one with: shop-api lake snapshot TENANT --json > lake.json"


@dataclass(frozen=True, slots=True)
class Regional:
    """What of a tenant its figures depend on."""

    timezone: str
    currency: str


class TenantLake:
    """A tenant's tables at one published snapshot: reading the same again gives the same."""

    def __init__(
        self, location: str, tenant_id: str, snapshot: Snapshot, regional: Regional
    ) -> None:
        self.tenant_id = tenant_id
        self.snapshot = snapshot
        self.regional = regional
        self._lake = Lake(location)
        self._engine = Engine(location)

    def files(self, table: str, start: date | None = None, end: date | None = None) -> list[str]:
        """The Parquet files of `table`, for Polars, DuckDB or anything else that reads Parquet.

        With bounds, those that can hold rows of [start, end): rows still need the condition.
        """
        if table not in CONTRACTS:
            raise KeyError(f"no table {table!r}; there are {', '.join(CONTRACTS)}")
        return self._lake.files(table, self.snapshot, self.tenant_id, start, end)

    def sql(self, statement: str, **parameters: Any) -> list[Row]:
        """The rows of a SELECT over the tables by their names; `$name` takes a parameter."""
        tables = {table: self.files(table) for table in CONTRACTS}
        return self._engine.run(statement, tables, parameters)

    def dashboard(self, **question: Any) -> dict[str, Any]:
        """The dashboard, with the parameters of AnalyticsRequest: period, start, end, basis, …"""
        return build_dashboard(self._engine, self._lake, self._request(question))

    def revenue(self, **question: Any) -> dict[str, Any]:
        """The sales metrics, in total and over time, with the same parameters."""
        return build_revenue(self._engine, self._lake, self._request(question))

    def customers(self, **question: Any) -> dict[str, Any]:
        """Who ordered and came back, cohorts, segments, worth, with the same parameters."""
        return build_customers(self._engine, self._lake, self._request(question))

    def _request(self, question: dict[str, Any]) -> AnalyticsRequest:
        return AnalyticsRequest(
            tenant_id=self.tenant_id,
            snapshot=self.snapshot,
            timezone=self.regional.timezone,
            currency=self.regional.currency,
            currency_digits=currency_digits(self.regional.currency),
            now=question.pop("now", self.snapshot.as_of),
            **question,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engine.close()


class LakeNotFoundError(Exception):
    """There is no such lake here, or nothing of the tenant in it; the message says what to do."""


def open_lake(source: str | Path | Mapping[str, Any]) -> TenantLake:
    """A tenant's lake, as `shop-api lake snapshot TENANT --json` describes it: a file, or its JSON.

    "Today" is the day of the snapshot's `as_of`: a notebook shows the same whenever it runs.
    Raises LakeNotFoundError where the file, the lake's folder or the tenant's files are not there.
    """
    described = source if isinstance(source, Mapping) else _read_description(Path(source))
    try:
        row = described["snapshot"]
        as_of = datetime.fromisoformat(row["as_of"]).astimezone(UTC)
        snapshot = Snapshot(int(row["id"]), as_of, row["versions"])
        regional = Regional(described["timezone"], described["currency"])
        location, tenant_id = described["location"], str(described["tenant_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise LakeNotFoundError(f"This describes no lake ({error}). {MAKE_ONE}") from error
    lake = TenantLake(location, tenant_id, snapshot, regional)
    try:
        has_files = any(lake.files(table) for table in CONTRACTS)
    except (OSError, DeltaError) as error:
        raise LakeNotFoundError(
            f"There is no lake with snapshot {snapshot.id} at {location}: it was moved, or tidied"
            f" up since. {MAKE_ONE}"
        ) from error
    if not has_files:
        raise LakeNotFoundError(
            f"Nothing of the tenant {tenant_id} is in snapshot {snapshot.id} at {location}: it has"
            " sold nothing yet, or is another installation's."
        )
    return lake


def _read_description(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise LakeNotFoundError(f"There is no file {path.absolute()}. {MAKE_ONE}") from None
    except ValueError as error:
        raise LakeNotFoundError(f"{path} is not JSON. {MAKE_ONE}") from error
