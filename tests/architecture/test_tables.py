"""Every table belongs to tenants or is listed as the platform's; amounts and times are exact."""

import pytest
from sqlalchemy import DateTime, Enum, Float, ForeignKeyConstraint, Numeric, Table, UniqueConstraint

from shop_api.models import PLATFORM_TABLES, metadata

TENANT_TABLES = sorted(
    (table for table in metadata.tables.values() if table.name not in PLATFORM_TABLES),
    key=lambda table: table.name,
)

# The tenant itself: its id is the tenant.
OWN_TENANT_COLUMN = {"tenants": "id"}

# Indexes that do not lead with the tenant: what looks them up does not know it yet, or looks across
# all tenants.
ACROSS_TENANTS = {
    "uq_tenants_slug": "a slug names a tenant",
    "ix_tenants_created_at": "the platform lists all tenants",
    "ix_users_email": "an address signs in before its tenant is known",
    "uq_api_keys_key_hash": "a key is presented before its tenant is known",
    "uq_refresh_tokens_token_hash": "a token is presented before its tenant is known",
    "ix_products_search": "a word in it begins with its tenant",
    "ix_customers_search": "a word in it begins with its tenant",
    "ix_api_usage_xid": "the lake is told of the usage of all tenants",
    "ix_stock_movements_xid": "the lake is told of the movements of all tenants",
    "ix_events_xid": "readers of the spine follow all tenants",
    "uq_invitations_token_hash": "a token is presented before its tenant is known",
    "ix_orders_hold_expires_at": "the worker looks for orders of all tenants",
    "ix_notices_number": "the worker tells all tenants, each in order",
    "ix_jobs_open": "the worker looks for open jobs of all tenants",
    "ix_pipeline_run_shares_started_at": "the housekeeping looks at all tenants",
}

every_tenant_table = pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)


@every_tenant_table
def test_the_tenant_leads_the_primary_key(table: Table) -> None:
    first = next(iter(table.primary_key.columns))
    assert first.name == OWN_TENANT_COLUMN.get(table.name, "tenant_id")
    assert not first.nullable


@every_tenant_table
def test_the_tenant_leads_every_index(table: Table) -> None:
    leading = {str(index.name): next(iter(index.columns)).name for index in table.indexes} | {
        str(constraint.name): next(iter(constraint.columns)).name
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    others = {name for name, column in leading.items() if column != "tenant_id"}
    assert others <= ACROSS_TENANTS.keys()


@every_tenant_table
def test_references_cannot_cross_tenants(table: Table) -> None:
    for constraint in table.constraints:
        if isinstance(constraint, ForeignKeyConstraint):
            assert constraint.elements[0].parent.name == "tenant_id"
            column = constraint.elements[0].column
            assert column.name == OWN_TENANT_COLUMN.get(column.table.name, "tenant_id")


def test_exceptions_are_still_needed() -> None:
    names = {
        str(name)
        for table in TENANT_TABLES
        for name in [*(i.name for i in table.indexes), *(c.name for c in table.constraints)]
    }
    assert names >= ACROSS_TENANTS.keys()
    assert metadata.tables.keys() >= PLATFORM_TABLES - {"alembic_version"}


def test_no_amount_is_a_float_and_money_has_four_digits() -> None:
    for table in metadata.tables.values():
        for column in table.columns:
            where = f"{table.name}.{column.name}"
            assert not isinstance(column.type, Float), where
            if isinstance(column.type, Numeric) and not column.name.endswith("_ratio"):
                # of exchange, which is no amount
                scale = 10 if column.name.endswith("rate") else 4
                assert (column.type.precision, column.type.scale) == (18, scale), where


def test_times_know_their_zone_and_enums_are_text() -> None:
    for table in metadata.tables.values():
        for column in table.columns:
            where = f"{table.name}.{column.name}"
            assert not isinstance(column.type, Enum), where
            if isinstance(column.type, DateTime):
                assert column.type.timezone, where
