"""Idempotency keys: reading the body once, and naming key and request by digests.

Belongs here: the key's form and the digests. Does not: replaying, which happens inside the
mutation's own transaction (web/mutation.py).
"""

import hmac
import re
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from io import SEEK_END, BytesIO

from werkzeug.http import parse_options_header

from shop_api.db.deadlines import deadline
from shop_api.gateway.body_memory import PIECE_BYTES, SMALL_BYTES, BodyMemory, Room
from shop_api.gateway.body_readers import BodyReaders, is_stranger
from shop_api.gateway.body_size import TRACK_PATH, body_too_large
from shop_api.gateway.signatures import check_body
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.exchange import IS_INNER, Answer, Exchange, IdempotencyKey, Stage

# Nobody without a credential of their own has reason to send more: a login is a few hundred bytes.
ANONYMOUS_LIMIT_BYTES = 65_536

# A body of unknown length holds so much more each time that it has filled what it holds.
STEP_BYTES = 1_000_000

MUTATIONS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

# printable ASCII; bare (Stripe) or quoted (the IETF draft)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class Idempotency:
    """Reads a mutation's body, up to its limit, and sets the exchange's key if one was sent.

    Without a credential only the mutations whose path matches `public_paths` are read, with a
    publishable key those of `publishable_paths`; all others are refused whatever their body says.
    """

    def __init__(
        self,
        forward: Stage,
        digest_keys: tuple[bytes, ...],
        public_paths: re.Pattern[str],
        publishable_paths: re.Pattern[str],
        readers: BodyReaders,
        memory: BodyMemory,
    ) -> None:
        self.forward = forward
        self.digest_keys = digest_keys
        self.public_paths = public_paths
        self.publishable_paths = publishable_paths
        self.readers = readers
        self.memory = memory

    def __call__(self, exchange: Exchange) -> Answer:
        if exchange.method not in MUTATIONS:
            return self.forward(exchange)
        if is_stranger(exchange) and not self._is_open(exchange):
            put_body(exchange, BytesIO())
            return self.forward(exchange)
        body = Body(exchange)
        if body.declared is None:
            with deadline.paused():
                self.readers.read(exchange, lambda: body.receive(SMALL_BYTES + 1))
        # a batch holds the bodies of what stands in it
        size = 0 if IS_INNER in exchange.environ else body.held_bytes()
        tenant_id = exchange.principal.tenant_id if exchange.principal else None
        with self.memory.held(size, tenant_id, body.forget) as room:
            try:
                with deadline.paused():
                    self.readers.read(exchange, lambda: body.receive_all(self.memory, room))
                put_body(exchange, body.received)
                # no copy of what was received
                self._name(exchange, body.received.getvalue())
                return self.forward(exchange)
            finally:
                # the body goes before the room for it does
                body.forget()
                exchange.environ["wsgi.input"] = body.received
                exchange.environ.pop("werkzeug.request", None)

    def _name(self, exchange: Exchange, body: bytes) -> None:
        """Check the body's signature, and set the key of the request."""
        if exchange.signed_digest is not None:
            check_body(exchange.signed_digest, body)
        header = exchange.header("IDEMPOTENCY_KEY")
        if header is not None:
            exchange.idempotency = make_key(header, exchange, body, self.digest_keys)

    def _is_open(self, exchange: Exchange) -> bool:
        """Whether a stranger's mutation of this path may come to anything."""
        paths = self.public_paths if exchange.principal is None else self.publishable_paths
        return paths.fullmatch(exchange.path) is not None


class Body:
    """A body as it is received: 413 past its limit, 400 when it ends early."""

    def __init__(self, exchange: Exchange) -> None:
        environ = exchange.environ
        self.limit: int = environ["shop_api.body_limit_bytes"]
        if is_stranger(exchange) and exchange.path != TRACK_PATH:
            self.limit = min(self.limit, ANONYMOUS_LIMIT_BYTES)
        declared = environ.get("CONTENT_LENGTH")
        self.declared = int(declared) if declared else None
        if self.declared is not None and self.declared > self.limit:
            raise body_too_large(self.limit)
        self.received = BytesIO()
        self._exchange = exchange
        self._stream = environ["wsgi.input"]
        self._has_ended = False

    def held_bytes(self) -> int:
        """How large it is; when that is not known, how large it may become for the time being."""
        if self.declared is not None:
            return self.declared
        return self.received.tell() if self._has_ended else min(STEP_BYTES, self.limit)

    def forget(self) -> None:
        """Let go of what was received."""
        self.received = BytesIO()

    def receive(self, size: int, read: Callable[[int], bytes] | None = None) -> None:
        """Wait for `size` bytes in all, or for its end. In pieces: the server holds each twice."""
        read = read or self._stream.read
        while not self._has_ended and (missing := size - self.received.tell()) > 0:
            asked = min(missing, PIECE_BYTES)
            piece = read(asked)
            self.received.write(piece)
            self._exchange.received_bytes += len(piece)
            self._has_ended = len(piece) < asked

    def receive_all(self, memory: BodyMemory, room: Room) -> None:
        """Wait for all of it, within the room it holds."""
        read = partial(memory.receive, room, self._stream) if room.size else None
        if self.declared is not None:
            self.receive(self.declared, read)
        else:
            self._receive_in_steps(memory, room, read)
        size = self.received.tell()
        if size > self.limit:
            raise body_too_large(self.limit)
        if self.declared is not None and size < self.declared:
            raise DomainError(
                ErrorKind.MALFORMED,
                "incomplete_body",
                "The body ended before its Content-Length. Send it again.",
            )

    def _receive_in_steps(
        self, memory: BodyMemory, room: Room, read: Callable[[int], bytes] | None
    ) -> None:
        """Wait for a body of unknown length, which holds little more than has come."""
        while not self._has_ended and (size := self.received.tell()) <= self.limit:
            if size >= room.size:
                memory.resize(room, room.size + STEP_BYTES)
            self.receive(min(room.size, self.limit + 1), read)
        if room.size:
            memory.resize(room, self.received.tell())


def put_body(exchange: Exchange, received: BytesIO) -> None:
    """Let Flask read the request's body; it takes a stream that ends by itself as it is, where it
    copies others twice."""
    environ = exchange.environ
    environ["CONTENT_LENGTH"] = str(received.seek(0, SEEK_END))
    received.seek(0)
    environ["wsgi.input"] = received
    environ["wsgi.input_terminated"] = True


def make_key(
    header: str, exchange: Exchange, body: bytes, digest_keys: tuple[bytes, ...]
) -> IdempotencyKey:
    """The digests of a key in its place (actor, method, path) and of the request (query, body).

    The request's is keyed: a login's body holds a password, which a plain hash of it would let
    anyone who reads the table guess.
    """
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise DomainError(
            ErrorKind.MALFORMED,
            "invalid_idempotency_key",
            "Idempotency-Key must be 1 to 255 printable ASCII characters.",
        )
    actor = exchange.principal.actor if exchange.principal else ""
    tenant = exchange.principal.tenant_id.bytes if exchange.principal else b""
    place = f"{actor}\n{exchange.method}\n{exchange.path}\n{key}".encode()
    query = exchange.environ.get("QUERY_STRING", "").encode("latin-1")
    media_type, boundary = media_type_of(exchange.environ.get("CONTENT_TYPE") or "")
    request = sha256(b"\n".join((query, media_type, b"")))
    for piece in pieces_of(body, boundary):
        request.update(piece)
    # the body is read once, however many keys there are
    first, *others = (hmac.digest(key, request.digest(), "sha256") for key in digest_keys)
    return IdempotencyKey(sha256(tenant + place).digest(), first, tuple(others))


def media_type_of(content_type: str) -> tuple[bytes, bytes]:
    """A content type without its parameters, and the boundary of its parts, empty without one."""
    media_type, options = parse_options_header(content_type)
    return media_type.lower().encode(), options.get("boundary", "").encode()


def pieces_of(body: bytes, boundary: bytes) -> Iterator[bytes | memoryview]:
    """A body as it is digested: a form sent again has the same parts between other boundaries."""
    if not boundary:
        yield body
        return
    mark, view, start = b"--" + boundary, memoryview(body), 0
    while (found := body.find(mark, start)) >= 0:
        yield view[start:found]
        yield b"--\0"
        start = found + len(mark)
    yield view[start:]
