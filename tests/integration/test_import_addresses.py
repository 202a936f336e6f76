"""What an import does to customers' address books."""

from pathlib import Path
from typing import Any

import pytest

from shop_api.bulk.loader import Loader, Phase
from shop_api.bulk.mapping import parse_mapping
from shop_api.domains.erasures.repository import ErasureRepository
from shop_api.models import MAX_ADDRESSES, customer_addresses
from tests.factories.exports import CUSTOMERS, mapping_text, write_export
from tests.factories.imports import import_folder, query
from tests.factories.rows import insert, make_tenant
from tests.factories.sales import selling
from tests.fixtures.stores import Database


def test_a_customers_address_changes_with_the_file_and_the_others_stay(
    database: Database, tmp_path: Path
) -> None:
    tenant_id = make_tenant(database, "EUR")
    mapping = parse_mapping(mapping_text())
    write_export(tmp_path)
    import_folder(database, tenant_id, tmp_path, mapping)
    with selling(database, tenant_id) as work:
        ben = query(database, tenant_id, "SELECT id FROM customers WHERE external_id = 'C2'")
        insert(
            work,
            customer_addresses,
            customer_id=ben[0][0],
            city="Asti",
            is_default_shipping=True,
        )
    towns = [{**CUSTOMERS[0], "town": "Rome"}, {**CUSTOMERS[1], "town": "Pisa"}]
    write_export(tmp_path, customers=towns)
    summary = import_folder(database, tenant_id, tmp_path, mapping)
    assert (summary.of("customers").created, summary.of("customers").updated) == (0, 2)
    assert query(
        database,
        tenant_id,
        "SELECT c.external_id, a.city, a.is_default_shipping, a.is_default_billing FROM customers c"
        " JOIN customer_addresses a ON a.customer_id = c.id ORDER BY 1, 2",
    ) == [
        ("C1", "Rome", True, True),
        ("C2", "Asti", True, False),
        ("C2", "Pisa", False, True),
    ]


def test_a_full_book_and_an_erased_customer_are_left_alone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = make_tenant(database, "EUR")
    mapping = parse_mapping(mapping_text())
    write_export(tmp_path)
    import_folder(database, tenant_id, tmp_path, mapping)
    [(ada,), (ben,)] = query(database, tenant_id, "SELECT id FROM customers ORDER BY external_id")
    with selling(database, tenant_id) as work:
        for _ in range(MAX_ADDRESSES):
            insert(work, customer_addresses, customer_id=ben, city="Asti")
    towns = [{**CUSTOMERS[0], "town": "Rome"}, {**CUSTOMERS[1], "town": "Pisa"}]
    write_export(tmp_path, customers=towns)
    write = Loader.write

    def erasing(self: Loader, phase: Phase, *rest: Any) -> Any:
        # after it was looked up, before it is written
        if phase.name == "customers":
            with selling(database, tenant_id) as work:
                work.repository(ErasureRepository).forget_customer(ada, work.now)
        return write(self, phase, *rest)

    monkeypatch.setattr(Loader, "write", erasing)
    import_folder(database, tenant_id, tmp_path, mapping)
    assert query(
        database,
        tenant_id,
        "SELECT c.email, c.first_name, count(a.id)"
        " FROM customers c LEFT JOIN customer_addresses a ON a.customer_id = c.id"
        f" WHERE c.id IN ('{ada}', '{ben}') GROUP BY 1, 2 ORDER BY 3",
    ) == [(None, "", 0), (None, "Ben", MAX_ADDRESSES)]
