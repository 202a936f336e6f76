"""The page that tells the API's versions: what each changed, and until when those before are
answered.

Belongs here: the page, made from the versions and the OpenAPI document. Does not: the versions
(kernel/api_versions.py).
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from shop_api.kernel.api_versions import DEPRECATIONS, NEWEST, VERSIONS, Version

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>shop-api · Versions</title>
<link rel="icon" href="/api/docs/assets/pages/icon.svg">
<link rel="stylesheet" href="/api/docs/assets/pages/docs.css">
</head>
<body>
<nav class="docs-bar"><b>shop-api</b> <a href="/api/docs">Try it</a>
<a href="/api/docs/redoc">Read it</a>
<a href="/api/docs/versions" aria-current="page">Versions</a>
<a href="/api/v1/openapi.json">OpenAPI 3.1</a>
<a href="/api/v1/asyncapi.json">AsyncAPI 3</a></nav>
<main class="docs-text">
<h1>Versions</h1>
<p>Who asks for none gets the newest. To stay with one, send it with every request:</p>
<pre>Accept: {media_type}</pre>
<p>Answers of an older version carry <code>Deprecation</code>, <code>Sunset</code> and a
<code>Link</code> to its place on this page.</p>
{sections}
</main>
</body>
</html>
"""


def version_page(document: dict[str, Any]) -> bytes:
    """The page, newest version first."""
    sections = "\n".join("\n".join(_section(version, document)) for version in reversed(VERSIONS))
    return PAGE.format(media_type=escape(VERSIONS[-1].media_type), sections=sections).encode()


def _section(version: Version, document: dict[str, Any]) -> Iterator[str]:
    yield f'<section id="{version.name}">'
    yield f"<h2>{version.name}{' · newest' if version.name == NEWEST else ''}</h2>"
    deprecation = DEPRECATIONS.get(version.name)
    if deprecation is not None:
        yield (
            f"<p>Deprecated since {deprecation.since}. Answered until {deprecation.sunset_on} at"
            " least; once it is switched off, asking for it is 406 <code>unknown_version</code>."
            " To leave it, follow what later versions changed.</p>"
        )
    if version.changes:
        yield "<h3>What it changed</h3><ul>"
        for change in version.changes:
            yield f"<li><b>{escape(change.resource)}</b>: {_with_code(change.summary)}</li>"
        yield "</ul>"
    if operations := _operations(version, document):
        yield "<h3>What answers otherwise than the newest</h3><ul>"
        for operation in operations:
            yield f"<li><code>{escape(operation)}</code></li>"
        yield "</ul>"
    yield "</section>"


def _operations(version: Version, document: dict[str, Any]) -> list[str]:
    """Those whose answer is declared for the version beside the newest."""
    return [
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict)
        and any(
            version.media_type in response.get("content", {})
            for response in operation.get("responses", {}).values()
        )
    ]


def _with_code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
