"""The export of changed orders from a small and a large shop, and a whole rebuild (DESIGN §7).

What changes is what changes in a shop: its latest orders. Both shops stand in databases of their
own, so that their runs can alternate.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from sqlalchemy import Engine, text

from benchmarks.lake_data import LakeData, lake_of
from benchmarks.lake_shop import add_tenant
from benchmarks.measure import Result, paired
from benchmarks.postgres_copy import copy_orders
from benchmarks.servers import Stores, fresh_stores
from pipelines.context import LakeContext
from pipelines.runner import run_export, run_rebuild
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.spine.unit_of_work import Origin, unit_of_work
from shop_api.spine.versions import ResourceVersions
from shop_api.spine.waker import Waker

SMALL_ORDERS = 20_000
LARGE_ORDERS = 200_000
CHANGED = 1_000
MONTH_ROWS = 200_000
ROUNDS = 5

CHANGE = """
UPDATE orders SET channel = CASE channel WHEN 'web' THEN 'pos' ELSE 'web' END,
    version = version + 1, updated_at = :now
WHERE tenant_id = :tenant AND id IN (
    SELECT id FROM orders WHERE tenant_id = :tenant ORDER BY placed_at DESC LIMIT :count)
RETURNING id
"""
# The columns a rebuild reads, by table.
EXPORTED = {
    "orders": "id, number, customer_id, status, payment_status, fulfillment_status, channel,"
    " currency, base_currency, exchange_rate, placed_at, completed_at, cancelled_at, subtotal,"
    " discount_total, shipping_total, shipping_tax_total, tax_total, tax_included, total,"
    " refunded_total, shipping_address",
    "order_lines": "id, order_id, product_id, variant_id, location_id, quantity, unit_price,"
    " unit_cost, subtotal, discount_total, tax_rate_ratio, tax_total, tax_included, total",
    "order_discounts": "id, order_id, discount_id, position, code, kind, title, line_amounts,"
    " shipping_amount",
    "payments": "id, order_id, method, provider, status, amount, currency, created_at",
    "refunds": "id, order_id, amount, shipping_amount, tax_amount, currency, created_at",
    "refund_lines": "id, refund_id, order_line_id, quantity, amount",
    "fulfillments": "id, order_id, carrier, created_at",
    "fulfillment_lines": "fulfillment_id, order_line_id, quantity",
    "categories": "id, parent_id, name",
    "products": "id, name, sku, status, price, cost_price, currency, created_at",
    "product_categories": "product_id, category_id",
    "variants": "id, product_id, title, sku, cost_price, created_at",
    "stock_levels": "variant_id, location_id, quantity, reserved",
    "stock_movements": "id, variant_id, location_id, quantity_delta, reserved_delta, reason,"
    " order_id, created_at",
    "customers": "id, created_at",
    "customer_addresses": "customer_id, country, region, is_default_shipping",
    "exchange_rates": "id, currency, rate, effective_at, created_at",
    "api_usage": "hour, method, route, status_class, requests, refusals, cache_hits,"
    " request_bytes, response_bytes, duration_microseconds",
}


@dataclass(frozen=True)
class ExportedShop:
    """A shop whose lake is up to date."""

    stores: Stores
    tenant_id: UUID
    engine: Engine
    waker: Waker
    lake: LakeContext

    def export_changes(self) -> float:
        """Seconds of a run in which the latest orders have changed."""
        self._change(utc_now())
        started = time.perf_counter()
        outcome = run_export(self.lake, utc_now())
        seconds = time.perf_counter() - started
        if outcome.state != "published" or outcome.rows_written["orders"] < CHANGED:
            raise RuntimeError(f"not the run that was to be measured: {outcome}")
        return seconds

    def rebuild(self) -> float:
        """Seconds of a lake from nothing."""
        started = time.perf_counter()
        run_rebuild(self.lake, utc_now())
        return time.perf_counter() - started

    def copy_out(self) -> float:
        """Seconds Postgres takes to hand out the same columns as text."""
        started = time.perf_counter()
        with psycopg.connect(self.stores.postgres.exporter_url) as connection:
            for table, columns in EXPORTED.items():
                with connection.cursor().copy(f"COPY {table} ({columns}) TO STDOUT") as copy:
                    for _ in copy:
                        pass
        return time.perf_counter() - started

    def _change(self, now: datetime) -> None:
        origin = Origin(self.tenant_id, "system:bench", "bench", now)
        values = {"now": now, "tenant": self.tenant_id, "count": CHANGED}
        with unit_of_work(self.engine, self.waker, origin) as work:
            changed = work.session.execute(text(CHANGE), values).scalars().all()
            for order_id in changed:
                work.append("order_updated", "order", order_id, {"id": str(order_id)})


def measure_export(stores: Stores) -> list[Result]:
    """Incremental runs, the large shop's beside the small one's; a rebuild beside COPY."""
    with (
        fresh_stores() as small_stores,
        _exported(small_stores, lake_of(2 * SMALL_ORDERS)) as small,
        _exported(stores, lake_of(2 * LARGE_ORDERS)) as large,
    ):
        seconds, floor, ratio = paired(large.export_changes, small.export_changes, ROUNDS)
        rebuilt, copied, _ = paired(large.rebuild, large.copy_out, rounds=3)
    return [
        Result(
            f"export of {CHANGED:,} changed orders of {LARGE_ORDERS:,} / of {SMALL_ORDERS:,}",
            seconds * 1000,
            floor * 1000,
            "ms",
            ratio,
            1.5,
            is_at_most=True,
        ),
        Result(
            f"rebuild of {LARGE_ORDERS:,} orders / COPY TO of the same columns",
            LARGE_ORDERS / rebuilt,
            LARGE_ORDERS / copied,
            "orders/s",
            copied / rebuilt,
            0.5,
        ),
    ]


@contextmanager
def _exported(stores: Stores, data: LakeData) -> Iterator[ExportedShop]:
    shop = add_tenant(stores, data.tenant_ids[0])
    copy_orders(stores, data)
    with exporting(stores, shop.tenant_id, str(stores.folder / "lake")) as found:
        run_export(found.lake, utc_now())
        # the first incremental run reads what later ones know
        found.export_changes()
        yield found


@contextmanager
def exporting(stores: Stores, tenant_id: UUID, location: str) -> Iterator[ExportedShop]:
    """A shop in Postgres with its lake at a folder, up to date or not yet there."""
    settings = stores.settings()
    application, exporter = (
        make_engine(url, settings, statement_timeout_seconds=300)
        for url in (stores.postgres.application_url, stores.postgres.exporter_url)
    )
    waker = Waker(stores.postgres.application_url, ResourceVersions(RequestRedis(stores.redis_url)))
    lake = LakeContext(exporter, location, MONTH_ROWS)
    try:
        yield ExportedShop(stores, tenant_id, application, waker, lake)
    finally:
        waker.stop()
        application.dispose()
        exporter.dispose()
