"""The API reference: its pages need no other host, and its document shows what all looks like."""

import re
from typing import Any

import jsonschema
import pytest

from shop_api.app import make_document
from shop_api.web.examples import BY_NAME, OF_RESOURCES
from tests.fixtures.api import ApiClient

PAGES = ("/api/docs", "/api/docs/redoc")
NAMED = re.compile(r'(?:src|href)="([^"]+)"')
# what a script makes an image or script load
LOADED = re.compile(r'src:"(https?://[^"]+)"')


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return make_document()


def properties(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{resource}.{name}", form)
        for resource, schema in document["components"]["schemas"].items()
        for name, form in schema.get("properties", {}).items()
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_and_all_it_names_come_from_here(api: ApiClient, page: str) -> None:
    named = set(NAMED.findall(api.get(page).body.decode()))
    assert len(named) >= 6
    for target in named:
        assert target.startswith("/"), target
        assert api.get(target).status == 200, target


@pytest.mark.parametrize("page", PAGES)
def test_a_page_seen_again_keeps_its_policy(api: ApiClient, page: str) -> None:
    """A browser takes the policy of a 304 for the page it shows again."""
    first = api.get(page)
    again = api.get(page, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"):
        assert again.headers[name] == first.headers[name]


@pytest.mark.parametrize("page", PAGES)
def test_no_script_of_a_page_loads_from_another_host(api: ApiClient, page: str) -> None:
    scripts = [
        target for target in NAMED.findall(api.get(page).body.decode()) if target.endswith(".js")
    ]
    assert len(scripts) == 2
    for script in scripts:
        assert LOADED.findall(api.get(script).body.decode()) == [], script


def test_the_page_opens_with_all_groups_closed_and_a_filter(api: ApiClient) -> None:
    script = api.get("/api/docs/assets/pages/swagger.js").body.decode()
    assert 'docExpansion: "none"' in script
    assert "filter: true" in script


def test_every_tag_says_in_a_sentence_what_is_under_it(document: dict[str, Any]) -> None:
    told = {tag["name"]: tag["description"] for tag in document["tags"]}
    used = {
        tag
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
        for tag in operation["tags"]
    }
    assert used == set(told)
    assert [name for name, text in told.items() if not text.endswith(".")] == []


def test_every_text_shows_what_it_looks_like(document: dict[str, Any]) -> None:
    bare = [
        name
        for name, form in properties(document)
        if "string" in str(form.get("type"))
        and not form.keys() & {"example", "enum"}
        and form.get("format") != "binary"
    ]
    assert bare == [], "give each an example: metadata of its field, or shop_api/web/examples.py"


def test_every_example_is_one_the_schema_allows(document: dict[str, Any]) -> None:
    for name, form in properties(document):
        if "example" in form:
            try:
                jsonschema.validate(form["example"], form)
            except jsonschema.ValidationError as error:
                pytest.fail(f"{name}: {error.message}")


def test_no_example_is_of_a_field_that_is_gone(document: dict[str, Any]) -> None:
    named = {name for name, _ in properties(document)}
    assert set(OF_RESOURCES) <= named
    assert set(BY_NAME) <= {name.partition(".")[2] for name in named}


def test_a_problem_is_shown_under_its_own_status(document: dict[str, Any]) -> None:
    shown = document["components"]["responses"]
    problems = {
        name: content["example"]
        for name, response in shown.items()
        for kind, content in response["content"].items()
        if kind == "application/problem+json"
    }
    assert len(problems) > 10
    for name, problem in problems.items():
        assert name == f"Problem{problem['status']}"
        assert problem["type"].endswith(problem["code"])
        jsonschema.validate(problem, {"required": ["detail", "code", "request_id", "instance"]})
