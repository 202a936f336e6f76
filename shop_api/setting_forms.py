"""The forms of settings that are more than a number or a word.

Belongs here: types that check a value and say what it must look like, without quoting it. Does not:
the settings (settings.py) and the forms of URLs themselves (kernel/url_forms.py).
"""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator

from shop_api.kernel import url_forms


def _of_form(pattern: str, example: str) -> AfterValidator:
    """Refuses other forms by an example: what was given may hold a password."""

    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"must be of the form {example}")
        return value

    return AfterValidator(check)


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise ValueError("must be of the form 10.1.0.0/16") from error


DatabaseUrl = Annotated[
    str, _of_form(*url_forms.DATABASE), AfterValidator(url_forms.without_driver)
]
RedisUrl = Annotated[str, _of_form(*url_forms.REDIS)]
CollectorUrl = Annotated[str, _of_form(*url_forms.COLLECTOR)]
EndpointUrl = Annotated[str, _of_form(*url_forms.ENDPOINT)]
LakeUrl = Annotated[str, _of_form(*url_forms.LAKE)]
Memory = Annotated[str, _of_form(r"[1-9]\d*(\.\d+)? ?[KMGT]i?B", "128MB")]
Network = Annotated[str, AfterValidator(_network)]
