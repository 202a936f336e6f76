"""The wall between tenants, on a migrated database: catalogue, grants, and every table tried."""

from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from shop_api.models import PLATFORM_TABLES, metadata
from tests.fixtures.stores import Database

TENANT_TABLES = sorted(metadata.tables.keys() - PLATFORM_TABLES)
TENANT_COLUMN = {"tenants": "id"}
# History: what is written there stays as it was written.
APPEND_ONLY = {"audit_entries", "events", "stock_movements"}
# What the pipelines record of tenants: the exporter's to write, the application's to read.
RECORDED = {"lake_quarantine", "notices", "pipeline_run_shares"}
# Credentials and stored answers: no facts, so nothing for the lake.
SECRETS = {"users", "api_keys", "refresh_tokens", "idempotency_records"}

every_table = pytest.mark.parametrize("table", TENANT_TABLES)


def rows(url: str, query: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query, parameters).fetchall()


def test_the_models_know_every_table(database: Database) -> None:
    found = rows(database.migrator_url, "SELECT tablename FROM pg_tables WHERE schemaname='public'")
    assert {name for (name,) in found} == metadata.tables.keys() | {"alembic_version"}


def test_row_level_security_is_forced_on_every_tenant_table(database: Database) -> None:
    protected = rows(
        database.migrator_url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND relrowsecurity AND relforcerowsecurity",
    )
    assert {name for (name,) in protected} == set(TENANT_TABLES)


@every_table
def test_the_application_is_bound_to_the_tenant_of_the_transaction(
    database: Database, table: str
) -> None:
    policies = rows(
        database.migrator_url,
        "SELECT policyname, permissive, cmd, qual, with_check FROM pg_policies"
        " WHERE tablename = %s AND roles = '{shop_app}'",
        table,
    )
    by_name = {name: rest for name, *rest in policies}
    column = TENANT_COLUMN.get(table, "tenant_id")
    tenant = "(NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid"
    expression = f'({column} = ( SELECT {tenant} AS "nullif"))'
    assert by_name.pop("tenant") == ["PERMISSIVE", "ALL", expression, expression]
    # the only other ways in: naming a row by its exact credential; and all tenants' own records,
    # for the platform and the list of origins
    of_tenants = {"platform_lookup"} if table == "tenants" else set()
    for name, (_, command, condition, _check) in by_name.items():
        assert name in {"credential_lookup"} | of_tenants
        assert command == "SELECT"
        assert "NULLIF(current_setting('app." in condition
    assert not rows(
        database.migrator_url,
        "SELECT 1 FROM pg_policies WHERE tablename = %s AND roles && '{public}'::name[]",
        table,
    )


def test_views_are_bound_like_their_reader(database: Database) -> None:
    assert not rows(
        database.migrator_url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('v', 'm')"
        " AND NOT coalesce('security_invoker=true' = ANY(reloptions), false)",
    )


def test_only_the_functions_that_search_run_with_their_owners_rights(database: Database) -> None:
    """They name the tenant of the transaction; tests/integration/test_search.py tries them."""
    found = rows(
        database.migrator_url,
        "SELECT proname, prosrc, proconfig, has_function_privilege('shop_app', oid, 'EXECUTE'),"
        " has_function_privilege('shop_exporter', oid, 'EXECUTE')"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef ORDER BY 1",
    )
    functions = ["search_customers", "search_products", "search_products_tagged"]
    assert [row[0] for row in found] == functions
    for name, source, configuration, app_may, exporter_may in found:
        tenant = "tenant uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;"
        assert tenant in source, name
        reads = source.count(f"FROM {name.split('_')[1]} d WHERE")
        assert source.count("d.tenant_id IS NOT DISTINCT FROM tenant") == reads > 0
        assert configuration == ["search_path=pg_catalog, public, pg_temp"]
        assert (app_may, exporter_may) == (True, False)


def test_the_roles_are_bound(database: Database) -> None:
    roles = rows(
        database.migrator_url,
        "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles"
        " WHERE rolname LIKE 'shop\\_%%' ORDER BY rolname",
    )
    assert roles == [("shop_app", False), ("shop_exporter", False), ("shop_migrator", False)]
    owners = rows(
        database.migrator_url,
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'",
    )
    assert owners == [("shop_migrator",)]


def grants(database: Database, role: str, table: str) -> set[str]:
    found = rows(
        database.migrator_url,
        "SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE',"
        " 'REFERENCES', 'TRIGGER']) privilege WHERE has_table_privilege(%s, %s, privilege)",
        role,
        table,
    )
    return {privilege for (privilege,) in found}


@every_table
def test_grants_on_tenant_tables(database: Database, table: str) -> None:
    if table in RECORDED:
        assert grants(database, "shop_app", table) == {"SELECT"}
        every_change = {"SELECT", "INSERT", "UPDATE", "DELETE"}
        assert grants(database, "shop_exporter", table) == every_change
        return
    changes = set() if table in APPEND_ONLY else {"UPDATE", "DELETE"}
    assert grants(database, "shop_app", table) == {"SELECT", "INSERT"} | changes
    assert grants(database, "shop_exporter", table) <= {"SELECT"}
    if table in SECRETS:
        assert not grants(database, "shop_exporter", table)


@pytest.mark.parametrize("table", sorted(PLATFORM_TABLES - {"alembic_version"}))
def test_grants_on_platform_tables(database: Database, table: str) -> None:
    assert grants(database, "shop_app", table) == {"SELECT"}
    assert grants(database, "shop_exporter", table) == {"SELECT", "INSERT", "UPDATE", "DELETE"}


# A value for every type of column; bytes are random because digests are unique.
VALUES: dict[str, LiteralString] = {
    "uuid": "gen_random_uuid()",
    "text": "gen_random_uuid()::text",
    "bytea": "decode(replace(gen_random_uuid()::text, '-', ''), 'hex')",
    "jsonb": "'{}'::jsonb",
    "timestamptz": "now()",
    "date": "current_date",
    "numeric": "1",
    "int2": "1",
    "int4": "1",
    "int8": "1",
    "bool": "false",
    "xid8": "pg_current_xact_id()",
    "_text": "'{}'::text[]",
}


def insertion(connection: psycopg.Connection[Any], table: str, tenant_id: UUID) -> sql.Composed:
    """An INSERT that gives every required column of the table a value."""
    columns = connection.execute(
        "SELECT column_name, udt_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name = %s AND is_nullable = 'NO' AND column_default IS NULL"
        " AND is_identity = 'NO'",
        (table,),
    ).fetchall()
    owner = TENANT_COLUMN.get(table, "tenant_id")
    values = {name: sql.SQL(VALUES[kind]) for name, kind in columns}
    cells = {**values, owner: sql.Literal(tenant_id)}
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, cells)),
        sql.SQL(", ").join(cells.values()),
    )


@pytest.fixture(scope="module")
def tenants(database: Database) -> tuple[UUID, UUID]:
    """Two tenants with one row each in every tenant table of this module's database.

    The administrator writes them with checks and references off: tried is who sees the rows.
    """
    ours, theirs = uuid4(), uuid4()
    url = database.server.url(database.name)
    with psycopg.connect(url, autocommit=True) as connection:
        checks = connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
        ).fetchall()
        for table, name in checks:
            connection.execute(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                    sql.Identifier(table), sql.Identifier(name)
                )
            )
        connection.execute("SET session_replication_role = replica")
        for tenant_id in (ours, theirs):
            for table in TENANT_TABLES:
                connection.execute(insertion(connection, table, tenant_id))
    return ours, theirs


def as_application(database: Database, tenant: str | None) -> psycopg.Connection[Any]:
    connection = psycopg.connect(database.application_url)
    if tenant is not None:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", (tenant,))
    return connection


def seen(connection: psycopg.Connection[Any], table: str) -> list[UUID]:
    column = sql.Identifier(TENANT_COLUMN.get(table, "tenant_id"))
    query = sql.SQL("SELECT {} FROM {}").format(column, sql.Identifier(table))
    return [tenant_id for (tenant_id,) in connection.execute(query)]


@every_table
def test_a_tenant_sees_its_own_row_only(
    database: Database, tenants: tuple[UUID, UUID], table: str
) -> None:
    with as_application(database, str(tenants[0])) as connection:
        assert seen(connection, table) == [tenants[0]]


@every_table
@pytest.mark.parametrize("tenant", [None, ""], ids=["unset", "empty"])
def test_without_a_tenant_nothing_is_seen(
    database: Database, tenants: tuple[UUID, UUID], table: str, tenant: str | None
) -> None:
    with as_application(database, tenant) as connection:
        assert seen(connection, table) == []


@every_table
def test_a_row_cannot_be_written_for_another_tenant(
    database: Database, tenants: tuple[UUID, UUID], table: str
) -> None:
    with as_application(database, str(tenants[0])) as connection:
        statement = insertion(connection, table, tenants[1])
        refusal = "permission denied" if table in RECORDED else "row-level security"
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=refusal):
            connection.execute(statement)
        connection.rollback()


@pytest.mark.parametrize("table", sorted(set(TENANT_TABLES) - APPEND_ONLY - RECORDED))
def test_another_tenants_row_cannot_be_changed_moved_or_deleted(
    database: Database, tenants: tuple[UUID, UUID], table: str
) -> None:
    ours, theirs = tenants
    name, column = sql.Identifier(table), sql.Identifier(TENANT_COLUMN.get(table, "tenant_id"))
    with as_application(database, str(ours)) as connection:
        take = sql.SQL("UPDATE {} SET {} = {} WHERE {} = {}")
        delete = sql.SQL("DELETE FROM {} WHERE {} = {}")
        taken = connection.execute(take.format(name, column, ours, column, theirs))
        assert taken.rowcount == 0
        assert connection.execute(delete.format(name, column, theirs)).rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute(take.format(name, column, theirs, column, ours))
        connection.rollback()


def test_a_credential_names_exactly_one_row_and_only_to_read_it(
    database: Database, tenants: tuple[UUID, UUID]
) -> None:
    ours, theirs = tenants
    admin = database.server.url(database.name)
    [(digest,)] = rows(
        admin, "SELECT encode(key_hash, 'hex') FROM api_keys WHERE tenant_id = %s", theirs
    )
    with as_application(database, None) as connection:
        connection.execute("SELECT set_config('app.credential', %s, true)", (digest,))
        assert seen(connection, "api_keys") == [theirs]
        assert seen(connection, "refresh_tokens") == []
        assert connection.execute("UPDATE api_keys SET name = 'x'").rowcount == 0
        assert connection.execute("DELETE FROM api_keys").rowcount == 0
    with as_application(database, str(ours)) as connection:
        assert seen(connection, "api_keys") == [ours]


def test_nobody_acts_as_the_owner_by_tables_of_their_own(
    database: Database, tenants: tuple[UUID, UUID]
) -> None:
    """A temporary view in the place of a table that a function with its owner's rights reads."""
    with as_application(database, str(tenants[0])) as connection:
        connection.execute("""
            CREATE FUNCTION pg_temp.take_over() RETURNS uuid LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'as %', current_user; END $$;
            CREATE VIEW pg_temp.products AS SELECT gen_random_uuid() AS id, name, status,
                NULLIF(current_setting('app.tenant_id'), '')::uuid AS tenant_id,
                array_to_tsvector(ARRAY[pg_temp.take_over()::text]) AS search
                FROM (VALUES ('mug', 'active')) v (name, status);
            GRANT SELECT ON pg_temp.products TO PUBLIC""")
        assert connection.execute("SELECT * FROM search_products('mug', NULL, 5)").fetchall() == []
        connection.rollback()


def test_the_exporter_reads_the_facts_of_all_and_changes_none(
    database: Database, tenants: tuple[UUID, UUID]
) -> None:
    third = uuid4()
    with psycopg.connect(database.server.url(database.name)) as connection:
        connection.execute(insertion(connection, "tenants", third))
    with psycopg.connect(database.exporter_url) as connection:
        for table in sorted(RECORDED):
            assert set(seen(connection, table)) == set(tenants), table
            connection.execute(insertion(connection, table, third))
            assert len(seen(connection, table)) == 3, table
        connection.rollback()
        assert set(seen(connection, "orders")) == set(tenants)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE orders SET note = 'x'")
