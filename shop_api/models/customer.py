"""Customers of a tenant, and their address books."""

from sqlalchemy import Boolean, Column, Index, Table, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY

from shop_api.models.base import (
    created_and_updated,
    external_id,
    instant,
    metadata,
    row_id,
    search_document,
    search_index,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
    version,
)

# One customer's book holds no more, whoever fills it.
MAX_ADDRESSES = 50

customers = Table(
    "customers",
    metadata,
    tenant_id(),
    row_id(),
    Column("email", Text, nullable=True),
    Column("first_name", Text, nullable=False, server_default=text("''")),
    Column("last_name", Text, nullable=False, server_default=text("''")),
    Column("phone", Text, nullable=True),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    external_id(),
    # since then the row is a pseudonym: it says nothing of the person
    instant("erased_at", nullable=True),
    version(),
    *created_and_updated(),
    search_document("tenant_id, ARRAY[first_name, last_name, email], ARRAY[phone], tags"),
    tenant_primary_key(),
    UniqueConstraint("tenant_id", "email"),
    UniqueConstraint("tenant_id", "external_id"),
    search_index("customers"),
    Index("ix_customers_created_at", "tenant_id", "created_at", "id"),
    Index("ix_customers_updated_at", "tenant_id", "updated_at", "id"),
)

# An imported address has the id of its customer, so that the next import finds it.
customer_addresses = Table(
    "customer_addresses",
    metadata,
    tenant_id(),
    row_id(),
    Column("customer_id", Uuid, nullable=False),
    Column("recipient", Text, nullable=True),
    Column("company", Text, nullable=True),
    Column("phone", Text, nullable=True),
    # what the customer calls it
    Column("label", Text, nullable=True),
    # an imported one may know less than an entered one
    Column("line1", Text, nullable=True),
    Column("line2", Text, nullable=True),
    Column("city", Text, nullable=True),
    Column("region", Text, nullable=True),
    Column("postal_code", Text, nullable=True),
    Column("country", Text, nullable=True),
    Column("is_default_shipping", Boolean, nullable=False, server_default=text("false")),
    Column("is_default_billing", Boolean, nullable=False, server_default=text("false")),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    tenant_foreign_key("customer_id", "customers", ondelete="CASCADE"),
    Index("ix_customer_addresses_customer_id", "tenant_id", "customer_id", "created_at", "id"),
    Index(
        "uq_customer_addresses_default_shipping",
        "tenant_id",
        "customer_id",
        unique=True,
        postgresql_where=text("is_default_shipping"),
    ),
    Index(
        "uq_customer_addresses_default_billing",
        "tenant_id",
        "customer_id",
        unique=True,
        postgresql_where=text("is_default_billing"),
    ),
)
