"""An order's discount goes to its lines as kernel.money.allocate splits it, to the last unit."""

from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from shop_api.bulk.mapping import parse_mapping
from shop_api.kernel.money import allocate, currency_digits
from tests.factories.exports import mapping_text, write_export
from tests.factories.imports import import_folder, query
from tests.factories.rows import make_tenant
from tests.fixtures.stores import Database

ORDER_COUNT = 400


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_discounts_are_split_exactly(database: Database, tmp_path: Path, currency: str) -> None:
    rng = Random(currency)
    unit = Decimal(1).scaleb(-currency_digits(currency))
    orders, lines, expected = [], [], {}
    for n in range(ORDER_COUNT):
        prices = [rng.randint(0, 5000) * unit for _ in range(rng.randint(1, 7))]
        pieces = [rng.randint(1, 3) for _ in prices]
        goods = [price * count for price, count in zip(prices, pieces, strict=True)]
        discount = rng.randint(0, int(sum(goods) / unit)) * unit
        orders.append(
            {
                "number": f"N{n}",
                "buyer": "",
                "state": "done",
                "at": "24/11/2025 10:00",
                "postage": "",
                "rebate": str(discount),
            }
        )
        for i, (price, count) in enumerate(zip(prices, pieces, strict=True)):
            key = f"N{n}-{i}"
            lines.append(
                {
                    "number": f"N{n}",
                    "line": key,
                    "code": "P1",
                    "pieces": str(count),
                    "each": str(price),
                }
            )
        for i, part in enumerate(allocate(discount, goods, currency)):
            expected[f"N{n}-{i}"] = part
    products = [
        {"code": "P1", "title": "Mug", "price": "9", "shelf": "", "labels": "", "on_hand": "1"}
    ]
    nothing = {
        "payments": "number,receipt,how,sum\n",
        "refunds": "number,slip,line,pieces,sum,at\n",
    }
    write_export(tmp_path, orders=orders, lines=lines, products=products)
    for name, header in nothing.items():
        (tmp_path / f"{name}.csv").write_text(header)
    tenant_id = make_tenant(database, currency)

    summary = import_folder(database, tenant_id, tmp_path, parse_mapping(mapping_text()))

    assert summary.rejects.kept == []
    assert (
        dict(query(database, tenant_id, "SELECT external_id, discount_total FROM order_lines"))
        == expected
    )
    assert query(
        database,
        tenant_id,
        "SELECT count(*) FROM orders o WHERE discount_total <>"
        " (SELECT sum(discount_total) FROM order_lines l WHERE l.order_id = o.id)",
    ) == [(0,)]
