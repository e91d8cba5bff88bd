"""Cross-origin requests of viewers that live on another host (Fetch standard; DICOM.md G17). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

EXPOSED = (
    b"accept-ranges, content-disposition, content-length, content-location, content-range, etag, location, "
    b"retry-after, warning, www-authenticate"
)
_MAX_AGE_S = 86400
_DEFAULT_HEADERS = "accept, accept-charset, authorization, content-encoding, content-type, if-none-match, range"

Header = tuple[bytes, bytes]


class Cors:
    """Which origins may read answers. There are no cookies here, so `*` gives a page no rights of its user."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origins)

    def headers(self, origin: str) -> list[Header]:
        """What every answer to a request from `origin` carries."""
        if self._any:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", EXPOSED)]
        if origin not in self._origins:
            return [(b"vary", b"Origin")]
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", EXPOSED),
            (b"vary", b"Origin"),
        ]

    def preflight(self, headers: Mapping[str, str], methods: bytes) -> list[Header] | None:
        """The answer to a preflight request for a resource with `methods`; None when this OPTIONS request is none."""
        if "origin" not in headers or "access-control-request-method" not in headers:
            return None
        asked = headers.get("access-control-request-headers") or _DEFAULT_HEADERS
        return [
            (b"access-control-allow-methods", methods),
            (b"access-control-allow-headers", asked.encode("latin-1", "ignore")),
            (b"access-control-max-age", b"%d" % _MAX_AGE_S),
        ]
