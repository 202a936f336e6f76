"""The guides in notebooks/ run from top to bottom on a small lake, and are kept without outputs."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from analytics.tenant_lake import LakeNotFoundError, Regional, TenantLake, open_lake
from tests.factories import golden_shop
from tests.factories.lake import write_lake

AFTER_ALL_ORDERS = datetime(2026, 11, 15, tzinfo=UTC)
GUIDES = sorted(Path("notebooks/guides").glob("*.ipynb"))


@pytest.fixture
def described(tmp_path: Path) -> dict[str, Any]:
    """The golden shop's lake, as `shop-api lake snapshot` describes one."""
    tables = {golden_shop.TENANT: golden_shop.TABLES}
    snapshot = write_lake(tmp_path / "lake", tables, as_of=AFTER_ALL_ORDERS)
    return {
        "location": str(tmp_path / "lake"),
        "tenant_id": golden_shop.TENANT,
        "timezone": golden_shop.TIMEZONE,
        "currency": "USD",
        "snapshot": {
            "id": snapshot.id,
            "as_of": snapshot.as_of.isoformat(),
            "versions": dict(snapshot.versions),
        },
    }


@pytest.fixture
def lake(
    described: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TenantLake]:
    """The same, named by the environment as the guides expect it."""
    file = tmp_path / "lake.json"
    file.write_text(json.dumps(described))
    monkeypatch.setenv("LAKE", str(file))
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    with open_lake(file) as opened:
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
    regional = Regional("UTC", currency)
    with TenantLake(str(tmp_path), golden_shop.TENANT, snapshot, regional) as opened:
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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"location": "/nowhere/lake"}, "no lake with snapshot"),
        ({"tenant_id": "018f0000-0000-7000-8000-000000000000"}, "another installation"),
        ({"snapshot": None}, "describes no lake"),
        ({"snapshot": {"id": 1, "as_of": "soon", "versions": {}}}, "describes no lake"),
    ],
)
def test_a_lake_that_is_not_there_says_so(
    described: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    with pytest.raises(LakeNotFoundError, match=says):
        open_lake({**described, **change})


def test_a_snapshot_that_is_not_there_says_so(described: dict[str, Any]) -> None:
    versions = dict.fromkeys(described["snapshot"]["versions"], 99)
    with pytest.raises(LakeNotFoundError, match="no lake with snapshot"):
        open_lake({**described, "snapshot": {**described["snapshot"], "versions": versions}})


@pytest.mark.parametrize("content", [None, "not JSON"])
def test_a_file_that_is_no_description_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "lake.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(LakeNotFoundError, match="shop-api lake snapshot"):
        open_lake(file)
