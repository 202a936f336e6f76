"""One attempt over HTTP: connect to an address that may be connected to, send, read a little.

Belongs here: aiohttp, with all that a stranger's server could misuse switched off. Does not: what
is sent, when, and to whom (sender.py).

The address is judged where its socket is made, so whatever a host was written as and whatever its
name resolves to, what is connected to is what was judged. No redirect is followed, no proxy of the
environment asked, no cookie kept.
"""

import asyncio
import socket
import ssl
import time
from ipaddress import ip_address
from typing import Any

import aiohttp
from yarl import URL

from shop_api.webhooks.addresses import AllowedNetworks
from shop_api.webhooks.attempts import (
    DELIVERED,
    FORBIDDEN,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    Attempted,
)

TIMEOUT_SECONDS = 15.0
CONNECT_TIMEOUT_SECONDS = 5.0
# After the head of an answer, which is all that counts.
BODY_TIMEOUT_SECONDS = 2.0
# A longer body is not read to its end, and its connection closed.
BODY_READ_BYTES = 65_536
BODY_KEPT_BYTES = 1_024
HEADERS_KEPT = 32
HEADER_KEPT_CHARACTERS = 1_024
IDLE_SECONDS = 15.0

USER_AGENT = "shop-api-webhooks/1"


class AddressForbidden(OSError):
    """An address that is not on the internet, and not allowed either."""


class Transport:
    """Connections to receivers; made and used in one event loop."""

    def __init__(self, allowed: AllowedNetworks, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._sessions = {
            scheme: self._session(allowed, is_secure=scheme == "https")
            for scheme in ("https", "http")
        }

    def _session(self, allowed: AllowedNetworks, *, is_secure: bool) -> aiohttp.ClientSession:
        def open_socket(info: Any) -> socket.socket:
            family, kind, protocol, _, address = info
            if not allowed.may_connect(ip_address(address[0]), is_secure=is_secure):
                raise AddressForbidden
            return socket.socket(family, kind, protocol)

        connector = aiohttp.TCPConnector(
            # bounded by who sends
            limit=0,
            use_dns_cache=False,
            ssl=ssl.create_default_context(),
            keepalive_timeout=IDLE_SECONDS,
            socket_factory=open_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Content-Type": "application/json"},
            skip_auto_headers=("Accept-Encoding",),
            timeout=aiohttp.ClientTimeout(
                total=self._timeout_seconds, sock_connect=CONNECT_TIMEOUT_SECONDS
            ),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=BODY_READ_BYTES,
        )

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()

    async def send(self, url: str, body: bytes, headers: dict[str, str]) -> Attempted:
        """POST it; what came of that. Ends within the timeout, whatever the other side does."""
        started = time.monotonic()

        def failed(outcome: str, error: str) -> Attempted:
            return Attempted(outcome, time.monotonic() - started, error=error)

        session = self._sessions[url.partition(":")[0].lower()]
        target = URL(url, encoded=True)
        try:
            async with session.post(
                target, data=body, headers=headers, allow_redirects=False
            ) as response:
                kept = await _beginning(response)
                return _attempted(response, kept, time.monotonic() - started)
        except TimeoutError:
            return failed(TIMED_OUT, f"No answer within {self._timeout_seconds:g} seconds.")
        except aiohttp.ClientConnectorCertificateError as error:
            return failed(UNREACHABLE, f"The certificate is refused: {error.certificate_error}")
        except aiohttp.ClientConnectorDNSError:
            return failed(UNREACHABLE, "The host's name cannot be resolved.")
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressForbidden):
                return failed(FORBIDDEN, "The host is not on the public internet.")
            return failed(UNREACHABLE, f"Cannot connect: {_reason(error.os_error)}")
        except (aiohttp.ClientError, OSError) as error:
            return failed(UNREACHABLE, f"The connection broke: {type(error).__name__}")


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the body. Whoever sends more, or too slowly, is cut off."""
    found = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            while len(found) < BODY_READ_BYTES:
                piece = await response.content.read(BODY_READ_BYTES - len(found))
                if not piece:
                    return found[:BODY_KEPT_BYTES]
                found += piece
    except (TimeoutError, aiohttp.ClientError, OSError):
        # the head of the answer has said what became of the message
        pass
    response.close()
    return found[:BODY_KEPT_BYTES]


def _attempted(response: aiohttp.ClientResponse, kept: bytes, seconds: float) -> Attempted:
    is_delivered = 200 <= response.status < 300
    headers = [
        (name.decode("latin-1"), _kept_text(value.decode("latin-1"))[:HEADER_KEPT_CHARACTERS])
        for name, value in response.raw_headers[:HEADERS_KEPT]
    ]
    return Attempted(
        DELIVERED if is_delivered else REFUSED,
        seconds,
        response.status,
        headers,
        _kept_text(kept.decode("utf-8", "replace")),
        response.headers.get("Retry-After"),
    )


def _kept_text(text: str) -> str:
    """Postgres keeps no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
