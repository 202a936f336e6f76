"""The headers of the OpenAPI document: what operations take and what answers say in them.

Belongs here: each header's description, and which operation has it. Does not: making them.
"""

from typing import Any

from shop_api.kernel.api_versions import NEWEST, VERSION_HEADER

IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "1 to 255 printable ASCII characters. The same key and request again answers the"
    " stored response, byte for byte, with `Idempotency-Replayed: true`. It counts for its sender"
    " (an API key or a person), method and path: elsewhere the same key is another.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
    },
}

# of what brings ids of its own (`Blueprint.intake`)
UNKEPT_KEY = IDEMPOTENCY_KEY | {
    "description": "1 to 255 printable ASCII characters. No answer is kept under it, and none needs"
    " to be: each thing sent has an id, and counts once however often it is sent.",
}

IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "description": "The ETag last seen: 304 without a body when nothing has changed.",
    "schema": {"type": "string"},
}

READ_POSITION = {
    "in": "header",
    "name": "X-Read-Position",
    "required": False,
    "description": "The X-Read-Position of a change that this read must show. Without it a read"
    " shows what its tenant changed before, too.",
    "schema": {"type": "string"},
}

IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "description": "The ETag last seen: 412 and no change when the resource has moved on.",
    "schema": {"type": "string"},
}

# name → what an answer says in it, an example, and whether each answer that names it has it
ANSWER_HEADERS: dict[str, tuple[str, str, bool]] = {
    "X-Request-ID": (
        "The request's id: the one it came with, or one made for it.",
        "8f14e45fceea167a",
        True,
    ),
    "ETag": (
        "The version answered: for If-None-Match and If-Match.",
        '"3-c2b6f1a09d7e4f5a81"',
        True,
    ),
    "Link": (
        "The pages beside this one, as `next` and `prev` (RFC 8288).",
        '</api/v1/orders?limit=20&after=LXoH9i41>; rel="next"',
        False,
    ),
    "Location": (
        "Where what was made is read, if it is a resource of its own.",
        "/api/v1/orders/019b0000-0000-7000-8000-000000000001",
        False,
    ),
    "Cache-Status": (
        "Where the answer comes from, and for how many seconds more it is good (RFC 9211):"
        " docs/guides/caching.md.",
        "shop-api; hit; ttl=240; detail=memory",
        True,
    ),
    "Idempotency-Replayed": (
        "`true`: the stored answer of an earlier request with this Idempotency-Key.",
        "true",
        False,
    ),
    "X-Read-Position": (
        "What a read must have seen to show this change: send it back with reads that follow. Only"
        " where reads are served by a replica.",
        "16b3748",
        False,
    ),
    "RateLimit": (
        "Of the quotas the request falls under, the one with the least left: how many requests (r),"
        " and in how many seconds its window ends (t).",
        '"requests";r=4987;t=12',
        False,
    ),
    "RateLimit-Policy": (
        "The quotas the request falls under: how many requests (q) in how many seconds (w).",
        '"requests";q=5000;w=60, "burst";q=500;w=1',
        False,
    ),
    VERSION_HEADER: (
        "The version of the API that the answer is of, where versions answer otherwise.",
        NEWEST,
        True,
    ),
    "Deprecation": (
        "Since when the version asked for is deprecated (RFC 9745). `Link` then names the page that"
        " says what has changed, as `deprecation` and `sunset`, and what to ask for instead, as"
        " `successor-version`.",
        "@1795737600",
        False,
    ),
    "Sunset": (
        "Until when the version asked for is answered at least (RFC 8594).",
        "Wed, 01 Dec 2027 00:00:00 GMT",
        False,
    ),
    "Retry-After": ("After how many seconds to try again.", "12", True),
    "WWW-Authenticate": ("How to say who asks.", 'Bearer realm="shop-api"', True),
}
PROBLEM_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def answer_headers(*names: str) -> dict[str, Any]:
    """An answer's headers, by reference, with those that each answer has."""
    limits = ("RateLimit", "RateLimit-Policy")
    every = ("X-Request-ID", "Cache-Status", *limits, "Deprecation", "Sunset")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*every, *names)}


def success_headers(
    status: int, *, is_read: bool, is_list: bool, is_versioned: bool, is_keyed: bool
) -> dict[str, Any]:
    """The headers of the answer that grants a request."""
    names = ["ETag"] if status != 204 else []
    names += ["Link"] if is_list else []
    names += [VERSION_HEADER] if is_versioned else []
    if is_keyed and not is_read:
        names += ["Location"] if status in (201, 202) else []
        names += ["Idempotency-Replayed", "X-Read-Position"]
    return answer_headers(*names)


def header_components(spec: Any) -> None:
    """Register the headers that answers refer to."""
    for name, (description, example, is_required) in ANSWER_HEADERS.items():
        spec.components.header(
            name,
            {
                "description": description,
                "required": is_required,
                "schema": {"type": "string"},
                "example": example,
            },
        )


def request_headers(
    method: str, takes_condition: bool, *, is_read: bool, is_keyed: bool
) -> list[dict[str, Any]]:
    """The headers an operation takes."""
    if is_read:
        return [IF_NONE_MATCH, READ_POSITION] if method == "GET" else []
    key = IDEMPOTENCY_KEY if is_keyed else UNKEPT_KEY
    return [key, IF_MATCH] if takes_condition else [key]
