"""SQL of batches: whether their answers may be kept."""

from datetime import datetime

from shop_api.db.tenancy import Repository, TenantSession

HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xid"
# `xid` says what was not committed yet; the two instants, which rows to look at.
HAS_ERASED = """
SELECT EXISTS (
    SELECT FROM events WHERE tenant_id = %(tenant_id)s AND type = 'customer_erased'
    AND xid >= %(horizon)s::text::xid8
    AND recorded_at BETWEEN %(since)s AND clock_timestamp()
) AS has_erased
"""


def find_horizon(session: TenantSession) -> str:
    """The oldest transaction that runs now: all before it are seen by whoever reads."""
    [row] = session.fetch(HORIZON, {})
    found: str = row.xid
    return found


class BatchRepository(Repository):
    """What happens at one tenant while a batch runs."""

    def has_erased(self, horizon: str, since: datetime) -> bool:
        """Whether a customer was erased after the horizon, by a request that came after `since`.

        What a batch was told meanwhile may be of them.
        """
        [row] = self.session.fetch(
            HAS_ERASED, {"tenant_id": self.tenant_id, "horizon": horizon, "since": since}
        )
        found: bool = row.has_erased
        return found
