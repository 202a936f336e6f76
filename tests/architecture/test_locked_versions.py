"""What is installed is pinned: every requirement of setup.cfg, and no place to fetch it from."""

import re
from configparser import ConfigParser
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sources import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = {
    canonicalize_name(match[1]): match[2]
    for match in re.finditer(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)
}


def requirements(extra: str = "test") -> list[Requirement]:
    """What the project needs with one of its extras."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"] + setup["options.extras_require"][extra]
    return [Requirement(line) for line in lines.splitlines() if line.strip()]


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    for requirement in requirements():
        version = PINS.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement}: run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_what_the_extra_for_spark_needs_is_pinned_in_its_own_lock() -> None:
    pins = dict(
        line.split("==")
        for line in (ROOT / "requirements-spark.lock").read_text(encoding="utf-8").splitlines()
    )
    (pyspark,) = [r for r in requirements("spark") if r.name not in PINS]
    assert pyspark.specifier.contains(pins.pop("pyspark"))
    assert pins.keys() == {"py4j"}


def test_the_condition_of_a_requirement_is_kept() -> None:
    for requirement in requirements():
        if requirement.marker is not None:
            assert str(requirement.marker) in LOCK, requirement


def test_the_lock_names_no_host_and_no_folder() -> None:
    assert not re.search(r"://|--index|--find-links|--extra|/(?:home|root|tmp|opt|work)/", LOCK)


def test_every_line_pins_one_version_and_nothing_twice() -> None:
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    unpinned = [line for line in lines if not re.match(r"[a-z0-9-]+==[0-9][\w.+!]*(\s|$)", line)]
    assert unpinned == []
    assert len(lines) == len(PINS)


def test_whatever_a_pinned_package_needs_is_pinned_to_a_version_it_allows() -> None:
    missing = []
    for name, version in PINS.items():
        installed = distribution(name)
        assert installed.version == version, f"{name} is not the locked one: make install"
        for line in installed.requires or ():
            needed = Requirement(line)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            pin = PINS.get(canonicalize_name(needed.name))
            if pin is None or not needed.specifier.contains(pin, prereleases=True):
                missing.append(f"{name} needs {needed}, pinned is {pin}")
    assert missing == []
