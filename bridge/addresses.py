"""Which network addresses are on this machine."""

from __future__ import annotations

import ipaddress


def is_loopback(address: str) -> bool:
    """True for 127.0.0.0/8, ::1 and addresses that are not addresses (unix sockets)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address in ("", "localhost")
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)
