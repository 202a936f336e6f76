"""The guides, run line by line as a reader would type them."""

from pathlib import Path

from tests.fixtures.consoles import follow

GUIDES = Path("docs/guides")


def test_the_commonest_jobs_are_done_as_the_guide_says() -> None:
    assert follow(GUIDES / "common_jobs.md", data="var/jobs", ports=("8200", "8201")) > 20


def test_analysts_read_the_lake_as_the_guide_says() -> None:
    assert follow(GUIDES / "analysts.md", data="var/") == 8


def test_requests_are_traced_as_the_guide_says() -> None:
    path = GUIDES / "tracing.md"
    assert follow(path, data="var/traced", ports=("8220", "8221", "4318")) == 10


def test_requests_are_signed_as_the_guide_says() -> None:
    path = GUIDES / "signed_requests.md"
    assert follow(path, data="var/signing", ports=("8210", "8211")) == 8


def test_an_older_version_is_asked_for_as_the_guide_says() -> None:
    path = GUIDES / "versioning.md"
    assert follow(path, data="var/versions", ports=("8220", "8221")) == 13
