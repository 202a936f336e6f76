"""Every setting says what it means, and the guide lists all of them as they are."""

from shop_api.commands.settings import render_page, variable_name
from shop_api.settings import Settings
from tests.architecture.sources import ROOT

PAGE = ROOT / "docs" / "guides" / "settings.md"


def test_every_setting_has_a_description() -> None:
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert not silent


def test_the_guide_is_what_the_settings_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_page(), "run `make docs`"


def test_the_guide_names_every_variable() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert f"`{variable_name(name, field)}`" in page
