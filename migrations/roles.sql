-- The three roles, made once per cluster by an administrator. Give each a password before use:
--   ALTER ROLE shop_app PASSWORD '…';
-- shop_migrator owns the tables; shop_app serves requests, one tenant at a time, under row-level
-- security; shop_exporter reads the facts of all tenants for the lake and publishes snapshots.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['shop_migrator', 'shop_app', 'shop_exporter'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', role);
        END IF;
    END LOOP;
END $$;
GRANT CREATE, USAGE ON SCHEMA public TO shop_migrator;
GRANT USAGE ON SCHEMA public TO shop_app, shop_exporter;
