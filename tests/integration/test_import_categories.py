"""A category that an import moves lies no deeper with all below it, and moves alone."""

import threading
from pathlib import Path

from shop_api.bulk.mapping import parse_mapping
from shop_api.bulk.rejects import Reject
from shop_api.db.tenancy import tenant_session
from shop_api.models import category_tree_lock
from tests.factories.exports import write_table
from tests.factories.imports import import_folder, query
from tests.factories.rows import make_tenant
from tests.fixtures.stores import Database

MAPPING = parse_mapping("""
name: shelves
files: {shelves: {name: shelves.csv}}
entities:
  categories: {from: shelves, fields: {external_id: key, name: key, parent: above}}
""")


def chain(prefix: str, length: int) -> list[dict[str, str]]:
    """Categories, each below the one before."""
    return [
        {"key": f"{prefix}{n}", "above": f"{prefix}{n - 1}" if n > 1 else ""}
        for n in range(1, length + 1)
    ]


def test_what_lies_below_a_category_counts_when_it_moves(
    database: Database, tmp_path: Path
) -> None:
    tenant_id = make_tenant(database, "EUR")
    write_table(tmp_path, "shelves", [*chain("a", 6), *chain("b", 5)])
    assert import_folder(database, tenant_id, tmp_path, MAPPING).rejects.kept == []
    # b1 to b5 below a6 would be eleven; what comes below b1 stays out of a6's depth too
    rows = [{"key": "b1", "above": "a6"}, {"key": "c1", "above": "b1"}]
    write_table(tmp_path, "shelves", rows)
    assert import_folder(database, tenant_id, tmp_path, MAPPING).rejects.kept == [
        Reject("shelves.csv", 1, "above", "below 'a6' it takes others past level 10")
    ]
    parents = (
        "SELECT c.external_id, p.external_id FROM categories c LEFT JOIN categories p"
        " ON p.id = c.parent_id WHERE c.external_id IN ('b1', 'c1') ORDER BY 1"
    )
    assert query(database, tenant_id, parents) == [("b1", None), ("c1", "b1")]
    # ten are allowed, also when what lies below moves in the same file
    write_table(tmp_path, "shelves", [{"key": "b1", "above": "a5"}])
    assert import_folder(database, tenant_id, tmp_path, MAPPING).rejects.kept == []
    rows = [{"key": "b1", "above": "a6"}, {"key": "b5", "above": "a1"}]
    write_table(tmp_path, "shelves", rows)
    assert import_folder(database, tenant_id, tmp_path, MAPPING).rejects.kept == []
    assert query(database, tenant_id, parents) == [("b1", "a6"), ("c1", "b1")]


def test_an_import_waits_for_who_moves_categories(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database, "EUR")
    write_table(tmp_path, "shelves", chain("a", 2))
    done = threading.Event()

    def bring() -> None:
        import_folder(database, tenant_id, tmp_path, MAPPING)
        done.set()

    runner = threading.Thread(target=bring)
    with tenant_session(database.engine, tenant_id) as session:
        session.connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            (category_tree_lock(tenant_id),),
        )
        runner.start()
        assert not done.wait(0.7)
    runner.join(10)
    assert done.is_set()
    # and gives it back
    with tenant_session(database.engine, tenant_id) as session:
        assert session.connection.exec_driver_sql(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))",
            (category_tree_lock(tenant_id),),
        ).scalar_one()
