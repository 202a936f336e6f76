"""Content coding by Accept-Encoding: zstd, br, gzip, for compressible types from a size up.

Belongs here: choosing and applying a coding. A cached answer keeps its forms by coding, so that a
hot answer is compressed once.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli
import zstandard

from shop_api.kernel.etag import CODINGS, with_coding
from shop_api.kernel.exchange import Answer, Exchange, Stage

COMPRESSIBLE = (
    "application/json",
    "application/vnd.shop.",
    "application/problem+json",
    "application/x-ndjson",
    "text/",
    "image/svg+xml",
)

# encodes a part of a stream, and what follows the last
Coder = tuple[Callable[[bytes], bytes], Callable[[], bytes]]


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(body)


def _br(body: bytes) -> bytes:
    compressed: bytes = brotli.compress(body, quality=4)
    return compressed


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(level=5, wbits=31)
    return compressor.compress(body) + compressor.flush()


def _zstd_parts() -> Coder:
    coder = zstandard.ZstdCompressor(level=3).compressobj()
    return coder.compress, coder.flush


def _br_parts() -> Coder:
    coder = brotli.Compressor(quality=4)
    return coder.process, coder.finish


def _gzip_parts() -> Coder:
    coder = zlib.compressobj(level=5, wbits=31)
    return coder.compress, coder.flush


def _encoded(parts: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """A stream in a coding, as it comes."""
    encode, finish = STREAM_ENCODERS[coding]()
    try:
        for part in parts:
            if data := encode(part):
                yield data
        yield finish()
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


STREAM_ENCODERS: dict[str, Callable[[], Coder]] = {
    "zstd": _zstd_parts,
    "br": _br_parts,
    "gzip": _gzip_parts,
}
ENCODERS: dict[str, Callable[[bytes], bytes]] = {"zstd": _zstd, "br": _br, "gzip": _gzip}


# No choice is kept for this Accept-Encoding: None is one, identity.
UNKNOWN = ""


class Compression:
    """Compresses what is worth it; always says that the answer varies by Accept-Encoding."""

    def __init__(self, forward: Stage, min_bytes: int) -> None:
        self.forward = forward
        self.min_bytes = min_bytes
        self._chosen: dict[str | None, str | None] = {}

    def __call__(self, exchange: Exchange) -> Answer:
        answer = self.forward(exchange)
        accepted = exchange.environ.get("HTTP_ACCEPT_ENCODING")
        coding = self._chosen.get(accepted, UNKNOWN)
        if coding is UNKNOWN:
            coding = self._choose(accepted)
        form = answer.forms.get(coding)
        if form is None:
            form = self._form(answer, coding, exchange.method)
            if form is not answer:
                answer.forms[coding] = form
        return form

    def _form(self, answer: Answer, coding: str | None, method: str) -> Answer:
        """The answer in a coding, or as it is where compressing it is not worth it."""
        body = answer.body
        if isinstance(body, bytes):
            if len(body) < self.min_bytes:
                return answer
        elif answer.header("Content-Length"):
            return answer
        content_type = answer.header("Content-Type") or ""
        if not content_type.startswith(COMPRESSIBLE) or answer.header("Content-Encoding"):
            return answer
        if coding is None:
            return Answer(answer.status, [*answer.headers, ("Vary", "Accept-Encoding")], body)
        headers = [
            (name, with_coding(value, coding) if name == "ETag" else value)
            for name, value in answer.headers
            if name != "Content-Length"
        ]
        headers += [("Content-Encoding", coding), ("Vary", "Accept-Encoding")]
        if not isinstance(body, bytes):
            parts = b"" if method == "HEAD" else _encoded(body, coding)
            return Answer(answer.status, headers, parts)
        encoded = ENCODERS[coding](body)
        return Answer(answer.status, [*headers, ("Content-Length", str(len(encoded)))], encoded)

    def _choose(self, accepted: str | None) -> str | None:
        """The best coding the client takes. Few different headers exist, so choices are kept."""
        if len(self._chosen) >= 256:
            self._chosen.clear()
        coding = choose_coding(accepted) if accepted else None
        self._chosen[accepted] = coding
        return coding


def choose_coding(accepted: str) -> str | None:
    """The coding of highest quality, ours first on ties; None for identity (RFC 9110 §12.5.3)."""
    qualities: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        quality = 1.0
        if parameters.strip().startswith("q="):
            try:
                quality = float(parameters.strip()[2:])
            except ValueError:
                quality = 0.0
        qualities[name.strip()] = quality
    rest = qualities.get("*", 0.0)
    best = max(CODINGS, key=lambda coding: (qualities.get(coding, rest), -CODINGS.index(coding)))
    return best if qualities.get(best, rest) > 0 else None
