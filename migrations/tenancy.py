"""The wall between tenants, as every migration raises it on its new tables.

Belongs here: roles, grants and row-level security. Does not: tables (the revisions).
"""

from sqlalchemy import Connection

ROLES = ("shop_migrator", "shop_app", "shop_exporter")

# The tenant of the transaction. After a transaction the setting is '' and not NULL, hence NULLIF.
# In a sub-select it is looked up once for a statement; without, once for each row's sub-queries.
CURRENT_TENANT = "(SELECT NULLIF(current_setting('app.tenant_id', true), '')::uuid)"

# Digits of ISO 4217 currencies; shop_api.kernel.money has the same table, a test holds them equal.
CURRENCY_DIGITS = """
CREATE FUNCTION currency_digits(currency text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF',
                          'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        WHEN currency IN ('CLF', 'UYW') THEN 4
        ELSE 2
    END
"""

# How amounts and instants are written in JSON made by Postgres, the same as by the application.
JSON_VALUES = """
CREATE FUNCTION json_money(amount numeric, currency text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN round(amount, currency_digits(currency));
CREATE FUNCTION json_instant(instant timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
"""


def check_roles(connection: Connection) -> None:
    """Refuse to go on without the three roles: an administrator makes them."""
    found = set(
        connection.exec_driver_sql(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(ROLES),)
        ).scalars()
    )
    missing = [role for role in ROLES if role not in found]
    if missing:
        raise RuntimeError(
            f"database roles missing: {', '.join(missing)}."
            " Run migrations/roles.sql as an administrator, then migrate again."
        )


def protect(
    connection: Connection,
    *tables: str,
    tenant_column: str = "tenant_id",
    app_may: str = "SELECT, INSERT, UPDATE, DELETE",
    exporter: bool = False,
) -> None:
    """Row-level security on tenant tables, forced on the owner too, and the grants that go with it.

    `shop_app` sees and writes only rows of the transaction's tenant. `shop_exporter` may read all
    rows of tables the lake is made from (`exporter`), and nothing of the others.
    """
    for table in tables:
        connection.exec_driver_sql(f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY tenant ON {table} TO shop_app
                USING ({tenant_column} = {CURRENT_TENANT})
                WITH CHECK ({tenant_column} = {CURRENT_TENANT});
            CREATE POLICY migrator ON {table} TO shop_migrator USING (true) WITH CHECK (true);
            GRANT {app_may} ON {table} TO shop_app;
        """)
        if exporter:
            connection.exec_driver_sql(f"""
                CREATE POLICY exporter ON {table} FOR SELECT TO shop_exporter USING (true);
                GRANT SELECT ON {table} TO shop_exporter;
            """)


def protect_recorded(connection: Connection, *tables: str) -> None:
    """The same for what the pipelines record of tenants: the exporter writes and reads the rows of
    all, the application reads those of the transaction's tenant."""
    protect(connection, *tables, app_may="SELECT")
    for table in tables:
        connection.exec_driver_sql(f"""
            CREATE POLICY exporter ON {table} TO shop_exporter USING (true) WITH CHECK (true);
            GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO shop_exporter;
        """)


def share_platform_table(connection: Connection, table: str) -> None:
    """Grants of a table of no tenant: the exporter writes it, the application reads it."""
    connection.exec_driver_sql(f"""
        GRANT SELECT ON {table} TO shop_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO shop_exporter;
    """)
