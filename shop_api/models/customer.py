"""Customers of a tenant."""

from sqlalchemy import Column, Index, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shop_api.models.base import (
    created_and_updated,
    external_id,
    metadata,
    row_id,
    search_document,
    search_index,
    tenant_id,
    tenant_primary_key,
    version,
)

customers = Table(
    "customers",
    metadata,
    tenant_id(),
    row_id(),
    Column("email", Text, nullable=True),
    Column("first_name", Text, nullable=False, server_default=text("''")),
    Column("last_name", Text, nullable=False, server_default=text("''")),
    Column("phone", Text, nullable=True),
    # {"line1", "line2", "city", "region", "postal_code", "country"} or NULL
    Column("address", JSONB(none_as_null=True), nullable=True),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    external_id(),
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
