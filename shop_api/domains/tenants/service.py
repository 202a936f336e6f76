"""Making and changing tenants; knows no HTTP."""

import logging
import time
from typing import Any

from sqlalchemy import Engine, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.outages import describe
from shop_api.domains.tenants import errors
from shop_api.domains.tenants.repository import TenantRepository, is_origin_listed
from shop_api.domains.users.service import create_user
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import UnitOfWork

logger = logging.getLogger(__name__)

ORIGIN_SECONDS = 5.0
MAX_ORIGINS = 1000


class OriginDirectory:
    """Which browser origins some tenant lists: asked before a credential is known (preflights,
    sign-in). An answer is kept for a moment; while Postgres is away no origin is known.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._kept: dict[str, tuple[float, bool]] = {}

    def is_known(self, origin: str) -> bool:
        """Whether a tenant lists `origin`."""
        now = time.monotonic()
        kept = self._kept.get(origin)
        if kept is not None and kept[0] > now:
            return kept[1]
        try:
            with self.engine.begin() as connection:
                is_listed = is_origin_listed(connection, origin)
        except (DBAPIError, PoolTimeoutError) as error:
            logger.warning("cannot look up an origin: %s", describe(error))
            return False
        if len(self._kept) >= MAX_ORIGINS:
            self._kept.clear()
        self._kept[origin] = (now + ORIGIN_SECONDS, is_listed)
        return is_listed


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
