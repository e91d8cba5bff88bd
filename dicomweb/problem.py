"""THE table of BridgeErrors as HTTP answers (DESIGN §4, PS3.18 §8.5), and the body that goes with them (RFC 9457).

The body is one JSON object with a sentence for a person; never a stack trace, never patient data.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson

from bridge import errors
from bridge.access import Unauthenticated
from dicomweb.decoding import UnsupportedMediaType
from dicomweb.request_body import TooSlow

CONTENT_TYPE = b"application/problem+json"

STATUS: dict[type[errors.BridgeError], int] = {
    errors.InvalidInstance: 400,
    errors.InvalidRequest: 400,
    Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.NotAcceptable: 406,
    TooSlow: 408,
    errors.ClassMismatch: 409,
    errors.Conflict: 409,
    errors.Held: 409,
    errors.Gone: 410,
    errors.TooLarge: 413,
    UnsupportedMediaType: 415,
    errors.NotOnline: 503,
    errors.Unavailable: 503,
    errors.OutOfResources: 507,
    errors.ConfigError: 500,
}
_RETRY_AFTER_S = 5  # said with 503 when the error itself does not know better


def status_of(error: errors.BridgeError) -> int:
    """The HTTP status of an error; a subclass without a row of its own takes its parent's."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def body(status: int, detail: str, members: Mapping[str, str] | None = None) -> bytes:
    """A problem document (RFC 9457 §3), with members of its own (§3.2)."""
    title = HTTPStatus(status).phrase
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **(members or {})})


def members_of(error: errors.BridgeError) -> dict[str, str]:
    """What the document says beside the sentence, for programs: until when something is held."""
    if isinstance(error, errors.Held) and error.until is not None:
        return {"until": error.until.isoformat()}
    return {}


def headers_of(error: errors.BridgeError) -> list[tuple[bytes, bytes]]:
    """What goes with the status: how to authenticate, when to come back."""
    if isinstance(error, Unauthenticated):
        return [(b"www-authenticate", b'Bearer realm="dicom-bridge"')]
    if isinstance(error, errors.NotOnline):
        return [(b"retry-after", b"%d" % error.retry_after_s)]
    if status_of(error) == 503:
        return [(b"retry-after", b"%d" % _RETRY_AFTER_S)]
    return []
