"""The Maven toy store comes in by a mapping alone: its published figures, to the cent."""

from decimal import Decimal
from pathlib import Path

import pytest

from shop_api.bulk.mapping import load_preset
from tests.factories.imports import fingerprint, import_folder, query
from tests.factories.rows import make_tenant
from tests.fixtures.stores import Database

FOLDER = Path("../shared/data/maven-toy-store")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data folder is not here")


def test_the_toy_store_adds_up(database: Database) -> None:
    tenant_id = make_tenant(database, "USD")
    mapping = load_preset("maven_toy_store")
    summary = import_folder(database, tenant_id, FOLDER, mapping)
    assert summary.rejects.total == 0
    assert query(
        database,
        tenant_id,
        "SELECT count(*), sum(subtotal), sum(refunded_total), count(DISTINCT customer_id),"
        " bool_and(paid_total = total) FROM orders",
    ) == [(32_313, Decimal("1938509.7500"), Decimal("85338.6900"), 31_696, True)]
    assert query(
        database, tenant_id, "SELECT count(*), sum(unit_cost * quantity) FROM order_lines"
    ) == [(40_025, Decimal("722370.2500"))]
    assert query(
        database,
        tenant_id,
        "SELECT (SELECT count(*) FROM refunds), count(*), sum(amount) FROM refund_lines",
    ) == [(1_731, 1_731, Decimal("85338.6900"))]
    assert query(
        database,
        tenant_id,
        "SELECT p.name, sum(l.quantity), sum(l.subtotal) FROM order_lines l JOIN products p"
        " ON p.id = l.product_id GROUP BY 1 ORDER BY 3 DESC LIMIT 1",
    ) == [("The Original Mr. Fuzzy", 24_226, Decimal("1211057.7400"))]
    assert query(
        database,
        tenant_id,
        "SELECT extract(year FROM placed_at)::int, sum(subtotal) FROM orders GROUP BY 1 ORDER BY 1",
    ) == [
        (2012, Decimal("129274.1400")),
        (2013, Decimal("393247.8700")),
        (2014, Decimal("1075612.1900")),
        (2015, Decimal("340375.5500")),
    ]
    before = fingerprint(database, tenant_id)
    import_folder(database, tenant_id, FOLDER, mapping)
    assert fingerprint(database, tenant_id) == before
