"""What is wrong with settings that were given, in words that quote no value.

Belongs here: explaining a refusal to an operator. Does not: the settings (settings.py) and what
they must look like (setting_forms.py).
"""

import re

from pydantic import AliasChoices, ValidationError
from pydantic_settings import SettingsError

from shop_api.settings import Settings


def explain(error: ValidationError | SettingsError) -> list[str]:
    """What is wrong with the settings given: a line for each variable, without its value."""
    if isinstance(error, SettingsError):
        # the message names the field, and may say no more
        named = re.search(r'field "(\w+)"', str(error))
        variable = _variable(named.group(1)) if named else "a variable"
        return [f'{variable}: must be a JSON list, such as ["…"]']
    return [
        f"{_variable(str(problem['loc'][0]))}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_url=False, include_input=False)
    ]


def _variable(name: str) -> str:
    """A setting as the environment names it."""
    alias = Settings.model_fields[name.lower()].validation_alias if name.islower() else None
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return name if name.isupper() else f"SHOP_{name.upper()}"
