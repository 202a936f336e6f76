"""Choosing what to answer with, by `Accept`.

Belongs here: reading the header. Does not: versions of the API (gateway/bounds.py).
"""

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from shop_api.kernel.api_versions import MEDIA_TYPE
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.web.reply import JSON

VARIES = ("Vary", "Accept")


def choose_type(accept: str | None, offered: tuple[str, ...]) -> str:
    """The type of `offered` that a client wants most, the first of equals; 406 when it takes none.

    The vendor's name of JSON is JSON.
    """
    if not accept or not accept.strip():
        return offered[0]
    # a charset and other parameters choose nothing here
    named = parse_accept_header(accept, MIMEAccept)
    wanted = MIMEAccept([(kind.partition(";")[0].strip(), quality) for kind, quality in named])
    best = wanted.best_match([*offered, MEDIA_TYPE] if JSON in offered else offered)
    if best is None:
        raise DomainError(
            ErrorKind.NOT_ACCEPTABLE, "not_acceptable", f"This comes as {', '.join(offered)}."
        )
    return JSON if best == MEDIA_TYPE else best
