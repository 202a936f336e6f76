"""Full text search, as a migration makes it: folding, documents, and the functions that find.

Belongs here: the functions. Does not: the columns and indexes (the revisions). Without extensions:
the embedded server has none.
"""

from sqlalchemy import Connection

# Words, the same whatever the database's locale: everything but ASCII punctuation and Unicode's
# spaces and punctuation is part of one.
SEPARATORS = (
    r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u2000-\u206f\u3000-\u303f]+"
)
MAX_WORD_LENGTH = 60
MAX_DOCUMENT_WORDS = 256
MAX_QUERY_WORDS = 8
# Rows of a common word that are ranked; the others are not looked at.
CANDIDATES = 1000

# `fold_text` in shop_api.kernel.folding is the same in Python; a test holds them equal.
#
# A word in a document begins with its tenant, so that the index has each tenant's words by
# themselves: a prefix that many tenants use costs none of them what it costs all. A row without any
# text is told apart first: imported customers often are such, and 16 µs each were a twelfth of an
# import.
DOCUMENTS = rf"""
CREATE FUNCTION fold_text(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN
    replace(replace(replace(translate(
        lower(regexp_replace(normalize(value COLLATE "default", NFKD),
            '[\u0300-\u036f]+', '', 'g')),
        'øłđðıħŧςØŁĐÐĦŦ', 'olddihtσolddht'),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
CREATE FUNCTION search_tag(tenant uuid) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN right(tenant::text, 12) || '.';
CREATE FUNCTION search_words(value text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    BEGIN ATOMIC
        SELECT left(s.word, {MAX_WORD_LENGTH}) FROM (
            SELECT regexp_split_to_table(fold_text(value) COLLATE "default", '{SEPARATORS}') AS word
        ) s WHERE s.word <> '';
    END;
CREATE FUNCTION search_document(tenant uuid, first text[], second text[], third text[])
    RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE
        WHEN array_to_string(first || second || third, '') = '' THEN ''::tsvector ELSE (
        SELECT coalesce(string_agg(quote_literal(search_tag(tenant) || w.word) || ':' || w.place
            || w.weight, ' '), '')::tsvector
        FROM (
            SELECT d.word, d.weight, row_number() OVER () AS place FROM (
                SELECT search_words(left(t, 1000)) AS word, 'A' AS weight FROM unnest(first) t
                UNION ALL
                SELECT search_words(left(t, 1000)), 'B' FROM unnest(second) t
                UNION ALL
                SELECT search_words(left(t, 2000)), 'C' FROM unnest(third) t
            ) d LIMIT {MAX_DOCUMENT_WORDS}
        ) w
    ) END;
CREATE FUNCTION search_query(tenant uuid, value text, suffix text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
        SELECT string_agg(quote_literal(search_tag(tenant) || w.word) || suffix, ' & ')::tsquery
        FROM (SELECT word FROM search_words(value) word LIMIT {MAX_QUERY_WORDS}) w
    );
CREATE FUNCTION tag_keys(tenant uuid, tags text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT search_tag(tenant) || t FROM unnest(tags) t);
"""

# Row-level security keeps `@@`, which is not leakproof, out of index conditions. So these run with
# the rights of their owner, and name the tenant themselves: that of the transaction, never one
# they are told. Temporary tables come last, or whoever calls could put their own in the place of
# ours and act as the owner. IS NOT DISTINCT FROM, because no index takes it: the words are what is
# looked up.
FIND = """
CREATE FUNCTION search_{table}(asked text, condition text, row_limit integer)
    RETURNS TABLE (id uuid, score real)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE
        tenant uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;
        whole tsquery := search_query(tenant, asked, '');
        parts tsquery := search_query(tenant, asked, ':*');
    BEGIN
        IF tenant IS NULL OR parts IS NULL THEN
            RETURN;
        END IF;
        RETURN QUERY
        WITH candidate AS (
            (SELECT d.id FROM {table} d WHERE d.search @@ whole
                AND d.tenant_id IS NOT DISTINCT FROM tenant
                AND (condition IS NULL OR {condition} = condition) LIMIT {candidates})
            UNION
            (SELECT d.id FROM {table} d WHERE d.search @@ parts
                AND d.tenant_id IS NOT DISTINCT FROM tenant
                AND (condition IS NULL OR {condition} = condition) LIMIT {candidates})
        )
        SELECT d.id, (ts_rank(d.search, parts) + (d.search @@ whole)::integer
            + 2 * (fold_text({title}) = fold_text(asked) COLLATE "C")::integer)::real AS found
        FROM candidate JOIN {table} d ON d.tenant_id = tenant AND d.id = candidate.id
        ORDER BY found DESC, d.id LIMIT row_limit;
    END $$;
REVOKE ALL ON FUNCTION search_{table} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_{table} TO shop_app;
"""

# As exact as the column, and found by the keys as words are. `row_limit` may be NULL.
FIND_TAGGED = """
CREATE FUNCTION search_products_tagged(asked text[], row_limit integer) RETURNS TABLE (id uuid)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100 SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    AS $$
    DECLARE
        tenant uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;
        keys text[] := tag_keys(tenant, asked);
    BEGIN
        IF tenant IS NULL THEN
            RETURN;
        END IF;
        RETURN QUERY SELECT d.id FROM products d WHERE tag_keys(d.tenant_id, d.tags) @> keys
            AND d.tags <> '{}' AND d.tenant_id IS NOT DISTINCT FROM tenant LIMIT row_limit;
    END $$;
REVOKE ALL ON FUNCTION search_products_tagged FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_products_tagged TO shop_app;
"""


def create_tag_search(connection: Connection) -> None:
    """The function that finds the products that have all of some tags."""
    connection.exec_driver_sql(FIND_TAGGED)


def create_search(connection: Connection, table: str, title: str, condition: str = "NULL") -> None:
    """The function that finds rows of a table by its column `search`, the best first.

    `title` is what an equal text ranks first; `condition` a column that may be asked to equal a
    value.
    """
    connection.exec_driver_sql(
        FIND.format(table=table, title=title, condition=condition, candidates=CANDIDATES)
    )
