"""The guides, run line by line as a reader would type them."""

import re
from pathlib import Path

import pytest

from tests.fixtures.consoles import follow, steps_of

GUIDES = Path("docs/guides")


def test_the_commonest_jobs_are_done_as_the_guide_says() -> None:
    assert follow(GUIDES / "common_jobs.md", data="var/jobs", ports=("8200", "8201")) > 20


def test_analysts_read_the_lake_as_the_guide_says() -> None:
    assert follow(GUIDES / "analysts.md", data="var/") == 11


def test_figures_are_asked_for_as_the_guide_says() -> None:
    path = GUIDES / "analytics.md"
    assert follow(path, data="var/asking", ports=("8240", "8241")) == 17


def test_a_shop_is_told_as_the_guide_says() -> None:
    path = GUIDES / "notifications.md"
    assert follow(path, data="var/told", ports=("8250", "8251")) == 23


def test_requests_are_traced_as_the_guide_says() -> None:
    path = GUIDES / "tracing.md"
    assert follow(path, data="var/traced", ports=("8220", "8221", "4318")) == 11


def test_requests_are_signed_as_the_guide_says() -> None:
    path = GUIDES / "signed_requests.md"
    assert follow(path, data="var/signing", ports=("8210", "8211")) == 10


def test_an_older_version_is_asked_for_as_the_guide_says() -> None:
    path = GUIDES / "versioning.md"
    assert follow(path, data="var/versions", ports=("8230", "8231")) == 15


CONSOLES = sorted(path for path in GUIDES.glob("*.md") if steps_of(path))


@pytest.mark.parametrize("guide", CONSOLES, ids=lambda path: path.stem)
def test_a_guide_leaves_the_terminal_as_it_found_it(guide: Path) -> None:
    commands = [step.command for step in steps_of(guide)]
    text = "\n".join(commands)
    exported = set(re.findall(r"(?<=[ ;])(SHOP_\w+)=", text))
    unset = {
        name for line in re.findall(r"^unset (.*)$", text, re.MULTILINE) for name in line.split()
    }
    assert exported
    assert exported <= unset
    started = sum(command.endswith("&") for command in commands)
    assert len(re.findall(r"^kill %\d$", text, re.MULTILINE)) == started


def test_no_two_guides_take_the_same_port() -> None:
    taken = [
        port
        for guide in [Path("README.md"), *CONSOLES]
        for port in re.findall(r"SHOP_\w+_PORT=(\d+)", guide.read_text())
    ]
    assert len(taken) == len(set(taken)) >= 10
