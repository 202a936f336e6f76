"""Making and changing tenants; knows no HTTP."""

import logging
import threading
import time
from typing import Any

from sqlalchemy import Engine, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.deadlines import deadline
from shop_api.db.outages import describe
from shop_api.domains.tenants import errors
from shop_api.domains.tenants.repository import TenantRepository, list_origins
from shop_api.domains.users.service import create_user
from shop_api.kernel.errors import DomainError, not_found
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import UnitOfWork

logger = logging.getLogger(__name__)

# How long the list of origins is good for, at least: longer where it takes long to read, so that
# no more than this part of a thread's time goes into it.
ORIGIN_SECONDS = 2.0
READING_SHARE = 0.1
# How long it may take to read: two origins of each of 10 000 tenants take 35 ms and 4 MB, of
# 100 000 tenants 0.4 s and 24 MB.
READING_SECONDS = 2.0


class OriginDirectory:
    """Which browser origins some tenant lists: asked before a credential is known (preflights,
    sign-in), by anybody and for any origin.

    So the process holds all of them, 20 of a tenant at most, and reads them anew when it is asked
    and they are old. One thread does; the others are answered as of before, as all are while
    Postgres is away.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._listed: frozenset[str] = frozenset()
        self._read_next_at = 0.0
        self._reading = threading.Lock()

    def is_known(self, origin: str) -> bool:
        """Whether a tenant lists `origin`."""
        # who comes before it was read for the first time waits for that
        if time.monotonic() >= self._read_next_at and self._reading.acquire(
            blocking=not self._read_next_at
        ):
            try:
                if time.monotonic() >= self._read_next_at:
                    self._read()
            finally:
                self._reading.release()
        return origin in self._listed

    def _read(self) -> None:
        started, pause = time.monotonic(), ORIGIN_SECONDS
        try:
            with deadline.within(READING_SECONDS), self.engine.begin() as connection:
                self._listed = list_origins(connection)
            pause = max(pause, (time.monotonic() - started) / READING_SHARE)
        except (DBAPIError, PoolTimeoutError) as error:
            logger.warning("cannot read the origins of tenants: %s", describe(error))
        except DomainError as error:
            logger.warning("cannot read the origins of tenants: %s", error.code)
        self._read_next_at = time.monotonic() + pause


def create_tenant(work: UnitOfWork, values: dict[str, Any], owner: dict[str, str]) -> Row[Any]:
    """A tenant with its owner, counters and default location, in the platform's transaction.

    `values`: name, slug, plan, currency, timezone, and `rate_limits` if it has its own; `owner`:
    email, name, password.
    """
    tenant_id = new_id(work.now)
    with work.as_tenant(tenant_id) as inner:
        tenants = inner.repository(TenantRepository)
        tenants.add({**values, "created_at": work.now, "updated_at": work.now})
        create_user(inner, owner["email"], owner["name"], "owner", owner["password"])
        inner.append("tenant_created", "tenant", tenant_id, {"tenant_id": str(tenant_id)})
        row = tenants.find()
        if row is None:
            raise LookupError("the tenant just inserted is not visible")
        inner.audit("tenant_created", "tenant", tenant_id, None, row.body)
    return row


def change_tenant(work: UnitOfWork, values: dict[str, Any], before: Row[Any]) -> Row[Any]:
    """Change what `values` names; the new resource row.

    Raises `currency_in_use` once something is priced. The tenant's row is locked: whoever prices
    something for the first time waits (`CatalogRepository.tenant_terms`).
    """
    if not values:
        return before
    tenants = work.repository(TenantRepository)
    if values.get("currency", before.currency) != before.currency:
        holders = tenants.list_priced()
        if holders:
            raise errors.currency_in_use(holders)
    tenants.change({**values, "updated_at": work.now})
    work.append(
        "tenant_updated",
        "tenant",
        work.tenant_id,
        {"tenant_id": str(work.tenant_id), "changes": sorted(values)},
    )
    row = tenants.find()
    if row is None:
        raise not_found("tenant")
    work.audit("tenant_updated", "tenant", work.tenant_id, before.body, row.body)
    return row
