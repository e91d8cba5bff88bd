"""What a verb can answer besides success, in DICOM's words (DESIGN §4). Only the doors translate, by one table each.

Messages name what is wrong and what to do. They reach peers and logs, so they never hold patient data.
"""

from __future__ import annotations

from datetime import datetime


class BridgeError(Exception):
    """Base of every refusal. `str(error)` is one sentence for the peer."""


class InvalidInstance(BridgeError):
    """The data set cannot be read, or a UID is missing or unusable."""

    def __init__(self, message: str, *, offending_tag: int | None = None) -> None:
        super().__init__(message)
        self.offending_tag = offending_tag


class SyntaxNotSupported(InvalidInstance):
    """The data set is in a transfer syntax that cannot be kept: unknown, or its pixels lie elsewhere."""


class ClassMismatch(BridgeError):
    """The data set does not match its SOP class, SOP instance or presentation context."""


class ClassNotSupported(ClassMismatch):
    """Instances of this SOP class are not kept here."""


class Conflict(BridgeError):
    """Same SOP Instance UID, other content, and the policy is `reject`."""


class InvalidRequest(BridgeError):
    """A search or retrieve that cannot be understood: unknown attribute, bad value, bad frame number."""


class Forbidden(BridgeError):
    """The caller may not do this, or may not know that it exists."""


class NotFound(BridgeError):
    """No such resource."""


class Gone(BridgeError):
    """The resource existed and was deleted."""


class NotOnline(BridgeError):
    """The bytes are not at hand right now; a later try will find them."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Held(BridgeError):
    """Retention or a legal hold forbids removal."""

    def __init__(self, message: str, *, until: datetime | None = None) -> None:
        super().__init__(message)
        self.until = until


class NotAcceptable(BridgeError):
    """No requested representation is possible for this instance."""


class TooLarge(BridgeError):
    """The request or its answer is beyond a named limit."""


class OutOfResources(BridgeError):
    """Quota or a limit is reached; nothing was stored."""


class Unavailable(BridgeError):
    """The index or every store is down; nothing was stored."""


class ConfigError(BridgeError):
    """A setting is wrong; the message names it, the nearest known one, and the way out."""
