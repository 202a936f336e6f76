"""Every dated change is one that answers have, is told, is tested, and leaves time to follow."""

import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from shop_api.app import make_document
from shop_api.kernel.api_versions import DEPRECATIONS, VERSIONS, Change
from shop_api.kernel.clock import utc_now
from shop_api.web.version_page import version_page
from tests.api.test_api_versions import ANSWERS
from tests.architecture.sources import ROOT

MIN_DEPRECATED = timedelta(days=365)
GUIDE = (ROOT / "docs" / "guides" / "versioning.md").read_text(encoding="utf-8")
CHANGES = [
    pytest.param(before.name, version.name, change, id=f"{version.name}-{change.summary[:40]}")
    for before, version in pairwise(VERSIONS)
    for change in version.changes
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_document()


def test_versions_follow_each_other_and_each_changed_something() -> None:
    for before, version in pairwise(VERSIONS):
        assert before.released_on < version.released_on
        assert version.changes
    assert not VERSIONS[0].changes
    assert VERSIONS[-1].sunset_on is None
    assert VERSIONS[-1].released_on <= utc_now().date()


def test_what_is_deprecated_is_answered_for_a_year_at_least() -> None:
    assert list(DEPRECATIONS) == [version.name for version in VERSIONS[:-1]]
    for deprecation in DEPRECATIONS.values():
        assert deprecation.sunset_on - deprecation.since >= MIN_DEPRECATED


@pytest.mark.parametrize(("before", "version", "change"), CHANGES)
def test_a_change_is_of_an_answer_and_told(
    document: dict[str, Any], before: str, version: str, change: Change
) -> None:
    older = document["components"]["schemas"][f"{change.resource}-{before}"]
    newest = document["components"]["schemas"][change.resource]
    assert older != newest
    assert any(form.get("deprecated") for form in older["properties"].values())
    # by the guide and by the page, under the version's name, by both names
    names = re.findall("`([a-z_]+)`", change.summary)[:2]
    section = GUIDE.split(f"### {version}", 1)[1].split("\n#", 1)[0]
    told = version_page(document).decode().split(f'<section id="{version}">', 1)[1]
    for name in names:
        assert f"`{name}`" in section
        assert f"<code>{name}</code>" in told.split("</section>", 1)[0]


def test_every_operation_whose_answer_holds_a_change_is_listed(document: dict[str, Any]) -> None:
    """By the references of the document, which the code that walks answers back does not use."""
    page = version_page(document).decode()
    schemas = document["components"]["schemas"]

    def holds(name: str, resources: set[str]) -> bool:
        found = set(re.findall(r"#/components/schemas/([^']+)'", str(schemas[name])))
        return name in resources or any(holds(one, resources) for one in found)

    resources = {change.resource for version in VERSIONS for change in version.changes}
    listed = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not isinstance(operation, dict):
                continue
            granted = next(r for s, r in operation["responses"].items() if s[0] == "2")
            schema = str(granted.get("content", {}).get("application/json", {}).get("schema"))
            names = re.findall(r"#/components/schemas/([^']+)'", schema)
            is_held = any(holds(name, resources) for name in names)
            assert is_held == (f"<code>{method.upper()} {path}</code>" in page)
            listed += is_held
    assert listed > 10


def test_every_changed_resource_is_asked_for_over_http() -> None:
    assert set(ANSWERS) == {change.resource for version in VERSIONS for change in version.changes}
