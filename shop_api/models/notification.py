"""What a tenant is told by the platform, and what waits to be told."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shop_api.models.base import (
    instant,
    metadata,
    row_id,
    tenant_id,
    tenant_primary_key,
    version,
)

notifications = Table(
    "notifications",
    metadata,
    tenant_id(),
    row_id(),
    Column("kind", Text, nullable=False),
    Column("level", Text, nullable=False),
    # what it is about: of one there is one that is not resolved. NULL: it tells of an instant
    Column("key", Text, nullable=True),
    Column("title", Text, nullable=False),
    Column("message", Text, nullable=False),
    # where in the API more is to be seen
    Column("action_url", Text, nullable=True),
    Column("data", JSONB, nullable=False),
    instant("created_at"),
    instant("read_at", nullable=True),
    # when what it tells of was over
    instant("resolved_at", nullable=True),
    version(),
    tenant_primary_key(),
    CheckConstraint("level IN ('info', 'warning', 'error')", name="level"),
    Index("ix_notifications_created_at", "tenant_id", "created_at", "id"),
    Index(
        "ix_notifications_unread",
        "tenant_id",
        "created_at",
        "id",
        postgresql_where=text("read_at IS NULL"),
    ),
    Index(
        "uq_notifications_open",
        "tenant_id",
        "key",
        unique=True,
        postgresql_where=text("resolved_at IS NULL"),
    ),
)

# What a transaction of the platform has for tenants: the worker tells each tenant its own, in the
# tenant's transaction, and then deletes it here.
notices = Table(
    "notices",
    metadata,
    tenant_id(),
    row_id(),
    # in this order a tenant is told
    Column("number", BigInteger, Identity(), nullable=False),
    # a notification, or the key of those that are over
    Column("content", JSONB, nullable=False),
    instant("created_at"),
    tenant_primary_key(),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
    Index("ix_notices_number", "number"),
)
