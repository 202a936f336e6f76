"""The category tree."""

from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from shop_api.models.base import (
    created_and_updated,
    external_id,
    metadata,
    row_id,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
    version,
)

# A tree goes no deeper: what reads it walks it level by level.
MAX_CATEGORY_LEVELS = 10


def category_tree_lock(tenant_id: UUID) -> str:
    """The name of the advisory lock that whoever moves categories of the tenant holds."""
    return f"category tree {tenant_id}"


categories = Table(
    "categories",
    metadata,
    tenant_id(),
    row_id(),
    Column("parent_id", Uuid, nullable=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("position", Integer, nullable=False, server_default=text("0")),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    external_id(),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    tenant_foreign_key("parent_id", "categories"),
    UniqueConstraint("tenant_id", "slug"),
    UniqueConstraint("tenant_id", "external_id"),
    CheckConstraint("parent_id <> id", name="not_own_parent"),
    Index("ix_categories_created_at", "tenant_id", "created_at", "id"),
    Index("ix_categories_name", "tenant_id", "name", "id"),
    Index("ix_categories_position", "tenant_id", "position", "id"),
    Index("ix_categories_parent_id", "tenant_id", "parent_id", "created_at", "id"),
    Index(
        "ix_categories_roots",
        "tenant_id",
        "created_at",
        "id",
        postgresql_where=text("parent_id IS NULL"),
    ),
)
