"""Roles, tenants, people, credentials, idempotency and audit."""

from alembic import op

from migrations.search import DOCUMENTS
from migrations.tenancy import CURRENCY_DIGITS, JSON_VALUES, check_roles, protect

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE tenants (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    plan TEXT NOT NULL,
    currency TEXT NOT NULL,
    timezone TEXT NOT NULL,
    prices_include_tax BOOLEAN DEFAULT false NOT NULL,
    cors_origins TEXT[] DEFAULT '{}' NOT NULL,
    settings JSONB DEFAULT '{}' NOT NULL,
    rate_limits JSONB DEFAULT '{}' NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_tenants PRIMARY KEY (id),
    CONSTRAINT uq_tenants_slug UNIQUE (slug),
    CONSTRAINT ck_tenants_plan CHECK (plan IN ('free', 'basic', 'pro', 'enterprise')),
    CONSTRAINT ck_tenants_currency CHECK (currency ~ '^[A-Z]{3}$')
);
CREATE TABLE tenant_counters (
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    value BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_tenant_counters PRIMARY KEY (tenant_id, name)
);
CREATE TABLE users (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    disabled_at TIMESTAMP WITH TIME ZONE,
    signed_out_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_users_tenant_id_email UNIQUE (tenant_id, email),
    CONSTRAINT ck_users_role CHECK (role IN ('owner', 'admin', 'staff', 'analyst', 'viewer'))
);
CREATE INDEX ix_users_created_at ON users (tenant_id, created_at, id);
CREATE INDEX ix_users_email ON users (email);
CREATE TABLE api_keys (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    prefix TEXT NOT NULL,
    key_hash BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    public_key BYTEA,
    requires_signature BOOLEAN DEFAULT false NOT NULL,
    certificate_fingerprint BYTEA,
    replaced_by UUID,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_api_keys PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_api_keys_tenant_id_replaced_by FOREIGN KEY(tenant_id, replaced_by) REFERENCES api_keys (tenant_id, id),
    CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash),
    CONSTRAINT ck_api_keys_kind CHECK (kind IN ('secret', 'publishable')),
    CONSTRAINT ck_api_keys_signature CHECK (public_key IS NOT NULL OR NOT requires_signature)
);
CREATE INDEX ix_api_keys_created_at ON api_keys (tenant_id, created_at, id);
CREATE TABLE refresh_tokens (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    family_id UUID NOT NULL,
    token_hash BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_refresh_tokens PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_refresh_tokens_tenant_id_user_id FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_refresh_tokens_token_hash UNIQUE (token_hash)
);
CREATE INDEX ix_refresh_tokens_family_id ON refresh_tokens (tenant_id, family_id);
CREATE INDEX ix_refresh_tokens_revoked ON refresh_tokens (tenant_id, family_id) WHERE revoked_at IS NOT NULL;
CREATE TABLE idempotency_records (
    tenant_id UUID NOT NULL,
    key_digest BYTEA NOT NULL,
    request_digest BYTEA NOT NULL,
    status SMALLINT NOT NULL,
    headers JSONB NOT NULL,
    body BYTEA NOT NULL,
    is_encrypted BOOLEAN DEFAULT false NOT NULL,
    is_composed BOOLEAN DEFAULT false NOT NULL,
    request_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_idempotency_records PRIMARY KEY (tenant_id, key_digest)
);
CREATE INDEX ix_idempotency_records_expires_at ON idempotency_records (tenant_id, expires_at);
CREATE TABLE audit_entries (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    action TEXT NOT NULL,
    subject_type TEXT NOT NULL,
    subject_id UUID,
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    changes JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_audit_entries PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ix_audit_entries_created_at ON audit_entries (tenant_id, created_at, id);
CREATE INDEX ix_audit_entries_action ON audit_entries (tenant_id, action, created_at, id);
CREATE INDEX ix_audit_entries_actor ON audit_entries (tenant_id, actor, created_at, id);
CREATE INDEX ix_audit_entries_subject_type ON audit_entries (tenant_id, subject_type, created_at, id);
CREATE INDEX ix_audit_entries_subject_id ON audit_entries (tenant_id, subject_id, created_at, id) WHERE subject_id IS NOT NULL;
CREATE INDEX ix_audit_entries_request_id ON audit_entries (tenant_id, request_id);
"""


# A credential is presented before its tenant is known: the row is visible to whoever names its exact
# hash (or e-mail) for this transaction, and to nobody else.
LOOKUPS = """
CREATE POLICY credential_lookup ON api_keys FOR SELECT TO shop_app
    USING (encode(key_hash, 'hex') = NULLIF(current_setting('app.credential', true), ''));
CREATE POLICY credential_lookup ON refresh_tokens FOR SELECT TO shop_app
    USING (encode(token_hash, 'hex') = NULLIF(current_setting('app.credential', true), ''));
CREATE POLICY credential_lookup ON users FOR SELECT TO shop_app
    USING (email = NULLIF(current_setting('app.login_email', true), ''));
CREATE POLICY credential_lookup ON tenants FOR SELECT TO shop_app
    USING (slug = NULLIF(current_setting('app.login_tenant', true), ''));
"""

# What the realtime process asks of its listeners: row-level security shows each tenant's actors to
# the turn that acts for it. The dead (revoked, expired, disabled, deleted) are left out.
STANDINGS = """
CREATE FUNCTION list_standings(tenants uuid[], actors uuid[], sign_ins uuid[],
        at_instant timestamptz)
    RETURNS TABLE (tenant_id uuid, actor text, scopes text[], role text, signed_out_at timestamptz,
        ended_sign_ins uuid[])
    LANGUAGE plpgsql SET search_path = pg_catalog, public
    AS $$
    #variable_conflict use_column
    DECLARE
        turn record;
    BEGIN
        FOR turn IN
            SELECT a.tenant, array_agg(a.id) AS ids, array_agg(a.sign_in) AS sign_ins
            FROM unnest(tenants, actors, sign_ins) a (tenant, id, sign_in) GROUP BY a.tenant
        LOOP
            PERFORM set_config('app.tenant_id', turn.tenant::text, true);
            RETURN QUERY
            SELECT k.tenant_id, 'api_key:' || k.id, k.scopes, NULL::text, NULL::timestamptz,
                NULL::uuid[]
            FROM api_keys k
            WHERE k.tenant_id = turn.tenant AND k.id = ANY (turn.ids) AND k.revoked_at IS NULL
                AND (k.expires_at IS NULL OR k.expires_at > at_instant)
            UNION ALL
            SELECT u.tenant_id, 'user:' || u.id, NULL::text[], u.role, u.signed_out_at, e.ended
            FROM users u LEFT JOIN (
                SELECT r.user_id, array_agg(DISTINCT r.family_id) AS ended FROM refresh_tokens r
                WHERE r.tenant_id = turn.tenant AND r.family_id = ANY (turn.sign_ins)
                    AND r.revoked_at IS NOT NULL
                GROUP BY r.user_id
            ) e ON e.user_id = u.id
            WHERE u.tenant_id = turn.tenant AND u.id = ANY (turn.ids) AND u.disabled_at IS NULL;
        END LOOP;
        PERFORM set_config('app.tenant_id', '', true);
    END $$;
REVOKE ALL ON FUNCTION list_standings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_standings TO shop_app;
"""

# A statement that waits for a row begins that row's plan anew. So the counter is updated by a
# statement of its own, and not by the one that records a mutation, whose plan is long (ADR 0020).
# NULL without a counter.
COUNTERS = """
CREATE FUNCTION draw_numbers(tenant uuid, counter text, wanted bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, public
    AS $$
    DECLARE
        last bigint;
    BEGIN
        UPDATE tenant_counters SET value = value + wanted
        WHERE tenant_id = tenant AND name = counter RETURNING value INTO last;
        RETURN last;
    END $$;
REVOKE ALL ON FUNCTION draw_numbers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION draw_numbers TO shop_app;
"""


def upgrade() -> None:
    connection = op.get_bind()
    check_roles(connection)
    connection.exec_driver_sql(CURRENCY_DIGITS)
    connection.exec_driver_sql(JSON_VALUES)
    connection.exec_driver_sql(DOCUMENTS)
    connection.exec_driver_sql(TABLES)
    protect(connection, "tenants", tenant_column="id", exporter=True)
    protect(connection, "tenant_counters")
    protect(connection, "users", "api_keys", "refresh_tokens", "idempotency_records")
    protect(connection, "audit_entries", app_may="SELECT, INSERT")
    connection.exec_driver_sql(LOOKUPS)
    connection.exec_driver_sql(STANDINGS)
    connection.exec_driver_sql(COUNTERS)
