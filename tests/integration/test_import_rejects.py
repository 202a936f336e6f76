"""Bad rows of an import are named by file, row, column and reason, and the good ones go in."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from shop_api.bulk.mapping import parse_mapping
from shop_api.bulk.rejects import Reject
from tests.factories.exports import (
    CUSTOMERS,
    LINES,
    ORDERS,
    PAYMENTS,
    PRODUCTS,
    REFUNDS,
    Rows,
    mapping_text,
    write_export,
)
from tests.factories.imports import import_folder, query
from tests.factories.rows import make_tenant
from tests.fixtures.stores import Database

REFUSED_WITH = "refused with its row 5 of lines.csv"


def _with(rows: Rows, **changes: str) -> Rows:
    """The rows and one more: the first one changed."""
    return [*rows, {**rows[0], **changes}]


def _rejects(
    database: Database, folder: Path, currency: str = "EUR", **tables: Rows
) -> tuple[list[Reject], list[str]]:
    """What an import refuses, and the orders that went in."""
    tenant_id = make_tenant(database, currency)
    write_export(folder, "csv", **tables)
    summary = import_folder(database, tenant_id, folder, parse_mapping(mapping_text()))
    keys = query(database, tenant_id, "SELECT external_id FROM orders ORDER BY external_id")
    return summary.rejects.kept, [key for (key,) in keys]


BAD_VALUES: Sequence[tuple[str, Rows, Reject]] = (
    (
        "products",
        _with(PRODUCTS, code="P4", price="9,50"),
        Reject(
            "products.csv",
            4,
            "price",
            "'9,50' is not an amount of 0 or more with at most 12 digits before the"
            " decimal mark; EUR has 2 decimals, such as 19.90 (decimal mark '.')",
        ),
    ),
    (
        "products",
        _with(PRODUCTS, code="P4", price="9.505"),
        Reject("products.csv", 4, "price", "9.505 has more decimals than the 2 of its currency"),
    ),
    ("products", _with(PRODUCTS), Reject("products.csv", 4, "code", "P1 occurs more than once")),
    (
        "products",
        _with(PRODUCTS, code="x" * 256),
        Reject("products.csv", 4, "code", f"'{'x' * 60}'… is longer than 255 characters"),
    ),
    (
        "products",
        _with(PRODUCTS, code="P4", title="Bell\x07"),
        Reject("products.csv", 4, "title", "'Bell\ufffd' holds control characters"),
    ),
    (
        "customers",
        _with(CUSTOMERS, id="C3", mail="ada@example.com"),
        Reject("customers.csv", 3, "mail", "'ada@example.com' is the email of another row"),
    ),
    (
        "customers",
        _with(CUSTOMERS, id="C3", mail="nobody"),
        Reject("customers.csv", 3, "mail", "'nobody' is no e-mail address"),
    ),
    (
        "orders",
        _with(ORDERS, number="A4", buyer="C9"),
        Reject("orders.csv", 4, "buyer", "there is no customer 'C9'"),
    ),
    (
        "orders",
        _with(ORDERS, number="A4", state="lost"),
        Reject("orders.csv", 4, "state", "'lost' is not among the values of the mapping"),
    ),
    (
        "orders",
        _with(ORDERS, number="A4", at="24/13/2025 10:00"),
        Reject(
            "orders.csv",
            4,
            "at",
            "'24/13/2025 10:00' is not a time of the form %d/%m/%Y %H:%M"
            " from the years 1900 to 2199",
        ),
    ),
    (
        "orders",
        _with(ORDERS, number="A4", rebate="5"),
        Reject("orders.csv", 4, "rebate", "5 is more than the lines come to"),
    ),
    ("orders", _with(ORDERS), Reject("orders.csv", 4, "number", "A1 occurs more than once")),
    (
        "orders",
        _with(ORDERS, number=""),
        Reject("orders.csv", 4, "number", "external_id is required"),
    ),
    (
        "lines",
        _with(LINES, number="A9", line="A9-1"),
        Reject("lines.csv", 5, "number", "there is no order 'A9' in this import"),
    ),
    (
        "payments",
        _with(PAYMENTS, number="A9", receipt="R9"),
        Reject("payments.csv", 3, "number", "there is no order 'A9' in this import"),
    ),
)


@pytest.mark.parametrize(("table", "rows", "reject"), BAD_VALUES)
def test_a_bad_row_is_named_and_the_others_go_in(
    database: Database, tmp_path: Path, table: str, rows: Rows, reject: Reject
) -> None:
    assert _rejects(database, tmp_path, "EUR", **{table: rows}) == ([reject], ["A1", "A2", "A3"])


BAD_PARTS: Sequence[tuple[str, Rows, Reject, str]] = (
    (
        "lines",
        _with(LINES, line="A1-3", code="P9"),
        Reject("lines.csv", 5, "code", "there is no product 'P9'"),
        REFUSED_WITH,
    ),
    (
        "lines",
        _with(LINES, line="A1-3", pieces="0"),
        Reject("lines.csv", 5, "pieces", "'0' is not a whole number from 1 to 2000000000"),
        REFUSED_WITH,
    ),
    (
        "lines",
        _with(LINES, line="A1-3", each="1.005"),
        Reject("lines.csv", 5, "each", "1.005 has more decimals than the 2 of its currency"),
        REFUSED_WITH,
    ),
    (
        "lines",
        _with(LINES, line="A1-3", pieces="2000000000", each="999999999999"),
        Reject("lines.csv", 5, "each", "the line comes to more than an amount can hold"),
        REFUSED_WITH,
    ),
    (
        "lines",
        _with(LINES),
        Reject("lines.csv", 5, "line", "A1-1 occurs more than once"),
        REFUSED_WITH,
    ),
    (
        "payments",
        _with(PAYMENTS),
        Reject("payments.csv", 3, "receipt", "R1 occurs more than once"),
        "refused with its row 3 of payments.csv",
    ),
    (
        "refunds",
        _with(REFUNDS, slip="S2", line="A2-1"),
        Reject("refunds.csv", 2, "line", "the order has no line 'A2-1'"),
        "refused with its row 2 of refunds.csv",
    ),
)


@pytest.mark.parametrize(("table", "rows", "reject", "reason"), BAD_PARTS)
def test_an_order_is_refused_whole_with_a_bad_part(
    database: Database, tmp_path: Path, table: str, rows: Rows, reject: Reject, reason: str
) -> None:
    assert _rejects(database, tmp_path, "EUR", **{table: rows}) == (
        [reject, Reject("orders.csv", 1, None, reason)],
        ["A2", "A3"],
    )


def test_parts_that_come_to_more_than_a_sum_can_hold_are_refused(
    database: Database, tmp_path: Path
) -> None:
    most = "999999999999.00"
    payments = [*PAYMENTS, *({**PAYMENTS[0], "receipt": f"M{n}", "sum": most} for n in range(101))]
    refunds = [
        *REFUNDS,
        *(
            {**REFUNDS[0], "number": "A3", "slip": f"M{n}", "line": "", "sum": most}
            for n in range(101)
        ),
    ]
    rejects, orders = _rejects(database, tmp_path, payments=payments, refunds=refunds)
    reason = "with it the {} of the order come to more than an amount can hold"
    assert rejects == [
        Reject("payments.csv", 103, "sum", reason.format("payments")),
        Reject("refunds.csv", 102, "sum", reason.format("refunds")),
        Reject("orders.csv", 1, None, "refused with its row 103 of payments.csv"),
        Reject("orders.csv", 3, None, "refused with its row 102 of refunds.csv"),
    ]
    assert orders == ["A2"]


def test_a_line_that_costs_more_than_an_amount_holds_is_refused(
    database: Database, tmp_path: Path
) -> None:
    costs = {"pieces": "2000000000", "each": "0.01"}
    lines = [
        *({**line, "cost": "1.25"} for line in LINES),
        {**LINES[0], **costs, "line": "A1-3", "cost": "50000.00"},
        {**LINES[-1], **costs, "line": "A9-9", "cost": "49999.99"},
    ]
    write_export(tmp_path, "csv", lines=lines)
    mapped = mapping_text().replace("unit_price: each", "unit_price: each, unit_cost: cost")
    tenant_id = make_tenant(database, "EUR")
    summary = import_folder(database, tenant_id, tmp_path, parse_mapping(mapped))
    reason = "the line costs more than an amount can hold"
    assert summary.rejects.kept[0] == Reject("lines.csv", 5, "cost", reason)
    [(most,)] = query(database, tenant_id, "SELECT max(quantity * unit_cost) FROM order_lines")
    assert most == 2_000_000_000 * Decimal("49999.99")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        # of the data, and one that another attempt may not meet
        ("SELECT 1e20::numeric(18,4)", "numeric field overflow"),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", "deadlock_detected"),
    ],
)
def test_an_error_of_postgres_closes_the_job(
    database: Database, tmp_path: Path, statement: str, message: str
) -> None:
    tenant_id = make_tenant(database, "EUR")
    write_export(tmp_path)
    database.server.execute(
        "CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS"
        f" $f$ BEGIN EXECUTE $s${statement}$s$; RETURN NEW; END $f$;"
        "CREATE TRIGGER break_off BEFORE INSERT ON payments"
        " FOR EACH ROW EXECUTE FUNCTION break_off()",
        database.name,
    )
    try:
        with pytest.raises(DBAPIError):
            import_folder(database, tenant_id, tmp_path, parse_mapping(mapping_text()))
    finally:
        database.server.execute("DROP FUNCTION break_off CASCADE", database.name)
    assert query(database, tenant_id, "SELECT state, error, lease_until FROM jobs") == [
        ("failed", f"Postgres ended the import: {message}. What is written stays.", None)
    ]
    # asked for again, it goes on
    import_folder(database, tenant_id, tmp_path, parse_mapping(mapping_text()))
    assert query(database, tenant_id, "SELECT state, error FROM jobs") == [("succeeded", None)]


def test_a_ragged_line_takes_its_order_along(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database, "EUR")
    write_export(tmp_path)
    with (tmp_path / "lines.csv").open("a") as handle:
        handle.write('A2,A2-2,P1,1,9.50,surplus\nA3,"never closed\n')
    with (tmp_path / "customers.csv").open("ab") as handle:
        handle.write(b"C3,,Ren\xe9,\n")
    summary = import_folder(database, tenant_id, tmp_path, parse_mapping(mapping_text()))
    assert summary.rejects.kept == [
        Reject("customers.csv", 3, None, "bytes that are not text in the file's encoding"),
        Reject("lines.csv", 5, None, "6 fields where the header has 5"),
        Reject("lines.csv", 6, None, "not readable as CSV: unexpected end of data"),
        Reject("orders.csv", 2, None, "refused with its row 5 of lines.csv"),
    ]
    assert query(database, tenant_id, "SELECT external_id FROM orders ORDER BY 1") == [
        ("A1",),
        ("A3",),
    ]


def test_amounts_are_exact_in_a_currency_without_decimals(
    database: Database, tmp_path: Path
) -> None:
    rejects, orders = _rejects(database, tmp_path, "JPY")
    # the one order whose amounts are whole
    assert orders == ["A2"]
    too_fine = "9.50 has more decimals than the 0 of its currency"
    assert Reject("products.csv", 1, "price", too_fine) in rejects
    assert Reject("orders.csv", 3, None, "refused with its row 4 of lines.csv") in rejects


def test_parents_that_form_a_circle_are_refused(database: Database, tmp_path: Path) -> None:
    tenant_id = make_tenant(database)
    (tmp_path / "shelves.csv").write_text(
        "key,name,over\nA,A,\nB,B,A\nC,C,D\nD,D,C\nE,E,nowhere\nF,F,E\n"
    )
    mapping = parse_mapping(
        "name: shelves\nfiles: {shelves: {name: shelves.csv}}\nentities:\n  categories:\n"
        "    from: shelves\n    fields: {external_id: key, name: name, parent: over}\n"
    )
    summary = import_folder(database, tenant_id, tmp_path, mapping)
    assert [(reject.row, reject.column) for reject in summary.rejects.kept] == [
        (3, "over"),
        (4, "over"),
        (5, "over"),
        (6, "over"),
    ]
    assert query(
        database,
        tenant_id,
        "SELECT c.name, p.name FROM categories c LEFT JOIN categories p ON p.id = c.parent_id"
        " ORDER BY c.name",
    ) == [("A", None), ("B", "A")]
    # what is there already counts: A under B would close a circle
    (tmp_path / "shelves.csv").write_text("key,name,over\nA,A,B\n")
    summary = import_folder(database, tenant_id, tmp_path, mapping)
    assert [reject.row for reject in summary.rejects.kept] == [1]
    # and the tree goes no deeper than it may
    rows = [f"N{level},N,{f'N{level - 1}' if level else 'B'}" for level in range(10)]
    (tmp_path / "shelves.csv").write_text("\n".join(["key,name,over", *rows]))
    summary = import_folder(database, tenant_id, tmp_path, mapping)
    assert [reject.row for reject in summary.rejects.kept] == [9, 10]


def test_only_the_first_rejects_are_kept_and_all_are_counted(
    database: Database, tmp_path: Path
) -> None:
    tenant_id = make_tenant(database)
    header = "key,name\n"
    (tmp_path / "shelves.csv").write_text(header + "".join(f"{i},\n" for i in range(100_050)))
    mapping = parse_mapping(
        "name: shelves\nfiles: {shelves: {name: shelves.csv}}\nentities:\n  categories:\n"
        "    from: shelves\n    fields: {external_id: key, name: name}\n"
    )
    summary = import_folder(database, tenant_id, tmp_path, mapping)
    assert len(summary.rejects.kept) == 100_000
    assert summary.rejects.counts["categories"] == summary.rejects.total == 100_050
