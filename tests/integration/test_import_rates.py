"""An imported order keeps the rate of its file, or that of the shop when it was placed."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from shop_api.bulk.mapping import parse_mapping
from tests.factories.exports import Rows, mapping_text, write_export
from tests.factories.imports import import_folder, query
from tests.factories.rows import make_tenant
from tests.factories.sales import add_exchange_rate, selling
from tests.fixtures.stores import Database

MAPPING = parse_mapping(
    mapping_text().replace(
        "      placed_at: at\n",
        "      placed_at: at\n      currency: money\n      exchange_rate: rate\n",
    )
)
RATES = (
    "SELECT external_id, currency, base_currency, trim_scale(exchange_rate) FROM orders"
    " ORDER BY external_id"
)


def orders(*rows: tuple[str, str, str, str]) -> tuple[Rows, Rows]:
    """Orders of (number, day of November, currency, rate), and a line of each."""
    return [
        {
            "number": number,
            "buyer": "",
            "state": "done",
            "at": f"{day}/11/2025 11:30",
            "postage": "",
            "rebate": "",
            "money": currency,
            "rate": rate,
        }
        for number, day, currency, rate in rows
    ], [
        {"number": row[0], "line": f"{row[0]}-1", "code": "P1", "pieces": "1", "each": "9.50"}
        for row in rows
    ]


def test_an_order_has_the_rate_of_its_file_or_of_its_day(
    database: Database, tmp_path: Path
) -> None:
    tenant_id = make_tenant(database)
    with selling(database, tenant_id) as work:
        for day, rate in ((20, "1.1"), (25, "1.15"), (28, "1.3")):
            add_exchange_rate(work, "EUR", Decimal(rate), datetime(2025, 11, day, tzinfo=UTC))
    # A7 says of its own currency that it is worth something else
    sold, lines = orders(
        ("A1", "24", "EUR", "1.2345678901"),
        ("A2", "24", "EUR", ""),
        ("A3", "25", "EUR", ""),
        ("A4", "19", "EUR", ""),
        ("A5", "24", "GBP", ""),
        ("A6", "24", "USD", ""),
        ("A7", "24", "USD", "1.2"),
    )
    paid = [{"number": "A1", "receipt": "R1", "how": "card", "sum": "9.50"}]
    back = [
        {
            "number": "A1",
            "slip": "S",
            "line": "A1-1",
            "pieces": "1",
            "sum": "1",
            "at": sold[0]["at"],
        }
    ]
    write_export(tmp_path, orders=sold, lines=lines, payments=paid, refunds=back)
    refused = import_folder(database, tenant_id, tmp_path, MAPPING).rejects.kept
    assert [(each.column, each.reason) for each in refused if each.column == "rate"] == [
        ("rate", "1.2 is no rate of the shop's own currency, which is 1")
    ]
    expected = [
        ("A1", "EUR", "USD", Decimal("1.2345678901")),
        ("A2", "EUR", "USD", Decimal("1.1")),
        ("A3", "EUR", "USD", Decimal("1.15")),
        ("A4", "EUR", "USD", None),
        ("A5", "GBP", "USD", None),
        ("A6", "USD", "USD", Decimal(1)),
    ]
    assert query(database, tenant_id, RATES) == expected

    # what was null is filled, and what was known stays
    with selling(database, tenant_id) as work:
        for currency, rate in (("GBP", "1.5"), ("EUR", "9")):
            add_exchange_rate(work, currency, Decimal(rate), datetime(2025, 11, 1, tzinfo=UTC))
        add_exchange_rate(work, "EUR", Decimal(8), datetime(2025, 11, 24, tzinfo=UTC))
    import_folder(database, tenant_id, tmp_path, MAPPING)
    expected[3:5] = [("A4", "EUR", "USD", Decimal(9)), ("A5", "GBP", "USD", Decimal("1.5"))]
    assert query(database, tenant_id, RATES) == expected
