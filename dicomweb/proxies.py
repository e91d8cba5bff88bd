"""Who is calling and under which URL they see us, through trusted proxies (RFC 7239, X-Forwarded-*). Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from dicomweb.grammar import parse_forwarded

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The proxies whose word is taken."""

    def __init__(self, trusted: Iterable[str], public_url: str, root: str) -> None:
        self._networks = [ipaddress.ip_network(entry, strict=False) for entry in trusted]
        self._public = public_url.rstrip("/")
        self._root = root
        self._trusts = lru_cache(maxsize=1024)(self._is_trusted)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """The caller's address: the nearest one in the chain that is no trusted proxy of ours."""
        if not self._trusts(peer):
            return peer
        chain = [hop.get("for", "") for hop in parse_forwarded(headers.get("forwarded", ""))]
        chain = chain or [part.strip() for part in headers.get("x-forwarded-for", "").split(",")]
        for address in reversed([_bare(entry) for entry in chain if entry]):
            if not self._trusts(address):
                return address
            peer = address
        return peer

    def base(self, peer: str, scheme: str, server: tuple[str, int | None] | None, headers: Mapping[str, str]) -> str:
        """The URL of the service root as the caller sees it, without a slash at its end, port kept."""
        if self._public:
            return self._public + self._root
        host = headers.get("host", "")
        prefix = ""
        if self._trusts(peer):
            scheme, host, prefix = _forwarded(scheme, host, headers)
        name, port = server or ("localhost", None)
        own = f"[{name}]" if ":" in name else name
        if not _HOST.fullmatch(host) or host == own:  # some clients send a bare address and leave the port out
            host = own + (f":{port}" if port and str(port) != _DEFAULT_PORTS.get(scheme) else "")
        return f"{scheme}://{host}{prefix}{self._root}"

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(mapped.version == network.version and mapped in network for network in self._networks)


def _forwarded(scheme: str, host: str, headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Scheme, host and path prefix that the nearest proxy was asked for."""
    hops = parse_forwarded(headers.get("forwarded", ""))
    hop = hops[-1] if hops else {}
    proto = (hop.get("proto") or _last(headers.get("x-forwarded-proto", "")) or scheme).lower()
    scheme = proto if proto in _DEFAULT_PORTS else scheme
    outer = hop.get("host") or _last(headers.get("x-forwarded-host", "")) or host
    port = _last(headers.get("x-forwarded-port", ""))
    if port.isascii() and port.isdigit() and not re.search(r":[0-9]+$", outer) and port != _DEFAULT_PORTS[scheme]:
        outer = f"{outer}:{port}"
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    return scheme, outer if _HOST.fullmatch(outer) else host, prefix if _PREFIX.fullmatch(prefix) else ""


def _last(value: str) -> str:
    return value.rpartition(",")[2].strip()


def _bare(node: str) -> str:
    """An address without brackets and port (RFC 7239 §6)."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node
