"""DICOM JSON values -> elements in Explicit VR Little Endian, text in UTF-8 (PS3.18 §F.2, PS3.5 §6.2, §7.1.2). Pure.

The other way round of `dicomjson`, for what strangers send: numbers may come as strings and strings as numbers, a name
as a plain string. What has no sound encoding is refused with its tag, never guessed.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import Any

from bridge.dictionary import LONG_HEADER
from bridge.errors import InvalidInstance

UNDEFINED = 0xFFFFFFFF
ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"

_SHORT_LIMIT = 0xFFFE  # bytes of a value whose header has a 16-bit length
_DECIMAL_LIMIT = 16  # characters of a DS (PS3.5 Table 6.2-1)
_ONE_VALUE = frozenset({"LT", "ST", "UR", "UT"})  # a backslash is a character of these
_INTEGERS = {"SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_FLOATS = {"FD": "d", "FL": "f"}
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def header(tag: int, vr: str, length: int) -> bytes:
    """An element's header. A value too long for a 16-bit length becomes UN (PS3.5 §6.2.2 note 7)."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if vr in LONG_HEADER:
        return head + struct.pack("<2sxxI", vr.encode("ascii"), length)
    if length > _SHORT_LIMIT:
        return head + struct.pack("<2sxxI", b"UN", length)
    return head + struct.pack("<2sH", vr.encode("ascii"), length)


def element(tag: int, vr: str, values: Sequence[Any]) -> bytes:
    """A whole element of any VR but SQ. Raises InvalidInstance."""
    value = _value(tag, vr, values)
    if len(value) & 1:
        value += b"\0" if vr == "UI" else b" "
    return header(tag, vr, len(value)) + value


def inline_binary(tag: int, vr: str, text: object) -> bytes:
    """An element whose value comes in base64. Raises InvalidInstance."""
    try:
        value = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        value = None
    if value is None:
        raise refusal(tag, "the InlineBinary is no base64")
    return header(tag, vr, len(value) + len(value) % 2) + value + b"\0" * (len(value) % 2)


def refusal(tag: int, reason: str) -> InvalidInstance:
    """The error for an element."""
    return InvalidInstance(f"({tag >> 16:04X},{tag & 0xFFFF:04X}): {reason}", offending_tag=tag)


def _value(tag: int, vr: str, values: Sequence[Any]) -> bytes:
    if not values:
        return b""
    try:
        if vr in _INTEGERS:
            return struct.pack(f"<{len(values)}{_INTEGERS[vr]}", *[_integer(value) for value in values])
        if vr in _FLOATS:
            return struct.pack(f"<{len(values)}{_FLOATS[vr]}", *[float(value) for value in values])
        if vr == "AT":
            return b"".join(struct.pack("<HH", *divmod(int(value, 16), 1 << 16)) for value in values)
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise refusal(tag, f"a value is no {vr}") from error
    if len(values) > 1 and vr in _ONE_VALUE:
        raise refusal(tag, f"{vr} has one value")
    try:
        return "\\".join([_text(tag, vr, value) for value in values]).encode()
    except UnicodeEncodeError as error:  # half a surrogate pair
        raise refusal(tag, "the text is not Unicode") from error


def _integer(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and value != number:
        raise ValueError("a fraction")
    return number


def _text(tag: int, vr: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if vr == "PN" and isinstance(value, dict):
        groups = [value.get(name) or "" for name in _NAME_GROUPS]
        if all(isinstance(group, str) for group in groups):
            return "=".join(groups).rstrip("=")
    elif isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    elif isinstance(value, float):
        return _decimal(value)
    raise refusal(tag, f"a value is no {vr}")


def _decimal(number: float) -> str:
    """The shortest form of a number that a DS has room for."""
    text = repr(number)
    digits = _DECIMAL_LIMIT
    while len(text) > _DECIMAL_LIMIT:
        digits -= 1
        text = f"{number:.{digits}g}"
    return text
