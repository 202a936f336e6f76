"""From a client's question to figures of the newest snapshot; knows no HTTP.

Belongs here: following the published snapshot, one engine per process, and what a kept answer
depends on. Does not: the figures (analytics).
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import Engine as DatabaseEngine
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from analytics.access import LakeAccess, access_of
from analytics.contracts import API_USAGE, CONTRACTS
from analytics.dashboard.customers import build_customers
from analytics.dashboard.question import AnalyticsRequest
from analytics.dashboard.traffic import build_traffic
from analytics.dashboard.usage import build_usage
from analytics.engine import (
    Engine,
    FilesDamaged,
    FilesGone,
    Observe,
    QueryTimeout,
    QueryTooLarge,
)
from analytics.lake import Lake, Snapshot, TableMissing, VersionGone
from analytics.leases import Leases
from analytics.metrics.definitions import METRICS
from analytics.metrics.dimensions import ASKABLE, DIMENSIONS, dimensions_of, metrics_of
from analytics.metrics.segments import SEGMENT_NAMES
from analytics.periods import (
    COMPARISONS,
    INTERVALS,
    PERIOD_NAMES,
    BadParameter,
    day_start,
    find_zone,
    local_date,
)
from analytics.query.asked import Asked, Filter, refused_values
from analytics.query.figures import build_figures
from analytics.query.opening import opened_of, read_values, written
from analytics.query.rows import build_rows
from analytics.reports.customers import SORTS as CUSTOMER_SORTS
from analytics.reports.customers import CustomerSelection, build_customer_file, build_customer_page
from analytics.reports.formats import CONTENT_TYPES, FILE_FORMATS, ReportFile
from analytics.reports.inventory import (
    ABC_CLASSES,
    ABC_METRICS,
    DEAD_AFTER_DAYS,
    INVENTORY_GROUPS,
    INVENTORY_SORTS,
    InventoryOptions,
    build_inventory,
    build_inventory_file,
)
from analytics.reports.products import PRODUCT_METRICS, ProductOptions, build_products
from analytics.reports.sales import (
    SALES_GROUPS,
    SALES_METRICS,
    SalesOptions,
    build_sales_file,
    build_sales_page,
)
from shop_api.db.outages import describe
from shop_api.db.tenancy import tenant_session
from shop_api.domains.insights import errors
from shop_api.domains.insights.repository import (
    POLL_SECONDS,
    HoldRepository,
    Present,
    find_snapshot,
    follow_snapshots,
)
from shop_api.kernel.errors import DomainError
from shop_api.kernel.money import currency_digits
from shop_api.metrics.definitions import analytics_answer_duration

__all__ = [
    "ABC_CLASSES",
    "ABC_METRICS",
    "ASKABLE",
    "COMPARISONS",
    "CONTENT_TYPES",
    "CUSTOMER_SORTS",
    "DEAD_AFTER_DAYS",
    "DIMENSIONS",
    "EXTENSION",
    "FILE_FORMATS",
    "INTERVALS",
    "INVENTORY_GROUPS",
    "INVENTORY_SORTS",
    "METRICS",
    "PERIOD_NAMES",
    "PRODUCT_METRICS",
    "SALES_GROUPS",
    "SALES_METRICS",
    "SEGMENT_NAMES",
    "Asked",
    "Build",
    "CustomerSelection",
    "Filter",
    "Insights",
    "InventoryOptions",
    "LakeAccess",
    "Observe",
    "ProductOptions",
    "Profile",
    "ReportFile",
    "SalesOptions",
    "access_of",
    "build_customer_file",
    "build_customer_page",
    "build_customers",
    "build_figures",
    "build_inventory",
    "build_inventory_file",
    "build_products",
    "build_rows",
    "build_sales_file",
    "build_sales_page",
    "build_traffic",
    "build_usage",
    "dimensions_of",
    "keep_until",
    "metrics_of",
    "opened_of",
    "read_values",
    "refused_values",
    "written",
]

# Where the application keeps its `Insights`.
EXTENSION = "shop_api.insights"
FIRST_LOOK_SECONDS = 5.0
RETRY_SECONDS = 0.5
# How long a snapshot that Postgres has may not be the present one: found, and its logs read.
MOVE_SECONDS = POLL_SECONDS + 1.0
# What kept answers are made from. Usage is not: it changes with whatever is asked.
KEPT_FROM = tuple(table for table in CONTRACTS if table != API_USAGE.name)

T = TypeVar("T")
Build = Callable[[Engine, Lake, AnalyticsRequest], T]
# A parameter's name and what is wrong with it → what a client is told.
Refuse = Callable[[str, str], DomainError]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Profile:
    """What of a tenant its figures depend on."""

    tenant_id: UUID
    currency: str
    timezone: str


class Insights:
    """The lake as one process sees it: the newest snapshot, its files, and an engine."""

    def __init__(
        self,
        database_url: str,
        database: DatabaseEngine,
        access: LakeAccess,
        *,
        memory_limit: str = "512MB",
        threads: int = 2,
        observe: Observe = nullcontext,
    ) -> None:
        self.lake = Lake(access.store())
        self._access = access
        self._leases = Leases(self.lake.store, "processes")
        self._database_url = database_url
        self._database = database
        self._memory_limit = memory_limit
        self._threads = threads
        self._observe = observe
        # replaced as a whole, so that no thread sees half of it
        self._present: Present | None = None
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None
        # Postgres is away, and that is logged
        self._is_cut_off = False
        self._has_looked = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def snapshot(self) -> Snapshot:
        """The newest published snapshot, or 503 when there is none."""
        self._start()
        self._has_looked.wait(FIRST_LOOK_SECONDS)
        if self._present is None:
            raise errors.lake_not_ready()
        return self._present.snapshot

    def snapshot_of(self, tenant_id: UUID) -> Snapshot:
        """The newest as it is to a tenant: of an earlier instant while its data is refused.

        Asked of Postgres while any tenant's is, and then once for each instant that is published.
        While Postgres is away it is of the last instant known; 503 where none ever was.
        """
        self.snapshot()
        end = time.monotonic() + MOVE_SECONDS
        while (present := self._present) is not None:
            as_of = self._as_of_seen(present, tenant_id)
            if as_of is not None:
                return present.snapshot.held_at(as_of)
            if not present.is_followed.wait(end - time.monotonic()):
                raise errors.snapshot_gone()
        raise errors.lake_not_ready()

    def _as_of_seen(self, present: Present, tenant_id: UUID) -> datetime | None:
        """None where Postgres has moved on and nothing is known from before."""
        seen = present.seen_as_of(tenant_id)
        if seen is not None:
            return seen
        known = present.known_as_of(tenant_id)
        if known is not None and self._is_cut_off:
            return known
        try:
            with tenant_session(self._database, tenant_id) as session:
                hold = HoldRepository(session).find()
        except (OperationalError, PoolTimeoutError):
            if known is None:
                raise
            return known
        return present.see(tenant_id, hold) or known

    def snapshot_named(self, engine: DatabaseEngine, snapshot_id: int, tenant_id: UUID) -> Snapshot:
        """A snapshot by its id as it is to a tenant; 422 when nothing is known of it any more."""
        newest = self.snapshot_of(tenant_id)
        if newest.id == snapshot_id:
            return newest
        found = find_snapshot(engine, snapshot_id)
        if found is None and snapshot_id > newest.id:
            raise errors.no_such_snapshot(snapshot_id, newest.id)
        if found is None:
            raise errors.named_snapshot_gone(snapshot_id)
        return found.held_at(newest.as_of)

    def answer(
        self,
        build: Build[T],
        snapshot: Snapshot,
        profile: Profile,
        parameters: Mapping[str, Any],
        now: datetime,
        deadline_seconds: float,
        refuse: Refuse = errors.invalid_parameter,
    ) -> T:
        """The answer that `build` gives of a snapshot to the parameters a client chose."""
        currency = parameters.get("currency") or profile.currency
        if parameters.get("converted") and currency != profile.currency:
            detail = f"converted figures are in {profile.currency}, the shop's own currency"
            raise refuse("currency", detail)
        chosen = {name: value for name, value in parameters.items() if name != "currency"}
        request = AnalyticsRequest(
            tenant_id=str(profile.tenant_id),
            snapshot=snapshot,
            timezone=profile.timezone,
            currency=currency,
            currency_digits=currency_digits(currency),
            now=now,
            deadline_seconds=deadline_seconds,
            **chosen,
        )
        try:
            with analytics_answer_duration.time(), self._leases.held(snapshot):
                return build(self._open_engine(), self.lake, request)
        except BadParameter as error:
            raise refuse(error.parameter, str(error)) from error
        except QueryTimeout as error:
            raise errors.deadline_exceeded() from error
        except QueryTooLarge as error:
            raise errors.query_too_large() from error
        except TableMissing as error:
            raise errors.lake_outdated() from error
        except FilesDamaged as error:
            logger.error(
                "a file of tenant %s is damaged; `shop-api lake rebuild` makes it anew: %s",
                profile.tenant_id,
                error,
            )
            raise errors.lake_damaged() from error
        except (FilesGone, VersionGone) as error:
            if isinstance(error, VersionGone):
                # a lease of what no log tells of would hold up all deleting
                self._leases.forget(snapshot)
            if self._present is not None and snapshot.id < self._present.snapshot.id:
                raise errors.named_snapshot_gone(snapshot.id) from error
            self.lake.forget()
            raise errors.snapshot_gone() from error

    def current_version(self, tenant_id: UUID) -> str | None:
        """What a tenant's figures are made from now; None when that is not known.

        It changes when the tenant's own files do, not with every snapshot: what another tenant
        sells does not spoil this one's kept answers.
        """
        if self._present is None and not self._has_looked.is_set():
            # what is not known is neither kept nor made once for all who ask
            self._start()
            self._has_looked.wait(FIRST_LOOK_SECONDS)
        present = self._present
        if present is None:
            return None
        # a UUID's hash and comparison are Python: four times as dear
        found = present.fingerprints.get(tenant_id.int)
        if found is None:
            found = self.fingerprint(present.snapshot, tenant_id)
            present.fingerprints[tenant_id.int] = found
        return found

    def fingerprint(self, snapshot: Snapshot, tenant_id: UUID) -> str:
        """Stands for the tenant's files in a snapshot; the same files, the same figures."""
        files = [self.lake.files(table, snapshot, str(tenant_id)) for table in KEPT_FROM]
        listed = "\n".join("\t".join(of_table) for of_table in files)
        # the same in every process, for they share answers
        return blake2b(listed.encode(), digest_size=8).hexdigest()

    def close(self) -> None:
        """End the thread and give back the engine."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._engine is not None:
            self._engine.close()
        self._leases.close()

    def _open_engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = Engine(
                    self.lake.store,
                    mirror=self._access.mirror(self.lake.store),
                    memory_limit=self._memory_limit,
                    threads=self._threads,
                    observe=self._observe,
                )
            return self._engine

    def _start(self) -> None:
        """Follow the snapshots from the first question on: a forked process starts its own."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._follow, name="lake-snapshots", daemon=True
                    )
                    self._thread.start()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                follow_snapshots(self._database_url, self._see, self._stopped)
            except psycopg.OperationalError as error:
                if not self._is_cut_off:
                    logger.warning(
                        "cannot follow the lake, its last snapshot stands: %s", describe(error)
                    )
                self._is_cut_off = True
            except Exception:
                logger.exception("cannot read the lake's newest snapshot, the last one stands")
            self._has_looked.set()
            self._stopped.wait(RETRY_SECONDS)

    def _see(self, snapshot: Snapshot | None, held_tenants: int) -> None:
        """Take a snapshot as the present one, once its file lists are read."""
        self._is_cut_off = False
        present = self._present
        if snapshot is not None and (present is None or present.snapshot.id != snapshot.id):
            for table in CONTRACTS:
                self.lake.tenant_ids(table, snapshot)
        following = None if snapshot is None else Present.after(present, snapshot, held_tenants)
        self._present = following
        if present is not None and following is not present:
            present.is_followed.set()
        self._has_looked.set()


def keep_until(profile: Profile, now: datetime, longest_seconds: float) -> datetime:
    """Until when an answer may be kept: the tenant's next midnight moves `today`."""
    zone = find_zone(profile.timezone)
    midnight = day_start(local_date(now, zone) + timedelta(days=1), zone)
    return min(midnight, now + timedelta(seconds=longest_seconds))
