"""One tenant's lake for people: frames, relations and SQL over its tables, and the dashboard's
answers.

Belongs here: what a notebook starts from. Does not: how anything is computed (dashboard/), and
plotting. `shop_api` serves the same answers over HTTP.
"""

import re
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import polars as pl

from analytics.access import LakeAccess, access_from_environment, with_http
from analytics.asked_tables import tables_in, told_of_tables, with_nearest_names
from analytics.contracts import CONTRACTS
from analytics.contracts.contract import OlderFile
from analytics.currencies import currency_digits
from analytics.dashboard.answers import build_dashboard, build_orders, build_revenue
from analytics.dashboard.customers import build_customers
from analytics.dashboard.question import AnalyticsRequest
from analytics.dashboard.traffic import build_traffic
from analytics.engine import BadStatement, Engine, Relation, Row, check_select
from analytics.frames import polars_schema
from analytics.leases import Leases
from analytics.manifest import ManifestLake, Opened, read_manifest, read_opened, read_owner
from analytics.periods import BadParameter
from analytics.query.asked import Asked, Filter, check, refused_values
from analytics.query.figures import build_figures
from analytics.reports.products import ProductOptions, build_products
from analytics.store import Store

# Of somebody at a screen: what takes longer is better cut into parts.
DEADLINE_SECONDS = 600.0
# Snapshots that may follow each other while a lake is opened.
OPENING_ATTEMPTS = 5
TENANT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a lake knows of a question by itself.
OWN = {"tenant_id", "snapshot", "timezone", "currency_digits"}
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Regional:
    """What of a tenant its figures depend on."""

    timezone: str
    currency: str


class LakeNotFoundError(Exception):
    """There is no such lake here, or nothing of the tenant in it; the message says what to do."""


class LakeClosedError(Exception):
    """It was closed; the message says what to do."""


class TenantLake:
    """A tenant's tables at one published snapshot: reading the same again gives the same.

    While it is open, the files of its snapshot are not deleted.
    """

    def __init__(self, access: LakeAccess, store: Store, opened: Opened, leases: Leases) -> None:
        manifest = opened.manifest
        self.location = store.location
        self.tenant_id = manifest.tenant_id
        self.slug = manifest.slug
        self.snapshot = opened.snapshot
        self.regional = Regional(manifest.timezone, manifest.currency)
        self._store = store
        self._lake = ManifestLake(store, manifest)
        self._open = ExitStack()
        self._open.callback(leases.close)
        self._mirror = access.mirror(store)
        if self._mirror is not None:
            self._open.callback(self._mirror.close)
        own = [f"{table}/tenant_id={self.tenant_id}/" for table in CONTRACTS]
        self._engine = Engine(store, mirror=self._mirror, within=own)
        self._open.callback(self._engine.close)
        # also when it is dropped: a notebook that forgot it would hold its files as long as it runs
        self._finalizer = weakref.finalize(self, self._open.close)
        # files of a bucket that are here, until this is closed
        self._local: dict[str, str] = {}

    def scan(self, table: str, start: date | None = None, end: date | None = None) -> pl.LazyFrame:
        """A table as a Polars frame, which reads what the question needs when it is collected.

        With bounds it leaves out files that cannot hold rows of [start, end): rows still need the
        condition.
        """
        uris = self._uris(table, start, end)
        schema = polars_schema(CONTRACTS[table])
        if not uris:
            return pl.LazyFrame(schema=schema)
        options = self._store.options
        scanned = pl.scan_parquet(
            [str(uri) for uri in uris],
            hive_partitioning=False,
            storage_options=options,
            schema=schema,
            missing_columns="insert",
        )
        return scanned.select(list(schema))

    def relation(self, table: str, start: date | None = None, end: date | None = None) -> Relation:
        """A table as a DuckDB relation, to be used while this lake is open; bounds as in `scan`."""
        files = self.files(table, start, end)
        return self._engine.relation(table, [OlderFile(path) for path in files])

    def files(self, table: str, start: date | None = None, end: date | None = None) -> list[str]:
        """The Parquet files of `table` on this machine, for anything that reads Parquet.

        With bounds as in `scan`. Files of a bucket are fetched, and stay until this is closed.
        """
        uris = self._uris(table, start, end)
        if self._mirror is None:
            return [str(uri) for uri in uris]
        missing = [uri for uri in uris if uri not in self._local]
        self._local |= self._open.enter_context(self._mirror.held(missing))
        return [self._local[uri] for uri in uris]

    def sql(self, statement: str, **parameters: Any) -> list[Row]:
        """The rows of a SELECT over the tables by their names; `$name` takes a parameter.

        SHOW TABLES and DESCRIBE tell which tables there are, and of which columns.
        """
        self._require_open()
        told = told_of_tables(statement)
        if told is not None:
            return told
        check_select(statement)
        named = tables_in(statement)
        tables = {table: self._uris(table) for table in named}
        try:
            return self._engine.run(
                statement, tables, parameters, deadline_seconds=DEADLINE_SECONDS
            )
        except BadStatement as error:
            raise BadStatement(with_nearest_names(str(error), named)) from error

    def dashboard(self, **question: Any) -> dict[str, Any]:
        """The dashboard of a `period`, or of the days from `start` until before `end`.

        Further parameters: `interval`, `compare`, `basis`, `currency`, `converted`, `channel`, as
        the API has them. Days are dates, or their text.
        """
        return build_dashboard(self._engine, self._lake, self._request(question))

    def revenue(self, **question: Any) -> dict[str, Any]:
        """The sales metrics, in total and over time, with the same parameters."""
        return build_revenue(self._engine, self._lake, self._request(question))

    def orders(self, **question: Any) -> dict[str, Any]:
        """Orders by status and what they come to, with the same parameters."""
        return build_orders(self._engine, self._lake, self._request(question))

    def products(
        self, *, limit: int = 20, offset: int = 0, sort: str = "gross_sales", **question: Any
    ) -> dict[str, Any]:
        """What each product sold, its share and class, with the same parameters; a page."""
        options = ProductOptions(limit=limit, offset=offset, sort=sort)
        return build_products(self._engine, self._lake, self._request(question), options)

    def traffic(self, **question: Any) -> dict[str, Any]:
        """Sessions, the funnel, sources and pages, with the same parameters and `include_bots`."""
        return build_traffic(self._engine, self._lake, self._request(question))

    def query(
        self,
        metrics: Sequence[str],
        dimensions: Sequence[str] = (),
        *,
        filters: Mapping[str, Sequence[str | None]] | None = None,
        limit: int = 1000,
        **question: Any,
    ) -> dict[str, Any]:
        """Metrics by dimensions, as `POST /analytics/query` answers, with the same parameters.

        `filters`: of a dimension the values that count.
        """
        asked = Asked(
            metrics=tuple(metrics),
            dimensions=tuple(dimensions),
            filters=tuple(Filter(name, tuple(ones)) for name, ones in (filters or {}).items()),
            limit=limit,
        )
        check(asked)
        for place, number, detail in refused_values(asked.filters):
            raise BadParameter(f"filters/{place}/values/{number}", detail)
        return build_figures(self._engine, self._lake, self._request(question), asked)

    def customers(self, **question: Any) -> dict[str, Any]:
        """Who ordered and came back, cohorts, segments, worth, with the same parameters."""
        return build_customers(self._engine, self._lake, self._request(question))

    def close(self) -> None:
        """Give back the files and what reads them."""
        self._finalizer()

    def _require_open(self) -> None:
        if not self._finalizer.alive:
            raise LakeClosedError(
                "This lake is closed: close() was called, or its `with` has ended. Open it anew"
                " with open_lake(…), and read what you need before the end."
            )

    def _uris(self, table: str, start: date | None = None, end: date | None = None) -> list[str]:
        self._require_open()
        if table not in CONTRACTS:
            raise KeyError(f"no table {table!r}; there are {', '.join(CONTRACTS)}")
        return self._lake.files(table, self.snapshot, self.tenant_id, start, end)

    def _request(self, question: dict[str, Any]) -> AnalyticsRequest:
        self._require_open()
        known = {field.name for field in fields(AnalyticsRequest)} - OWN
        unknown = sorted(question.keys() - known)
        if unknown:
            raise TypeError(f"no parameter {unknown[0]!r}; there are {', '.join(sorted(known))}")
        days = {
            name: date.fromisoformat(day)
            for name in ("start", "end")
            if isinstance(day := question.get(name), str)
        }
        currency = question.get("currency", self.regional.currency)
        own = {
            "tenant_id": self.tenant_id,
            "snapshot": self.snapshot,
            "timezone": self.regional.timezone,
            "currency": currency,
            "currency_digits": currency_digits(currency),
            "now": self.snapshot.as_of,
            "deadline_seconds": DEADLINE_SECONDS,
        }
        return AnalyticsRequest(**{**own, **question, **days})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_lake(
    tenant: str,
    location: str | Path | None = None,
    storage_options: Mapping[str, str] | None = None,
) -> TenantLake:
    """The lake of a tenant, given by slug or id, at the newest snapshot. No service need run.

    `location`: a folder or s3://bucket/path; else SHOP_LAKE_URL, or `lake` in SHOP_DATA_DIR.
    `storage_options` as Polars takes them; else SHOP_LAKE_… and AWS_… from the environment.
    "Today" is the day of the snapshot's `as_of`: a notebook shows the same whenever it runs.
    Raises LakeNotFoundError where there is no lake, no such tenant, or no right to read it.
    """
    access = access_from_environment(location)
    if storage_options is not None:
        access = replace(access, storage_options=with_http(storage_options))
    return open_with(access, tenant)


def open_with(access: LakeAccess, tenant: str) -> TenantLake:
    """The same, of a lake whose place and credentials are known."""
    store = access.store()
    try:
        tenant_id = _tenant_id(store, tenant)
        opened, leases = _leased(store, tenant_id)
    except FileNotFoundError as error:
        raise LakeNotFoundError(
            f"There is no tenant {tenant!r} in a lake at {store.location}: nothing was published"
            " there, or it is another installation's. Name the lake by SHOP_LAKE_URL, or its"
            " folder by SHOP_DATA_DIR."
        ) from error
    except PermissionError as error:
        raise LakeNotFoundError(
            f"These credentials give no right to a tenant {tenant!r} in the lake at"
            f" {store.location}, if there is one: {error}"
        ) from error
    except OSError as error:
        raise LakeNotFoundError(f"The lake at {store.location} cannot be read: {error}") from error
    except msgspec.DecodeError as error:
        raise LakeNotFoundError(
            f"What the lake at {store.location} tells of the tenant {tenant!r} is damaged, or of"
            f" another release: {error}. To have it written anew: shop-api lake rebuild"
        ) from error
    try:
        return TenantLake(access, store, opened, leases)
    except BaseException:
        leases.close()
        raise


def _tenant_id(store: Store, tenant: str) -> str:
    if TENANT_ID.fullmatch(tenant):
        return tenant
    if SLUG.fullmatch(tenant) is None:
        raise FileNotFoundError(f"{tenant!r} is neither a slug nor an id")
    tenant_id = read_owner(store, tenant)
    if read_manifest(store, tenant_id).slug != tenant:
        raise FileNotFoundError(f"{tenant} is the slug of no tenant any more")
    return tenant_id


def _leased(store: Store, tenant_id: str) -> tuple[Opened, Leases]:
    """The newest files, under a lease that was taken while they were the newest.

    So whoever tidies up has either seen the lease, or done it before these files were replaced.
    """
    opened = read_opened(store, tenant_id)
    leases = Leases(store, tenant_id)
    try:
        for _ in range(OPENING_ATTEMPTS):
            leases.take(opened.snapshot)
            again = read_opened(store, tenant_id)
            if again.snapshot.id == opened.snapshot.id:
                break
            leases.release(opened.snapshot)
            opened = again
        else:
            leases.take(opened.snapshot)
    except BaseException:
        leases.close()
        raise
    return opened, leases
