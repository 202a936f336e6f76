"""Categories, products, variants and stock."""

from alembic import op

from migrations.product_flags import create_product_flags
from migrations.search import create_search, create_tag_search
from migrations.tenancy import protect

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE categories (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    parent_id UUID,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    position INTEGER DEFAULT 0 NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL,
    external_id TEXT,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_categories PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_categories_tenant_id_parent_id FOREIGN KEY(tenant_id, parent_id) REFERENCES categories (tenant_id, id),
    CONSTRAINT uq_categories_tenant_id_slug UNIQUE (tenant_id, slug),
    CONSTRAINT uq_categories_tenant_id_external_id UNIQUE (tenant_id, external_id),
    CONSTRAINT ck_categories_not_own_parent CHECK (parent_id <> id)
);
CREATE INDEX ix_categories_created_at ON categories (tenant_id, created_at, id);
CREATE INDEX ix_categories_name ON categories (tenant_id, name, id);
CREATE INDEX ix_categories_position ON categories (tenant_id, position, id);
CREATE INDEX ix_categories_parent_id ON categories (tenant_id, parent_id, created_at, id);
CREATE INDEX ix_categories_roots ON categories (tenant_id, created_at, id) WHERE parent_id IS NULL;
CREATE TABLE products (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    sku TEXT,
    price NUMERIC(18, 4) NOT NULL,
    compare_price NUMERIC(18, 4),
    cost_price NUMERIC(18, 4),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    price_rank BIGINT GENERATED ALWAYS AS ((price * 10000)::bigint) STORED,
    tax_class TEXT DEFAULT 'standard' NOT NULL,
    available_quantity BIGINT DEFAULT 0 NOT NULL,
    is_in_stock BOOLEAN DEFAULT false NOT NULL,
    has_variants BOOLEAN DEFAULT false NOT NULL,
    total_sales NUMERIC(18, 4) DEFAULT 0 NOT NULL,
    total_sales_rank BIGINT GENERATED ALWAYS AS ((total_sales * 10000)::bigint) STORED,
    profit_margin_ratio NUMERIC(24, 6),
    conversion_rate_ratio NUMERIC(9, 6),
    tags TEXT[] DEFAULT '{}' NOT NULL,
    seo JSONB DEFAULT '{}' NOT NULL,
    external_id TEXT,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    search TSVECTOR GENERATED ALWAYS AS (search_document(tenant_id, ARRAY[name, sku], tags, ARRAY[description])) STORED,
    CONSTRAINT pk_products PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_products_tenant_id_sku UNIQUE (tenant_id, sku),
    CONSTRAINT uq_products_tenant_id_external_id UNIQUE (tenant_id, external_id),
    CONSTRAINT ck_products_status CHECK (status IN ('draft', 'active', 'archived')),
    CONSTRAINT ck_products_price CHECK (price >= 0),
    CONSTRAINT ck_products_compare_price CHECK (compare_price >= 0),
    CONSTRAINT ck_products_cost_price CHECK (cost_price >= 0)
);
CREATE INDEX ix_products_search ON products USING gin (search) WITH (gin_pending_list_limit = 512);
CREATE INDEX ix_products_tags ON products USING gin (tag_keys(tenant_id, tags)) WITH (gin_pending_list_limit = 512) WHERE tags <> '{}';
CREATE INDEX ix_products_created_at ON products (tenant_id, created_at, id, is_in_stock, has_variants);
CREATE INDEX ix_products_name ON products (tenant_id, name, id, is_in_stock, has_variants);
CREATE INDEX ix_products_price ON products (tenant_id, price_rank, id, is_in_stock, has_variants);
CREATE INDEX ix_products_unlisted ON products (tenant_id, status, created_at, id) WHERE status <> 'active';
CREATE INDEX ix_products_updated_at ON products (tenant_id, updated_at, id, is_in_stock, has_variants);
CREATE INDEX ix_products_total_sales ON products (tenant_id, total_sales_rank, id, is_in_stock, has_variants);
CREATE INDEX ix_products_available_quantity ON products (tenant_id, available_quantity, id, is_in_stock, has_variants);
CREATE INDEX ix_products_flags ON products (tenant_id, is_in_stock, has_variants);
CREATE TABLE product_stats (
    tenant_id UUID NOT NULL,
    snapshot_id BIGINT NOT NULL,
    files_digest TEXT NOT NULL,
    as_of TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_product_stats PRIMARY KEY (tenant_id)
);
CREATE TABLE product_categories (
    tenant_id UUID NOT NULL,
    product_id UUID NOT NULL,
    category_id UUID NOT NULL,
    CONSTRAINT pk_product_categories PRIMARY KEY (tenant_id, product_id, category_id),
    CONSTRAINT fk_product_categories_tenant_id_product_id FOREIGN KEY(tenant_id, product_id) REFERENCES products (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_product_categories_tenant_id_category_id FOREIGN KEY(tenant_id, category_id) REFERENCES categories (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_product_categories_category_id ON product_categories (tenant_id, category_id, product_id);
CREATE TABLE variants (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    product_id UUID NOT NULL,
    title TEXT NOT NULL,
    sku TEXT,
    price NUMERIC(18, 4),
    cost_price NUMERIC(18, 4),
    options JSONB DEFAULT '[]' NOT NULL,
    position INTEGER DEFAULT 0 NOT NULL,
    track_quantity BOOLEAN DEFAULT true NOT NULL,
    allow_backorder BOOLEAN DEFAULT false NOT NULL,
    low_stock_alert INTEGER,
    weight_grams INTEGER,
    external_id TEXT,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_variants PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_variants_tenant_id_product_id FOREIGN KEY(tenant_id, product_id) REFERENCES products (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_variants_tenant_id_sku UNIQUE (tenant_id, sku),
    CONSTRAINT uq_variants_tenant_id_external_id UNIQUE (tenant_id, external_id),
    CONSTRAINT ck_variants_price CHECK (price >= 0),
    CONSTRAINT ck_variants_cost_price CHECK (cost_price >= 0),
    CONSTRAINT ck_variants_weight_grams CHECK (weight_grams >= 0)
);
CREATE INDEX ix_variants_product_id ON variants (tenant_id, product_id, position, id);
CREATE INDEX ix_variants_low_stock_alert ON variants (tenant_id, id) WHERE low_stock_alert IS NOT NULL;
CREATE TABLE product_images (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    product_id UUID NOT NULL,
    variant_id UUID,
    url TEXT NOT NULL,
    alt_text TEXT DEFAULT '' NOT NULL,
    position INTEGER DEFAULT 0 NOT NULL,
    width INTEGER,
    height INTEGER,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_product_images PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_product_images_tenant_id_product_id FOREIGN KEY(tenant_id, product_id) REFERENCES products (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_product_images_tenant_id_variant_id FOREIGN KEY(tenant_id, variant_id) REFERENCES variants (tenant_id, id) ON DELETE SET NULL (variant_id)
);
CREATE INDEX ix_product_images_product_id ON product_images (tenant_id, product_id, position, id);
CREATE INDEX ix_product_images_variant_id ON product_images (tenant_id, variant_id) WHERE variant_id IS NOT NULL;
CREATE TABLE locations (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    code TEXT NOT NULL,
    is_default BOOLEAN DEFAULT false NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_locations PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_locations_tenant_id_code UNIQUE (tenant_id, code)
);
CREATE INDEX ix_locations_created_at ON locations (tenant_id, created_at, id);
CREATE UNIQUE INDEX uq_locations_default ON locations (tenant_id) WHERE is_default;
CREATE TABLE stock_levels (
    tenant_id UUID NOT NULL,
    variant_id UUID NOT NULL,
    location_id UUID NOT NULL,
    quantity INTEGER DEFAULT 0 NOT NULL,
    reserved INTEGER DEFAULT 0 NOT NULL,
    is_backordered BOOLEAN DEFAULT false NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_stock_levels PRIMARY KEY (tenant_id, variant_id, location_id),
    CONSTRAINT fk_stock_levels_tenant_id_variant_id FOREIGN KEY(tenant_id, variant_id) REFERENCES variants (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_stock_levels_tenant_id_location_id FOREIGN KEY(tenant_id, location_id) REFERENCES locations (tenant_id, id),
    CONSTRAINT ck_stock_levels_quantity CHECK (quantity >= 0 OR is_backordered),
    CONSTRAINT ck_stock_levels_reserved CHECK (reserved >= 0)
);
CREATE TABLE stock_movements (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    variant_id UUID NOT NULL,
    location_id UUID NOT NULL,
    quantity_delta INTEGER NOT NULL,
    reserved_delta INTEGER NOT NULL,
    reason TEXT NOT NULL,
    order_id UUID,
    actor TEXT NOT NULL,
    note TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_stock_movements PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_stock_movements_reason CHECK (reason IN ('reserved', 'released', 'sold', 'returned', 'adjusted', 'imported', 'correction', 'recount', 'received', 'damaged', 'lost'))
);
CREATE INDEX ix_stock_movements_created_at ON stock_movements (tenant_id, created_at, id);
CREATE INDEX ix_stock_movements_order_id ON stock_movements (tenant_id, order_id, created_at, id) WHERE order_id IS NOT NULL;
CREATE INDEX ix_stock_movements_variant_id ON stock_movements (tenant_id, variant_id, created_at, id);
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)
    create_search(connection, "products", "d.name", "d.status")
    create_tag_search(connection)
    create_product_flags(connection)
    protect(
        connection,
        "categories",
        "products",
        "product_stats",
        "product_categories",
        "variants",
        "product_images",
        "locations",
        "stock_levels",
        exporter=True,
    )
    protect(connection, "stock_movements", app_may="SELECT, INSERT", exporter=True)
