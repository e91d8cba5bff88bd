"""BridgeError -> DIMSE status (PS3.7 Annex C, PS3.4 §B.2.3). One literal table; a test walks the subclasses."""

from __future__ import annotations

from bridge.errors import (
    BridgeError,
    ClassMismatch,
    ClassNotSupported,
    ConfigError,
    Conflict,
    Forbidden,
    Gone,
    Held,
    InvalidInstance,
    InvalidRequest,
    NotAcceptable,
    NotFound,
    NotOnline,
    OutOfResources,
    SyntaxNotSupported,
    TooLarge,
    Unavailable,
)
from scp.command import COMMENT_LENGTH, Status

SUCCESS = 0x0000
CLASS_NOT_SUPPORTED = 0x0122  # PS3.7 §C.5.6
UNRECOGNIZED_OPERATION = 0x0211  # PS3.7 §C.5.20
PENDING = 0xFF00  # PS3.4 Table C.4-1: a match, all of whose keys are supported
PENDING_WITH_UNSUPPORTED_KEYS = 0xFF01  # PS3.4 Table C.4-1
CANCELLED = 0xFE00  # PS3.4 Tables C.4-1 to C.4-3
TOO_MANY_MATCHES = 0xA700  # PS3.4 Table C.4-1 out of resources
UNABLE_TO_PERFORM = 0xA702  # PS3.4 Tables C.4-2, C.4-3: sub-operations failed
DESTINATION_UNKNOWN = 0xA801  # PS3.4 Table C.4-2
SOME_FAILED = 0xB000  # PS3.4 Tables C.4-2, C.4-3: sub-operations are over, with failures or warnings
COERCED = 0xB000  # PS3.4 Table B.2-1: stored, but something is not as the sender thinks
CANNOT_UNDERSTAND = 0xC000  # PS3.4 Table B.2-1
WARNINGS = frozenset({0x0001, 0x0107, 0x0116})  # and Bxxx (PS3.7 Table C-1)

# What an administrator does about each is in docs/dimse.md.
STATUSES: dict[type[BridgeError], int] = {
    BridgeError: 0x0110,  # PS3.7 §C.5.10 processing failure
    InvalidInstance: 0xC000,  # PS3.4 Table B.2-1 cannot understand
    SyntaxNotSupported: 0xC000,
    ClassNotSupported: CLASS_NOT_SUPPORTED,
    ClassMismatch: 0xA900,  # PS3.4 Table B.2-1 data set does not match SOP class
    Conflict: 0x0111,  # PS3.7 §C.5.11 duplicate SOP instance
    InvalidRequest: 0xA900,  # PS3.4 Table C.4-1 identifier does not match SOP class
    Forbidden: 0x0124,  # PS3.7 §C.5.14 not authorized
    NotFound: 0x0112,  # PS3.7 §C.5.12 no such SOP instance
    Gone: 0x0112,
    NotOnline: 0xA702,  # PS3.4 Table C.4-2 unable to perform sub-operations
    Held: 0x0124,
    NotAcceptable: 0xA702,
    TooLarge: 0xA700,  # PS3.4 Table B.2-1 out of resources
    OutOfResources: 0xA700,
    Unavailable: 0xA700,
    ConfigError: 0x0110,
}


def is_warning(code: int) -> bool:
    """Done, with something to say."""
    return code in WARNINGS or code >> 12 == 0xB


def status_of(error: BridgeError) -> Status:
    """The status of a refusal; its own row or that of its nearest base class."""
    code = next(STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES)
    return Status(
        code=code,
        comment=str(error)[:COMMENT_LENGTH],
        offending_tag=getattr(error, "offending_tag", None),
    )
