"""`shop-api import`: what it prints, writes and exits with."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shop_api.commands.import_ import import_
from tests.factories.exports import LINES, mapping_text, write_export
from tests.factories.imports import query
from tests.factories.rows import make_tenant
from tests.factories.shopify import write_shopify
from tests.fixtures.stores import Database

COUNTED = ("read", "created", "updated", "unchanged", "rejected")


@pytest.fixture
def environment(
    database: Database, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The settings of the command line, a mapping file, and an export with one bad line."""
    for name, value in {
        "DATABASE_URL": database.application_url,
        "SHOP_MIGRATOR_DATABASE_URL": database.migrator_url,
        "SHOP_EXPORTER_DATABASE_URL": database.exporter_url,
        "REDIS_URL": redis_url,
        "SHOP_DATA_DIR": str(tmp_path / "data"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "export").mkdir()
    (tmp_path / "shop.yaml").write_text(mapping_text())
    write_export(tmp_path / "export", lines=[*LINES, {**LINES[3], "code": "P9", "line": "A3-2"}])
    return tmp_path


def run(folder: Path, slug: str, *options: str) -> Result:
    mapping = ["--mapping", str(folder / "shop.yaml")]
    return CliRunner().invoke(
        import_, [str(folder / "export"), "--tenant", slug, *mapping, *options]
    )


def test_it_imports_tells_and_lists_what_it_refused(database: Database, environment: Path) -> None:
    tenant_id = make_tenant(database, "EUR", slug="corner")
    rejects = environment / "rejects.csv"
    result = run(environment, "corner", "--rejects", str(rejects))
    assert result.exit_code == 0, result.output
    assert query(database, tenant_id, "SELECT count(*) FROM orders") == [(2,)]
    cells = [[c.strip() for c in r.split("│")[1:-1]] for r in result.stdout.splitlines()]
    assert [row for row in cells if row and row[0] in ("orders", "order_lines", "payments")] == [
        ["orders", "3", "2", "0", "0", "1"],
        ["order_lines", "5", "–", "–", "–", "1"],
        ["payments", "2", "–", "–", "–", "0"],
    ]
    ((counts,),) = query(database, tenant_id, "SELECT counts FROM jobs")
    dash = {None: "–"}
    assert {row[0]: row[1:] for row in cells if row} == {
        name: [dash.get(told[column], str(told[column])) for column in COUNTED]
        for name, told in counts.items()
    }
    assert "importing corner_shop:  30% checking" in result.stderr
    assert "2 records were refused:" in result.stderr
    assert "lines.csv, row 5, column code: there is no product 'P9'" in result.stderr
    assert rejects.read_text().splitlines()[1:] == [
        "lines.csv,5,code,there is no product 'P9'",
        "orders.csv,3,,refused with its row 5 of lines.csv",
    ]


def test_strict_exits_1_when_a_row_was_refused(database: Database, environment: Path) -> None:
    make_tenant(database, "EUR", slug="strict")
    assert run(environment, "strict", "--strict").exit_code == 1
    write_export(environment / "export")
    assert run(environment, "strict", "--strict").exit_code == 0


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--preset", "olist"), 2, "give --preset or --mapping"),
        ((), 1, "there is no tenant 'nobody'"),
    ],
)
def test_it_says_what_is_missing(
    environment: Path, options: tuple[str, ...], status: int, message: str
) -> None:
    result = run(environment, "nobody", *options)
    assert (result.exit_code, message in result.stderr) == (status, True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("entities:", "entities: [", ": Not readable as YAML or JSON: "),
        ("entities:", "entities: [", " in line "),
        ("price: price", "cost: price", "no such field; there are "),
        ("price: price", "price: {colum: price}", ".fields.price: Object contains unknown field"),
        ("price: price", "price: {column: 7}", ".fields.price.column: Expected `str | null`, got"),
    ],
)
def test_a_bad_mapping_is_named_with_its_line(
    environment: Path, old: str, new: str, said: str
) -> None:
    mapping = environment / "shop.yaml"
    assert old in mapping_text()
    text = mapping_text().replace(old, new, 1)
    mapping.write_text(text)
    result = run(environment, "nobody")
    assert (result.exit_code, said in result.stderr) == (1, True), result.stderr
    line = 1 + text[: text.index(new)].count("\n")
    assert f"Error: {mapping}: " in result.stderr
    assert f"(line {line})" in result.stderr or "in line" in result.stderr
    mapping.write_bytes(b"name: x\nfiles: \xff")
    assert f"{mapping}: Not UTF-8, in line 2" in run(environment, "nobody").stderr


def test_spreadsheets_are_named(database: Database, environment: Path) -> None:
    make_tenant(database, "EUR", slug="sheets")
    folder = environment / "export"
    (folder / "lines.csv").rename(folder / "lines.xlsx")
    result = run(environment, "sheets")
    assert result.exit_code == 1
    assert "lines.xlsx is a spreadsheet, which is not read" in result.stderr


def test_a_file_that_does_not_fit_is_an_error(database: Database, environment: Path) -> None:
    make_tenant(database, "EUR", slug="unfit")
    (environment / "export" / "lines.csv").write_text("a\n")
    result = run(environment, "unfit")
    assert result.exit_code == 1
    assert "lines.csv has no column `code`; its columns are: a." in result.stderr


def test_another_currency_is_refused_with_what_to_do(database: Database, environment: Path) -> None:
    tenant_id = make_tenant(database, "EUR", slug="euro")
    mapping = environment / "shop.yaml"
    mapping.write_text(f"currency: BRL\n{mapping_text()}")
    refused = run(environment, "euro")
    assert refused.exit_code == 1
    assert "corner_shop has its amounts in BRL" in refused.stderr
    assert "import it into a tenant of BRL" in refused.stderr
    assert "shop-api tenant create SLUG --currency BRL" in refused.stderr
    assert query(database, tenant_id, "SELECT count(*) FROM products") == [(0,)]


def test_files_the_mapping_does_not_speak_of_are_named(
    database: Database, environment: Path
) -> None:
    make_tenant(database, "EUR", slug="more-files")
    (environment / "export" / "reviews.csv").write_text("a,b\n")
    result = run(environment, "more-files")
    assert result.exit_code == 0
    assert "not in the mapping, left alone: reviews.csv" in result.stderr


def test_a_preset_brings_a_catalogue(database: Database, environment: Path) -> None:
    tenant_id = make_tenant(database, "EUR", slug="goods")
    folder = environment / "shopify"
    folder.mkdir()
    write_shopify(folder)
    result = CliRunner().invoke(
        import_, [str(folder), "--tenant", "goods", "--preset", "shopify", "--strict"]
    )
    assert result.exit_code == 0, result.output
    assert query(database, tenant_id, "SELECT count(*) FROM product_images") == [(4,)]
    assert "shopify|woocommerce" in CliRunner().invoke(import_, ["--help"]).output
