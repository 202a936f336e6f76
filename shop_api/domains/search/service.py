"""Finding products, customers and orders, and showing where; knows no HTTP."""

import re
from html import escape
from typing import Any

from shop_api.db.tenancy import TenantSession
from shop_api.db.types import AnyRow
from shop_api.domains.search.repository import SearchRepository
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.folding import fold_text
from shop_api.kernel.principal import Principal

# What each kind needs, in the order they are answered.
SCOPE_OF = {"products": "catalog:read", "customers": "customers:read", "orders": "orders:read"}
SHOWN = {
    "products": ("name", "sku"),
    "customers": ("first_name", "last_name", "email"),
    "orders": ("number", "external_id"),
}
# Digits an order's number may have.
MAX_NUMBER_DIGITS = 12

_WORD = re.compile(r"[^\W_]+")


def choose_kinds(principal: Principal, asked: list[str] | None) -> list[str]:
    """The kinds to look for; raises `insufficient_scope` for one the credential may not read."""
    may = [kind for kind, scope in SCOPE_OF.items() if scope in principal.scopes]
    refused = [kind for kind in asked or () if kind not in may]
    if refused or not may:
        needed = sorted({SCOPE_OF[kind] for kind in refused or SCOPE_OF})
        raise DomainError(
            ErrorKind.FORBIDDEN, "insufficient_scope", f"This needs the scope {', '.join(needed)}."
        )
    return [kind for kind in may if not asked or kind in asked]


def search(
    session: TenantSession, principal: Principal, kinds: list[str], asked: str, limit: int
) -> dict[str, list[dict[str, Any]]]:
    """What is found of each kind, the best first."""
    found = SearchRepository(session)
    rows: dict[str, Any] = {}
    if "products" in kinds:
        # a page sees what is for sale
        status = "active" if principal.is_publishable else None
        rows["products"] = found.list_products(asked, status, limit)
    if "customers" in kinds:
        rows["customers"] = found.list_customers(asked, limit)
    if "orders" in kinds:
        customer_ids = [row.id for row in rows.get("customers", ())]
        ranges = number_ranges(asked)
        rows["orders"] = found.list_orders(ranges, asked.strip(), customer_ids, limit)
    words = [fold_text(word) for word in _WORD.findall(asked)]
    return {kind: [_hit(row, SHOWN[kind], words) for row in rows[kind]] for kind in rows}


def number_ranges(asked: str) -> list[tuple[int, int]]:
    """The ranges [low, high) of the numbers that begin with these digits; `#17` is 17."""
    digits = asked.strip().removeprefix("#")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_NUMBER_DIGITS:
        return []
    if digits.startswith("0"):
        return []
    number = int(digits)
    more = range(MAX_NUMBER_DIGITS - len(digits) + 1)
    return [(number * 10**power, (number + 1) * 10**power) for power in more]


def _hit(row: AnyRow, names: tuple[str, ...], words: list[str]) -> dict[str, Any]:
    values = dict(row._mapping)  # noqa: SLF001
    marked = {name: mark(str(values[name]), words) for name in names if values[name] is not None}
    highlight = {name: text for name, text in marked.items() if "<mark>" in text}
    return {**values, "highlight": highlight}


def mark(text: str, words: list[str]) -> str:
    """The text as HTML, the words that begin with one of `words` in <mark>."""
    parts, end = [], 0
    for match in _WORD.finditer(text):
        length = max((_prefix_length(match.group(), word) for word in words), default=0)
        if length:
            parts += [escape(text[end : match.start()]), "<mark>"]
            end = match.start() + length
            parts += [escape(text[match.start() : end]), "</mark>"]
    return "".join([*parts, escape(text[end:])])


def _prefix_length(word: str, prefix: str) -> int:
    """How many letters of a word, folded, are the prefix; 0 when it does not begin with it."""
    for length in range(1, len(word) + 1):
        folded = fold_text(word[:length])
        if folded.startswith(prefix):
            return length
        if not prefix.startswith(folded):
            return 0
    return 0
