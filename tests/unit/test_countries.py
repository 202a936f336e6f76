"""The countries there are, held against the list that comes with the zones' database."""

from importlib.resources import files

from shop_api.kernel.countries import COUNTRIES


def test_the_codes_are_those_of_iso_3166() -> None:
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    listed = {line.split("\t")[0] for line in table.splitlines() if not line.startswith("#")}
    assert listed == COUNTRIES
    assert len(COUNTRIES) == 249
