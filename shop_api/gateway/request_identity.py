"""Request id, trace id and the security headers every answer carries.

Belongs here: naming the request. Does not: logging it (access_log.py).
"""

import random
import re

from shop_api.kernel.api_versions import NEWEST
from shop_api.kernel.exchange import Answer, Exchange, Header, Stage

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# What later versions add stands behind a dash.
_TRACEPARENT = re.compile(
    r"(?:00(?=.{53}\Z)|(?!00|ff)[0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    r"-[0-9a-f]{2}(?:-.*)?"
)

# Answers that set one of their own spell it so.
SECURITY_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]
STRICT_TRANSPORT = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")


class RequestIdentity:
    """Accepts or makes the ids; echoes X-Request-ID."""

    def __init__(self, forward: Stage) -> None:
        self.forward = forward

    def __call__(self, exchange: Exchange) -> Answer:
        environ = exchange.environ
        given = environ.get("HTTP_X_REQUEST_ID")
        if given is not None and _REQUEST_ID.fullmatch(given):
            exchange.request_id = given
        else:
            # names a request and guards nothing: no system call, which lets go of the interpreter
            exchange.request_id = random.getrandbits(128).to_bytes(16, "big").hex()
        parent = environ.get("HTTP_TRACEPARENT")
        if parent:
            match = _TRACEPARENT.fullmatch(parent)
            exchange.trace_id = match.group(1) if match else ""
        answer = self.forward(exchange)
        common = answer.common_headers
        if common is None:
            common = answer.common_headers = with_common(answer.headers)
        headers = [*common, *exchange.answer_headers, ("X-Request-ID", exchange.request_id)]
        if exchange.api_version != NEWEST:
            # what tells that it is an old one comes with the question
            headers = with_common([*headers, ("Vary", "Accept")])
        if is_secure(exchange):
            headers.append(STRICT_TRANSPORT)
        return Answer(answer.status, headers, answer.body)


def with_common(headers: list[Header]) -> list[Header]:
    """The headers of an answer with those that every answer has: one Vary, and security.

    Vary names Origin also without one: a cache must not give that answer to a page.
    """
    varies = [part for name, value in headers if name == "Vary" for part in value.split(", ")]
    own = {name for name, _ in headers}
    return [
        *[header for header in headers if header[0] != "Vary"],
        ("Vary", ", ".join(dict.fromkeys([*varies, "Origin"]))),
        *[header for header in SECURITY_HEADERS if header[0] not in own],
    ]


def is_secure(exchange: Exchange) -> bool:
    """Whether the client speaks TLS, to this server or to the proxy before it."""
    environ = exchange.environ
    return (
        environ.get("wsgi.url_scheme") == "https"
        or environ.get("HTTP_X_FORWARDED_PROTO") == "https"
    )
