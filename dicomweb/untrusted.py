"""What a browser may do with what strangers stored: show it, never run it in our name (CSP Level 3, Fetch §nosniff).

A report, a drawing or an encapsulated document is somebody else's text; opened by a browser it would otherwise be a
page of this server's origin. Pure.
"""

from __future__ import annotations

from dicomweb.reply import Header

# Types that browsers only show. PDF has a viewer of its own, which a sandbox would keep from starting.
_INERT = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/jp2", "video/", "audio/", "application/pdf")
_OCTETS = ("application/octet-stream", "application/dicom")

_NO_SNIFFING: Header = (b"x-content-type-options", b"nosniff")
_NO_SCRIPTS: Header = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox")


def guards(media_type: str) -> list[Header]:
    """The headers to send with a body of this type."""
    return [_NO_SNIFFING] if media_type.lower().startswith(_INERT + _OCTETS) else [_NO_SNIFFING, _NO_SCRIPTS]
