"""Imports from files of every kind into Postgres: what comes out, and that a second one changes
nothing.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from shop_api.bulk.importer import Summary
from shop_api.bulk.loader import Loader, Phase
from shop_api.bulk.mapping import parse_mapping
from shop_api.domains.inventory.service import adjust_stock
from shop_api.kernel.clock import utc_now
from shop_api.spine.unit_of_work import Origin, unit_of_work
from tests.factories.exports import (
    LINES,
    ORDERS,
    PAYMENTS,
    REFUNDS,
    mapping_text,
    write_export,
    write_table,
)
from tests.factories.imports import fingerprint, import_folder, query
from tests.factories.rows import make_tenant
from tests.factories.sales import change_order, pay, selling
from tests.fixtures.stores import Database


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_a_shop_comes_in_whole_from_every_kind_of_file(
    database: Database, tmp_path: Path, ending: str
) -> None:
    tenant_id = make_tenant(database, "EUR", "Europe/Rome")
    write_export(tmp_path, ending)
    summary = import_folder(database, tenant_id, tmp_path, parse_mapping(mapping_text(ending)))

    assert summary.rejects.kept == []
    assert query(
        database,
        tenant_id,
        "SELECT external_id, number, status, payment_status, subtotal, discount_total,"
        " shipping_total, total, paid_total, refunded_total, placed_at, cancelled_at IS NULL"
        " FROM orders ORDER BY number",
    ) == [
        *_order("A1", 1, "completed", "partially_refunded", "64 5 4.9 63.9 63.9 10", 24, 9),
        *_order("A2", 2, "pending", "partially_paid", "120 0 0 120 20 0", 25, 10, 30),
        *_order("A3", 3, "cancelled", "unpaid", "9.5 0 0 9.5 0 0", 26, 8, 15),
    ]
    # 5.00 of discount over 19.00 and 45.00
    assert query(
        database,
        tenant_id,
        "SELECT l.external_id, l.title, l.quantity, l.subtotal, l.discount_total, l.total, v.title"
        " FROM order_lines l JOIN variants v ON v.id = l.variant_id ORDER BY l.external_id",
    ) == [
        ("A1-1", "Mug", 2, Decimal("19.0000"), Decimal("1.4800"), Decimal("17.5200"), "Default"),
        ("A1-2", "Lamp", 1, Decimal("45.0000"), Decimal("3.5200"), Decimal("41.4800"), "Default"),
        ("A2-1", "Rug", 1, Decimal("120.0000"), Decimal(0), Decimal("120.0000"), "Default"),
        ("A3-1", "Mug", 1, Decimal("9.5000"), Decimal(0), Decimal("9.5000"), "Default"),
    ]
    assert query(
        database,
        tenant_id,
        "SELECT r.external_id, r.amount, l.external_id, f.quantity, f.amount FROM refunds r"
        " JOIN refund_lines f ON f.refund_id = r.id JOIN order_lines l ON l.id = f.order_line_id",
    ) == [("S1", Decimal("10.0000"), "A1-2", 1, Decimal("10.0000"))]
    assert query(
        database,
        tenant_id,
        "SELECT p.name, c.slug, p.tags, s.quantity FROM products p LEFT JOIN product_categories pc"
        " ON pc.product_id = p.id LEFT JOIN categories c ON c.id = pc.category_id"
        " JOIN variants v ON v.product_id = p.id LEFT JOIN stock_levels s ON s.variant_id = v.id"
        " ORDER BY p.external_id",
    ) == [("Mug", "kitchen", ["a", "b"], 7), ("Lamp", "home", [], 0), ("Rug", None, [], 1)]
    assert query(
        database,
        tenant_id,
        "SELECT c.email, c.first_name, a.city, a.is_default_shipping, a.is_default_billing"
        " FROM customers c LEFT JOIN customer_addresses a ON a.customer_id = c.id"
        " ORDER BY c.external_id",
    ) == [("ada@example.com", "Ada", "Turin", True, True), (None, "Ben", None, None, None)]


def _order(
    key: str,
    number: int,
    status: str,
    paid: str,
    amounts: str,
    day: int,
    hour: int,
    minute: int = 0,
) -> list[tuple[object, ...]]:
    return [
        (
            *(key, number, status, paid),
            *(Decimal(amount) for amount in amounts.split()),
            datetime(2025, 11, day, hour, minute, tzinfo=UTC),
            status != "cancelled",
        )
    ]


def test_a_second_import_changes_nothing(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database, "EUR", "Europe/Rome")
    mapping = parse_mapping(mapping_text())
    write_export(tmp_path)
    import_folder(database, tenant_id, tmp_path, mapping)
    before, events = fingerprint(database, tenant_id), _batch_events(database, tenant_id)

    summary = import_folder(database, tenant_id, tmp_path, mapping)

    assert fingerprint(database, tenant_id) == before
    assert _batch_events(database, tenant_id) == events
    assert {name: c.created + c.updated for name, c in summary.counts.items()} == dict.fromkeys(
        summary.counts, 0
    )
    assert summary.of("orders").unchanged == 3


def _batch_events(database: Database, tenant_id: UUID) -> list[object]:
    return query(
        database,
        tenant_id,
        "SELECT type, jsonb_array_length(data->'ids') FROM events"
        " WHERE right(type, 9) = '_imported' ORDER BY sequence",
    )


def test_events_and_audit_name_what_was_written(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database, "EUR")
    mapping = parse_mapping(mapping_text())
    write_export(tmp_path)
    import_folder(database, tenant_id, tmp_path, mapping)
    assert _batch_events(database, tenant_id) == [
        ("categories_imported", 2),
        ("products_imported", 3),
        ("customers_imported", 2),
        ("orders_imported", 3),
    ]
    ids = query(
        database, tenant_id, "SELECT data->'ids' FROM events WHERE type = 'orders_imported'"
    )[0][0]
    assert sorted(ids) == sorted(
        str(row[0]) for row in query(database, tenant_id, "SELECT id FROM orders")
    )
    assert query(
        database, tenant_id, "SELECT changes FROM audit_entries WHERE action = 'orders_imported'"
    ) == [({"before": None, "after": {"created": 3, "updated": 0}},)]


def test_lines_are_told_apart_within_their_order(database: Database, tmp_path: Path) -> None:
    """Every order counts its lines from 1, and a refund names the line of its own order."""
    tenant_id = make_tenant(database, "EUR")
    lines = [{**row, "line": row["line"].partition("-")[2]} for row in LINES]
    refunds = [{**row, "line": "2"} for row in REFUNDS]
    write_export(tmp_path, lines=lines, refunds=refunds)
    summary = import_folder(database, tenant_id, tmp_path, parse_mapping(mapping_text()))
    assert summary.rejects.kept == []
    assert query(
        database,
        tenant_id,
        "SELECT o.external_id, l.external_id, r.external_id FROM orders o"
        " JOIN order_lines l ON l.order_id = o.id LEFT JOIN refund_lines f"
        " ON f.order_line_id = l.id LEFT JOIN refunds r ON r.id = f.refund_id ORDER BY 1, 2",
    ) == [("A1", "1", None), ("A1", "2", "S1"), ("A2", "1", None), ("A3", "1", None)]


def test_only_rows_that_differ_are_updated(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database, "EUR")
    mapping = parse_mapping(mapping_text())
    write_export(tmp_path)
    import_folder(database, tenant_id, tmp_path, mapping)
    orders = [{**row, "state": "done"} if row["number"] == "A2" else row for row in ORDERS]
    lines = [row for row in LINES if row["line"] != "A1-2"]
    lines += [{"number": "A3", "line": "A3-2", "code": "P2", "pieces": "1", "each": "1.00"}]
    write_export(tmp_path, orders=orders, lines=lines, refunds=_refund_of_order())

    summary = import_folder(database, tenant_id, tmp_path, mapping)

    assert summary.rejects.kept == []
    assert _written(summary, "orders") == (0, 3, 0)
    assert _written(summary, "customers") == (0, 0, 2)
    assert query(
        database,
        tenant_id,
        "SELECT o.external_id, o.status, o.subtotal, o.version, count(l.id) FROM orders o"
        " JOIN order_lines l ON l.order_id = o.id GROUP BY o.tenant_id, o.id ORDER BY 1",
    ) == [
        ("A1", "completed", Decimal("19.0000"), 2, 1),
        ("A2", "completed", Decimal("120.0000"), 2, 1),
        ("A3", "cancelled", Decimal("10.5000"), 2, 2),
    ]
    before = fingerprint(database, tenant_id)
    import_folder(database, tenant_id, tmp_path, mapping)
    assert fingerprint(database, tenant_id) == before


def _refund_of_order() -> list[dict[str, str]]:
    keys = ("number", "slip", "line", "pieces", "sum", "at")
    return [dict(zip(keys, ("A1", "S1", "", "0", "10.00", "01/12/2025 08:00"), strict=True))]


def _written(summary: Summary, entity: str) -> tuple[int, int, int]:
    counts = summary.of(entity)
    return counts.created, counts.updated, counts.unchanged


def test_what_changed_in_the_shop_since_is_left_alone(database: Database, tmp_path: Path) -> None:
    """An order with events of its own, and stock that has moved."""
    tenant_id = make_tenant(database, "EUR")
    mapping = parse_mapping(mapping_text())
    write_export(tmp_path)
    import_folder(database, tenant_id, tmp_path, mapping)
    origin = Origin(tenant_id, "user:test", "test", utc_now())
    with unit_of_work(database.engine, database.waker, origin) as work:
        order_id = work.connection.exec_driver_sql(
            "UPDATE orders SET status = 'processing' WHERE external_id = 'A2' RETURNING id"
        ).scalar_one()
        work.append("order_status_changed", "order", order_id, {})
        work.connection.exec_driver_sql("UPDATE stock_levels SET quantity = 6 WHERE quantity = 7")
    summary = import_folder(database, tenant_id, tmp_path, mapping)
    assert _written(summary, "orders") == (0, 0, 2)
    assert query(database, tenant_id, "SELECT status FROM orders WHERE external_id = 'A2'") == [
        ("processing",)
    ]
    assert query(database, tenant_id, "SELECT max(quantity) FROM stock_levels") == [(6,)]


def test_payments_and_refunds_that_the_file_no_longer_has_go(
    database: Database, tmp_path: Path
) -> None:
    """As the order's amounts, which are those of the file, say; not those of a changed order."""
    tenant_id = make_tenant(database, "EUR")
    mapping = parse_mapping(mapping_text())
    payments = [*PAYMENTS, {"number": "A1", "receipt": "R3", "how": "card", "sum": "1.00"}]
    payments.append({"number": "A3", "receipt": "R4", "how": "card", "sum": "2.00"})
    refunds = [*REFUNDS, {**REFUNDS[0], "slip": "S2", "sum": "3.00"}]
    write_export(tmp_path, payments=payments, refunds=refunds)
    import_folder(database, tenant_id, tmp_path, mapping)
    with selling(database, tenant_id) as work:
        order_id = work.connection.exec_driver_sql(
            "SELECT id FROM orders WHERE external_id = 'A3'"
        ).scalar_one()
        work.append("order_status_changed", "order", order_id, {})
    # the refund that stays is now for another line
    write_export(tmp_path, payments=PAYMENTS[:1], refunds=[{**REFUNDS[0], "line": "A1-1"}])

    summary = import_folder(database, tenant_id, tmp_path, mapping)

    assert _written(summary, "orders") == (0, 2, 0)
    assert query(
        database,
        tenant_id,
        "SELECT external_id, payment_status, paid_total, refunded_total,"
        " (SELECT string_agg(external_id, ',') FROM payments p WHERE p.order_id = o.id),"
        " (SELECT string_agg(external_id, ',') FROM refunds r WHERE r.order_id = o.id)"
        " FROM orders o ORDER BY 1",
    ) == [
        ("A1", "partially_refunded", Decimal("63.9"), Decimal(10), "R1", "S1"),
        ("A2", "unpaid", Decimal(0), Decimal(0), None, None),
        ("A3", "partially_paid", Decimal(2), Decimal(0), "R4", None),
    ]
    assert query(
        database,
        tenant_id,
        "SELECT l.external_id, f.amount FROM refund_lines f"
        " JOIN order_lines l ON l.id = f.order_line_id",
    ) == [("A1-1", Decimal(10))]
    before = fingerprint(database, tenant_id)
    import_folder(database, tenant_id, tmp_path, mapping)
    assert fingerprint(database, tenant_id) == before


@contextmanager
def _changing(database: Database, tenant_id: UUID, key: str) -> Iterator[None]:
    """The shop has an order in hand, and has paid it when the import has waited for a while."""
    is_in_hand = threading.Event()

    def change() -> None:
        with selling(database, tenant_id) as work:
            order_id = work.connection.exec_driver_sql(
                "SELECT id FROM orders WHERE external_id = %s FOR UPDATE", (key,)
            ).scalar_one()
            is_in_hand.set()
            time.sleep(0.5)
            pay(work, order_id, Decimal(100))
            change_order(work, order_id, status="processing", paid_total=120, payment_status="paid")

    thread = threading.Thread(target=change)
    thread.start()
    is_in_hand.wait(5)
    yield
    thread.join()


def test_what_the_shop_changes_while_an_import_runs_is_left_alone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The orders are assembled, then one of them is paid, and then their batch is written."""
    tenant_id = make_tenant(database, "EUR")
    mapping = parse_mapping(mapping_text())
    import_folder(database, tenant_id, write_export(tmp_path), mapping)
    orders = [{**row, "state": "void"} for row in ORDERS]
    lines = [{**row, "each": "1.00"} for row in LINES if row["number"] != "A1"]
    write_export(tmp_path, orders=orders, lines=[LINES[0], LINES[1], *lines])
    write = Loader.write

    def write_slowly(loader: Loader, phase: Phase, *rest: object) -> object:
        if phase.name != "orders":
            return write(loader, phase, *rest)  # type: ignore[arg-type]
        with _changing(database, tenant_id, "A2"):
            return write(loader, phase, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Loader, "write", write_slowly)
    summary = import_folder(database, tenant_id, tmp_path, mapping)

    assert _written(summary, "orders") == (0, 2, 0)
    assert query(
        database,
        tenant_id,
        "SELECT o.external_id, o.status, o.payment_status, o.paid_total, o.subtotal, l.unit_price,"
        " (SELECT sum(p.amount) FROM payments p WHERE p.order_id = o.id) FROM orders o"
        " JOIN order_lines l ON l.order_id = o.id WHERE l.position = 0 ORDER BY 1",
    ) == [
        ("A1", "cancelled", "partially_refunded", *map(Decimal, ("63.9", "64", "9.5", "63.9"))),
        ("A2", "processing", "paid", *map(Decimal, ("120", "120", "120", "120"))),
        ("A3", "cancelled", "unpaid", *map(Decimal, ("0", "1", "1")), None),
    ]


ALERTS = """
name: alerts
files: {products: {name: products.csv}}
entities:
  products:
    from: products
    fields: {external_id: code, name: code, price: {constant: 1}}
  variants:
    from: products
    fields: {external_id: code, product: code, title: {constant: Default}, low_stock_alert: alert}
  stock:
    from: products
    fields: {variant: code, quantity: {constant: 9}}
"""


def test_an_alert_that_is_lowered_or_taken_away_ends_what_was_told_of_it(
    database: Database, tmp_path: Path
) -> None:
    tenant_id, bystander_id = make_tenant(database), make_tenant(database)
    codes = "SELECT external_id, id FROM variants"

    def load(shop_id: UUID, *alerts: str) -> None:
        table = [{"code": f"P{n}", "alert": alert} for n, alert in enumerate(alerts)]
        write_table(tmp_path, "products", table)
        import_folder(database, shop_id, tmp_path, parse_mapping(ALERTS))

    for shop_id in (tenant_id, bystander_id):
        load(shop_id, "5", "5", "5")
        with selling(database, shop_id) as work:
            ids = [id_ for _, id_ in query(database, shop_id, codes)]
            adjust_stock(work, [{"variant_id": id_, "delta": -5} for id_ in ids], None)
    # of four that are left three are too few, four are not, and nobody wants to hear of the third
    load(tenant_id, "3", "4", "")
    going_on = (
        "SELECT v.external_id FROM notifications n JOIN variants v ON n.data->>'variant_id' ="
        " v.id::text WHERE n.kind = 'low_stock' AND n.resolved_at IS NULL ORDER BY 1"
    )
    assert query(database, tenant_id, going_on) == [("P1",)]
    assert query(database, bystander_id, going_on) == [("P0",), ("P1",), ("P2",)]
    over = "SELECT count(*) FROM events WHERE data->>'message' = 'This is over.'"
    assert query(database, tenant_id, over) == [(2,)]
