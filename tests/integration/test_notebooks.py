"""The guides in notebooks/ run from top to bottom on a small lake, and are kept without outputs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from analytics import open_lake
from analytics.manifest import manifest_key
from analytics.tenant_lake import LakeNotFoundError, TenantLake
from tests.factories import golden_shop
from tests.factories.lake import tell_of, write_lake

AFTER_ALL_ORDERS = datetime(2026, 11, 15, tzinfo=UTC)
GUIDES = sorted(Path("notebooks/guides").glob("*.ipynb"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The golden shop's lake, as it lies there without any service."""
    made = tmp_path / "lake"
    tables = {golden_shop.TENANT: golden_shop.TABLES}
    snapshot = write_lake(made, tables, as_of=AFTER_ALL_ORDERS)
    tell_of(made, snapshot, golden_shop.TENANT, timezone=golden_shop.TIMEZONE)
    return made


@pytest.fixture
def lake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TenantLake]:
    """The same, named by the environment as the guides expect it."""
    monkeypatch.setenv("TENANT", "golden")
    monkeypatch.setenv("SHOP_LAKE_URL", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    with open_lake("golden") as opened:
        yield opened


def run(path: Path) -> list[Any]:
    """The outputs of the guide's cells, run in a kernel of its own."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_first_look_draws_two_plots_and_agrees_with_the_dashboard(lake: TenantLake) -> None:
    outputs = run(Path("notebooks/guides/first_look.ipynb"))
    images = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(images) == 2
    text = "\n".join(o["data"].get("text/plain", "") for o in outputs if "data" in o)
    assert "Gross sales" in text
    gross_sales = lake.revenue(period="all", compare="none")["metrics"]
    assert str(gross_sales["gross_sales"]) == "67.00"


@pytest.mark.parametrize(("currency", "gross_sales"), [("KWD", "67.000"), ("JPY", "67")])
def test_figures_have_the_digits_of_the_shops_currency(
    tmp_path: Path, currency: str, gross_sales: str
) -> None:
    tables = {
        name: [{**row, "currency": currency} if row.get("currency") == "USD" else row for row in of]
        for name, of in golden_shop.TABLES.items()
    }
    snapshot = write_lake(tmp_path, {golden_shop.TENANT: tables}, as_of=AFTER_ALL_ORDERS)
    tell_of(tmp_path, snapshot, golden_shop.TENANT, currency=currency)
    with open_lake(golden_shop.TENANT, tmp_path) as opened:
        metrics = opened.revenue(period="all", compare="none")["metrics"]
    assert str(metrics["gross_sales"]) == gross_sales


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_guides_are_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_analysts_see_the_tables_and_nothing_else(lake: TenantLake) -> None:
    rows = lake.sql("SELECT count(*) AS n FROM orders WHERE channel = $channel", channel="pos")
    assert rows == [{"n": 1}]
    assert lake.dashboard(period="all")["orders"]["total"] == 7
    with pytest.raises(KeyError, match="there are orders"):
        lake.files("secrets")


def test_a_lake_that_cannot_be_opened_says_why(folder: Path) -> None:
    for tenant, place in [
        ("golden", folder.with_name("nowhere")),
        ("another", folder),
        ("018f0000-0000-7000-8000-000000000000", folder),
        ("../golden", folder),
    ]:
        with pytest.raises(LakeNotFoundError, match="There is no tenant"):
            open_lake(tenant, place)
    manifest = folder / manifest_key(golden_shop.TENANT)
    told = manifest.read_text()
    manifest.write_text(told.replace('"golden"', '"renamed"'))
    with pytest.raises(LakeNotFoundError, match="There is no tenant 'golden'"):
        open_lake("golden", folder)
    manifest.write_text(told[:-5])
    with pytest.raises(LakeNotFoundError, match="is damaged"):
        open_lake(golden_shop.TENANT, folder)
