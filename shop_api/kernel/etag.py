"""Entity tags: `"<version>-<hash>"`.

The version counts the row's own changes and is what If-Match compares, so that a sale does not
spoil the edit of a product; the hash is of the bytes, so that the tag is strong and If-None-Match
exact. A compressed answer carries the coding as a suffix.
"""

import re
from hashlib import sha256

CODINGS = ("zstd", "br", "gzip")
_OURS = re.compile(r'"\d+(-[^"]*)?"', re.ASCII)


def make_etag(body: bytes, version: int = 0) -> str:
    """The tag of these bytes; `version` 0 for what has no row of its own (a list).

    SHA-256 because Postgres has it too: it makes the tag of an answer whose number it draws.
    """
    return f'"{version}-{sha256(body).hexdigest()[:18]}"'


def version_of(etag: str) -> int:
    """The version in a tag that was made here."""
    return int(etag[1:].partition("-")[0])


def with_coding(etag: str, coding: str) -> str:
    """The tag of the same answer compressed."""
    return f'{etag[:-1]}-{coding}"'


def _opaque_tags(header: str) -> list[str]:
    """The quoted tags of If-Match or If-None-Match; a weak one keeps its W/."""
    return [part.strip() for part in header.split(",") if part.strip()]


def matching_tag(header: str, etag: str) -> str | None:
    """The tag in If-None-Match that names the current `etag` (weak comparison, any coding).

    It is the one a 304 must carry: the client updates the answer it kept under that tag.
    """
    if header.strip() == "*":
        return etag
    base = _base(etag)
    tags = (tag.removeprefix("W/") for tag in _opaque_tags(header))
    return next((tag for tag in tags if _base(tag) == base), None)


def matches_version(header: str, version: int) -> bool:
    """Whether If-Match names the row's current version (strong comparison: W/ never matches)."""
    if header.strip() == "*":
        return True
    return any(
        tag.startswith('"') and tag[1:].split("-")[0].rstrip('"') == str(version)
        for tag in _opaque_tags(header)
    )


def why_no_match(header: str, where: str, what: str) -> str:
    """What to tell who sent If-Match that holds no longer, or never could."""
    tags = _opaque_tags(header)
    if any(_OURS.fullmatch(tag) for tag in tags):
        return f"The {what} has changed since the version in {where}. Read it again."
    if any(_OURS.fullmatch(tag.removeprefix("W/")) for tag in tags):
        return f"The tag in {where} is weak, and a weak one never matches: send it without W/."
    return (
        f"{where} holds no tag of this API: send the ETag of an answer as it came, with its quotes."
    )


def _base(etag: str) -> str:
    for coding in CODINGS:
        if etag.endswith(f'-{coding}"'):
            return etag[: -len(coding) - 2] + '"'
    return etag
