"""Lists as clients see them: query parameters, signed cursors, page_info and Link headers.

Belongs here: the wire form of a page. Does not: the SQL of it (db/keyset.py).
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from shop_api.db.keyset import PAGING, KeysetPage, PageRequest, Position, Sort
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.web.fields import FlagParameter, Text, WholeParameter

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_OFFSET = 100_000
SIGNATURE_BYTES = 12
# a name of 255 characters takes up to 1020 bytes, a third more in base64
MAX_CURSOR_LENGTH = 2048


class PageQuery(Schema):
    """Which page of a list, in which order."""

    limit = WholeParameter(
        1,
        MAX_LIMIT,
        metadata={"description": "How many, 1 to 100. Default 20.", "example": 20},
    )
    first = WholeParameter(1, MAX_LIMIT, metadata={"description": "Alias of limit."})
    last = WholeParameter(
        1,
        MAX_LIMIT,
        metadata={"description": "Like limit, from the end of the list or before a cursor."},
    )
    after = Text(
        max_length=MAX_CURSOR_LENGTH, metadata={"description": "Cursor: the page after this row."}
    )
    before = Text(
        max_length=MAX_CURSOR_LENGTH, metadata={"description": "Cursor: the page before this row."}
    )
    order = fields.String(
        validate=validate.OneOf(("asc", "desc")), metadata={"description": "Direction of the sort."}
    )
    include_total = FlagParameter(
        metadata={"description": "Count all rows of the filter into `total`; it costs a count."}
    )

    @validates_schema
    def one_direction(self, data: dict[str, Any], **_: Any) -> None:
        """One size and one cursor per request."""
        if sum(name in data for name in ("limit", "first", "last")) > 1:
            raise ValidationError("Use only one of limit, first and last.", "limit")
        if "after" in data and ("before" in data or "last" in data):
            raise ValidationError("Use either after or before/last.", "after")
        if "before" in data and "first" in data:
            raise ValidationError("Use either first or before.", "before")

    @validates_schema
    def bounds_in_order(self, data: dict[str, Any], **_: Any) -> None:
        """A filter's lower bound is not beyond its upper one: no row can be between them."""
        crossing = {
            lower: [f"The bounds cross: must not be beyond {upper}."]
            for lower in data
            if (upper := _upper_bound(lower)) in data and data[lower] > data[upper]
        }
        if crossing:
            raise ValidationError(crossing)


def _upper_bound(name: str) -> str | None:
    """The filter that bounds from above what this one bounds from below, by their names."""
    if name.startswith("min_"):
        return f"max_{name.removeprefix('min_')}"
    return f"{name.removesuffix('_after')}_before" if name.endswith("_after") else None


class SmallListQuery(PageQuery):
    """Which page of a list that is short enough to be paged by numbers, too."""

    offset = WholeParameter(
        0,
        MAX_OFFSET,
        metadata={
            "description": "How many rows to pass over, 0 to 100000. The answer then has"
            " `pagination` instead of `page_info`.",
            "example": 0,
        },
    )

    @validates_schema
    def offset_alone(self, data: dict[str, Any], **_: Any) -> None:
        """A page begins at a number or at a cursor."""
        if "offset" in data and {"after", "before", "last"}.intersection(data):
            raise ValidationError("Use either offset or after/before/last.", "offset")


class PageInfo(Schema):
    """Where a page stands in its list."""

    has_next_page = fields.Boolean(required=True)
    has_previous_page = fields.Boolean(required=True)
    start_cursor = fields.String(required=True, allow_none=True)
    end_cursor = fields.String(required=True, allow_none=True)


class Pagination(Schema):
    """Where a page by offset stands in its list."""

    offset = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    total = fields.Integer(required=True)
    has_more = fields.Boolean(required=True)


class SmallListPage(Schema):
    """A page of a small list: `page_info`, or `pagination` where an offset was asked for."""

    page_info = fields.Nested(PageInfo)
    pagination = fields.Nested(Pagination)
    total = fields.Integer()


@lru_cache(maxsize=4)
def _keyed(secret_key: bytes) -> blake2b:
    """BLAKE2 takes keys of 64 bytes, and signs in a tenth of the time of an HMAC."""
    key = blake2b(secret_key, person=b"cursor").digest()
    return blake2b(key=key, digest_size=SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class CursorSigner:
    """Makes and opens cursors, bound to tenant, list, sort, order and filter."""

    secret_keys: SecretKeys
    tenant_id: UUID
    path: str

    def _signature(self, payload: bytes, context: bytes, secret_key: bytes) -> bytes:
        message = self.tenant_id.bytes + self.path.encode() + b"\0" + context + b"\0" + payload
        signed = _keyed(secret_key).copy()
        signed.update(message)
        return signed.digest()

    def _is_signed(self, signature: bytes, payload: bytes, context: bytes) -> bool:
        return any(
            hmac.compare_digest(signature, self._signature(payload, context, key))
            for key in self.secret_keys.all
        )

    def make(self, position: Position, sort: Sort, context: bytes) -> str:
        """The opaque cursor of a row."""
        return self.seal(position.id.bytes + sort.dump(position.value).encode(), context)

    def seal(self, payload: bytes, context: bytes) -> str:
        """The opaque cursor of any place in a list, of 16 bytes at least."""
        token = urlsafe_b64encode(
            self._signature(payload, context, self.secret_keys.signing) + payload
        )
        return token.rstrip(b"=").decode()

    def open(self, cursor: str, sort: Sort, context: bytes) -> Position:
        """The position of a cursor; 400 when it is damaged or of another list, sort or filter."""
        payload = self.unseal(cursor, context)
        return Position(sort.parse(payload[16:].decode()), UUID(bytes=payload[:16]))

    def unseal(self, cursor: str, context: bytes) -> bytes:
        """What was sealed; 400 when it is damaged or of another list, sort or filter."""
        refused = DomainError(
            ErrorKind.MALFORMED,
            "invalid_cursor",
            "This cursor is damaged, or was made for another list, sort or filter.",
        )
        try:
            raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (Base64Error, ValueError, UnicodeEncodeError) as error:
            raise refused from error
        signature, payload = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        # base64 ignores foreign characters and the last spare bits: only one spelling is a cursor
        is_canonical = urlsafe_b64encode(raw).rstrip(b"=").decode() == cursor
        if (
            not is_canonical
            or len(payload) < 16
            or not self._is_signed(signature, payload, context)
        ):
            raise refused
        return payload


def filter_context(query: dict[str, Any], sort: Sort, is_descending: bool) -> bytes:
    """A digest of everything but the page itself: two lists with the same digest are one list."""
    filters = sorted((k, str(v)) for k, v in query.items() if k not in PAGING)
    return _digest(sort.name, is_descending, tuple(filters))


@lru_cache(maxsize=256)
def _digest(sort: str, is_descending: bool, filters: tuple[tuple[str, str], ...]) -> bytes:
    return blake2b(msgspec.json.encode([sort, is_descending, filters]), digest_size=12).digest()


def page_request(
    query: dict[str, Any], sort: Sort, signer: CursorSigner, is_descending: bool
) -> PageRequest:
    """The page a client asked for; `is_descending` is the sort's default direction."""
    if "order" in query:
        is_descending = query["order"] == "desc"
    context = filter_context(query, sort, is_descending)
    limit = query.get("limit") or query.get("first") or query.get("last") or DEFAULT_LIMIT
    after = signer.open(query["after"], sort, context) if "after" in query else None
    before = signer.open(query["before"], sort, context) if "before" in query else None
    if "last" in query and before is None:
        # the end of the list is the start of the reversed one
        return PageRequest(sort, is_descending, limit, before=None, from_end=True)
    return PageRequest(sort, is_descending, limit, after, before, offset=query.get("offset"))


def page_body(
    page: KeysetPage,
    request: PageRequest,
    query: dict[str, Any],
    signer: CursorSigner,
    total: int | None,
) -> tuple[bytes, list[tuple[str, str]]]:
    """`{"data", "page_info"[, "total"]}` of rows whose third column is JSON text, and its Link.

    A page by offset has `pagination` in the place of `page_info` and `total`.
    """
    if request.offset is not None:
        return _offset_body(page, request, request.offset, query, signer.path, total)
    context = filter_context(query, request.sort, request.is_descending)
    start = signer.make(page.start, request.sort, context) if page.start else None
    end = signer.make(page.end, request.sort, context) if page.end else None
    info = msgspec.json.encode(
        {
            "has_next_page": page.has_next,
            "has_previous_page": page.has_previous,
            "start_cursor": start,
            "end_cursor": end,
        }
    )
    body = _data(page) + b',"page_info":' + info
    body += b"}" if total is None else b',"total":%d}' % total
    links = []
    base = {k: v for k, v in query.items() if k not in ("after", "before", "first", "last")}
    base["limit"] = request.limit
    if page.has_next and end:
        links.append(_link(signer.path, {**base, "after": end}, "next"))
    if page.has_previous and start:
        links.append(_link(signer.path, {**base, "before": start}, "prev"))
    return body, [("Link", ", ".join(links))] if links else []


def _data(page: KeysetPage) -> bytes:
    return b'{"data":[' + ",".join([row[2] for row in page.rows]).encode() + b"]"


def _offset_body(
    page: KeysetPage,
    request: PageRequest,
    offset: int,
    query: dict[str, Any],
    path: str,
    total: int | None,
) -> tuple[bytes, list[tuple[str, str]]]:
    """`{"data", "pagination"}`, and the Link to the pages beside."""
    pagination = {"offset": offset, "limit": request.limit, "total": total}
    info = msgspec.json.encode({**pagination, "has_more": page.has_next})
    base = {k: v for k, v in query.items() if k != "first"} | {"limit": request.limit}
    links = []
    following = offset + request.limit
    if page.has_next and following <= MAX_OFFSET:
        links.append(_link(path, {**base, "offset": following}, "next"))
    if offset:
        links.append(_link(path, {**base, "offset": max(0, offset - request.limit)}, "prev"))
    body = _data(page) + b',"pagination":' + info + b"}"
    return body, [("Link", ", ".join(links))] if links else []


def _link(path: str, query: dict[str, Any], relation: str) -> str:
    flat = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()}
    return f'<{path}?{urlencode(flat, doseq=True)}>; rel="{relation}"'
