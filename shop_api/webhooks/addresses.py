"""Where webhooks may go: URLs that are plain, and addresses of the public internet.

Belongs here: what is refused, in a URL and of an address, in every notation. Does not: resolving
and connecting (transport.py), which asks this of the very address it connects to.

A URL is judged where it is given, so that mistakes are told at once; what its name resolves to is
judged at every connection, for a name may answer otherwise the next time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, urlsplit

URL_MAX_LENGTH = 2048

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Beyond what `is_global` of the standard library knows in all its versions: protocols, and relays
# of 6to4.
_REFUSED_V4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
# All that is routed on the internet is in here …
_GLOBAL_V6 = IPv6Network("2000::/3")
# … but for protocols (Teredo among them), documentation, and 6to4, which carries an IPv4 address.
_REFUSED_V6 = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# Translated to the IPv4 address in their last 32 bits.
_TRANSLATED_V6 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))

_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
# What resolvers take for an IPv4 address: 127.1, 2130706433, 0x7f.0.0.1, 0177.0.0.1.
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


class RefusedUrl(ValueError):
    """A URL that nothing is sent to; its text tells a merchant why."""


@dataclass(frozen=True, slots=True)
class AllowedNetworks:
    """Networks that are not public, and that whoever runs the product lets webhooks into."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, texts: Sequence[str]) -> "AllowedNetworks":
        """From the setting."""
        return cls(tuple(ip_network(text) for text in texts))

    def names(self, address: Address) -> bool:
        """Whether the address is in one of them."""
        plain = _translated(address) or address
        return any(plain in network for network in self.networks)

    def may_connect(self, address: Address, *, is_secure: bool) -> bool:
        """Whether anything may be sent there; in the clear only to these networks."""
        return self.names(address) or (is_secure and is_public(address))

    def check_url(self, url: str) -> None:
        """Raise RefusedUrl for one that can be told to be wrong without resolving its name."""
        parts, host = _parsed(url)
        is_secure = parts.scheme == "https"
        if not is_secure and not (parts.scheme == "http" and self.networks):
            raise RefusedUrl("Must begin with https://.")
        address = literal_address(host)
        if address is None:
            _check_name(host)
        elif not self.may_connect(address, is_secure=is_secure):
            raise RefusedUrl("Must not name an address that is not on the public internet.")


def is_public(address: Address) -> bool:
    """Whether an address belongs to a host on the internet, and to nothing else."""
    inner = _translated(address)
    if inner is not None:
        return is_public(inner)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    return not any(address in network for network in _REFUSED_V6)


def literal_address(host: str) -> Address | None:
    """The address that a URL names itself, None for a name; `host` as `urlsplit` gives it."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _translated(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv6Address) and any(address in net for net in _TRANSLATED_V6):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _parsed(url: str) -> tuple[SplitResult, str]:
    """The parts and the host of a URL that is read the same by everyone."""
    if len(url) > URL_MAX_LENGTH or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise RefusedUrl("Must be a URL of printable ASCII characters; encode others.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise RefusedUrl("Must be a URL, such as https://example.com/webhooks.") from error
    is_bracketed = "[" in parts.netloc
    if not host or port == 0 or (is_bracketed and literal_address(host) is None):
        raise RefusedUrl("Must be a URL, such as https://example.com/webhooks.")
    if "@" in parts.netloc:
        raise RefusedUrl("Must not hold a user name or password.")
    if "#" in url:
        raise RefusedUrl("Must not hold a fragment.")
    return parts, host


def _check_name(host: str) -> None:
    if host.endswith("."):
        raise RefusedUrl("The host must not end with a dot.")
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise RefusedUrl("The host must be a name of letters, digits, - and dots.")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise RefusedUrl("An IPv4 address must be four decimal numbers, such as 203.0.113.7.")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        raise RefusedUrl("Must not name a host that is not on the public internet.")
