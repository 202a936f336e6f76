"""The README's tour, run line by line as a reader would type it, and its links."""

import re
from pathlib import Path

from tests.fixtures.consoles import follow

README = Path("README.md")


def test_the_tour_is_true_line_by_line() -> None:
    assert follow(README, data="var/tour", ports=("8100", "8101")) > 15


def test_every_link_of_the_documents_leads_to_a_file() -> None:
    for document in [README, *Path("docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document}: {target}"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", Path("Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", README.read_text()))
    assert named <= targets
