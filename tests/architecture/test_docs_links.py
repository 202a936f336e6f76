"""Whatever a page of the docs links to in the project is there: pages, sources, pictures.

Belongs here: links between files. Does not: what the pages say.
"""

import re
from pathlib import Path

PAGES = [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
OWN_SCALE = Path("docs/guides/scale.svg")


def test_pages_link_to_what_is_there() -> None:
    missing = [
        f"{page}: {target}"
        for page in PAGES
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert missing == []


def test_the_curve_of_costs_is_drawn_and_shown() -> None:
    assert OWN_SCALE.name in LINK.findall(Path("docs/guides/benchmarks.md").read_text())
    assert OWN_SCALE.read_text(encoding="utf-8").startswith("<?xml")
