"""Running an import in a test, and reading what it left."""

from pathlib import Path
from typing import Any
from uuid import UUID

from shop_api.bulk.importer import Summary, import_digest, run_import
from shop_api.bulk.journal import open_local_job
from shop_api.bulk.locks import import_session
from shop_api.bulk.mapping import Mapping
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.clock import utc_now
from shop_api.spine.unit_of_work import Origin
from tests.fixtures.stores import Database

WRITTEN_TABLES = (
    *("categories", "products", "product_categories", "variants", "stock_levels"),
    *("stock_movements", "customers", "orders", "order_lines", "payments", "refunds"),
    *("refund_lines", "customer_addresses", "product_images"),
)


def import_folder(database: Database, tenant_id: UUID, folder: Path, mapping: Mapping) -> Summary:
    """Import a folder as the command line does it."""
    origin = Origin(tenant_id, "system:test", "test", utc_now())
    summary = Summary()
    params = {"digest": import_digest(folder, mapping)}
    with import_session(database.engine, tenant_id) as single:
        journal = open_local_job(database.engine, database.waker, origin, "test", params)
        run_import(single, journal, folder, mapping, summary)
    return summary


def query(database: Database, tenant_id: UUID, statement: str) -> list[Any]:
    """Rows of the tenant, as plain tuples."""
    with tenant_session(database.engine, tenant_id) as session:
        return [tuple(row) for row in session.connection.exec_driver_sql(statement)]


def fingerprint(database: Database, tenant_id: UUID) -> dict[str, str]:
    """A digest of every table an import writes, versions and times included."""
    return {
        table: query(
            database,
            tenant_id,
            "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)),"
            f" '') FROM {table} t",
        )[0][0]
        for table in WRITTEN_TABLES
    }
