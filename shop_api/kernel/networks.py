"""Network addresses as clients are told apart by them.

Belongs here: what counts as one address. Does not: where a request says its own (exchange.py).
"""

from ipaddress import IPv6Address, IPv6Network, ip_address


def network_of(address: str) -> str:
    """What counts as one network address: of IPv6 the /64, which a customer gets whole."""
    for text in (address, address.rpartition(":")[0].strip("[]")):
        try:
            found = ip_address(text)
        except ValueError:
            continue
        if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
            return str(IPv6Network((found, 64), strict=False))
        return str(getattr(found, "ipv4_mapped", None) or found)
    return address
