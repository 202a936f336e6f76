"""Products and the categories they are in. Price, cost and SKU here are what a variant inherits."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shop_api.models.base import (
    amount_rank,
    created_and_updated,
    external_id,
    instant,
    metadata,
    money,
    row_id,
    search_document,
    search_index,
    tenant_foreign_key,
    tenant_id,
    tenant_primary_key,
    version,
)

# Pages of products show all of them.
MAX_IMAGES = 100

# Last in the index of each sort: a walk along it tells by the index alone which rows it is to read.
FLAGS = ("is_in_stock", "has_variants")

products = Table(
    "products",
    metadata,
    tenant_id(),
    row_id(),
    # byte order, so that keyset paging and the index agree whatever the database's locale
    Column("name", Text(collation="C"), nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("sku", Text, nullable=True),
    money("price"),
    money("compare_price", nullable=True),
    money("cost_price", nullable=True),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    amount_rank("price"),
    # which tax rates apply
    Column("tax_class", Text, nullable=False, server_default=text("'standard'")),
    # over all variants and locations, refreshed after stock has moved: lists sort by it
    Column("available_quantity", BigInteger, nullable=False, server_default=text("0")),
    # of the variants and their stock, kept by triggers (migrations/product_flags.py): some can be
    # sold, and there are several
    Column("is_in_stock", Boolean, nullable=False, server_default=text("false")),
    Column("has_variants", Boolean, nullable=False, server_default=text("false")),
    # from the lake, as of what `product_stats` says; NULL where nothing is known
    money("total_sales", default="0"),
    amount_rank("total_sales"),
    Column("profit_margin_ratio", Numeric(24, 6), nullable=True),
    Column("conversion_rate_ratio", Numeric(9, 6), nullable=True),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("seo", JSONB, nullable=False, server_default=text("'{}'")),
    external_id(),
    version(),
    *created_and_updated(),
    search_document("tenant_id, ARRAY[name, sku], tags, ARRAY[description]"),
    tenant_primary_key(),
    UniqueConstraint("tenant_id", "sku"),
    UniqueConstraint("tenant_id", "external_id"),
    CheckConstraint("status IN ('draft', 'active', 'archived')", name="status"),
    CheckConstraint("price >= 0", name="price"),
    CheckConstraint("compare_price >= 0", name="compare_price"),
    CheckConstraint("cost_price >= 0", name="cost_price"),
    search_index("products"),
    Index("ix_products_created_at", "tenant_id", "created_at", "id", *FLAGS),
    # what is no longer sold or not yet: few of many
    Index(
        "ix_products_unlisted",
        "tenant_id",
        "status",
        "created_at",
        "id",
        postgresql_where=text("status <> 'active'"),
    ),
    Index("ix_products_updated_at", "tenant_id", "updated_at", "id", *FLAGS),
    Index("ix_products_price", "tenant_id", "price_rank", "id", *FLAGS),
    Index("ix_products_name", "tenant_id", "name", "id", *FLAGS),
    Index("ix_products_total_sales", "tenant_id", "total_sales_rank", "id", *FLAGS),
    Index("ix_products_available_quantity", "tenant_id", "available_quantity", "id", *FLAGS),
    # those of few are looked up
    Index("ix_products_flags", "tenant_id", *FLAGS),
)

# Rare tags are looked up in it; a key begins with its tenant (migrations/search.py).
Index(
    "ix_products_tags",
    func.tag_keys(products.c.tenant_id, products.c.tags),
    postgresql_using="gin",
    postgresql_with={"gin_pending_list_limit": 512},
    postgresql_where=text("tags <> '{}'"),
)

# Up to when a tenant's sales are in the figures of its products; no row: none are yet.
product_stats = Table(
    "product_stats",
    metadata,
    tenant_id(),
    Column("snapshot_id", BigInteger, nullable=False),
    # of the lake's files they were read from: other files, other figures
    Column("files_digest", Text, nullable=False),
    instant("as_of"),
    instant("updated_at"),
    PrimaryKeyConstraint("tenant_id"),
)

product_images = Table(
    "product_images",
    metadata,
    tenant_id(),
    row_id(),
    Column("product_id", Uuid, nullable=False),
    # the variant it shows; NULL: the product as a whole
    Column("variant_id", Uuid, nullable=True),
    Column("url", Text, nullable=False),
    Column("alt_text", Text, nullable=False, server_default=text("''")),
    Column("position", Integer, nullable=False, server_default=text("0")),
    # in pixels
    Column("width", Integer, nullable=True),
    Column("height", Integer, nullable=True),
    version(),
    *created_and_updated(),
    tenant_primary_key(),
    tenant_foreign_key("product_id", "products", ondelete="CASCADE"),
    tenant_foreign_key("variant_id", "variants", ondelete="SET NULL (variant_id)"),
    Index("ix_product_images_product_id", "tenant_id", "product_id", "position", "id"),
    Index(
        "ix_product_images_variant_id",
        "tenant_id",
        "variant_id",
        postgresql_where=text("variant_id IS NOT NULL"),
    ),
)

product_categories = Table(
    "product_categories",
    metadata,
    tenant_id(),
    Column("product_id", Uuid, nullable=False),
    Column("category_id", Uuid, nullable=False),
    PrimaryKeyConstraint("tenant_id", "product_id", "category_id"),
    tenant_foreign_key("product_id", "products", ondelete="CASCADE"),
    tenant_foreign_key("category_id", "categories", ondelete="CASCADE"),
    Index("ix_product_categories_category_id", "tenant_id", "category_id", "product_id"),
)
