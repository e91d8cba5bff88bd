"""Identifiers and other small data sets: bytes <-> DICOM JSON values (PS3.4 §C.4, PS3.18 Annex F). Pure.

Text is decoded by the data set's own Specific Character Set. What is written says its set in (0008,0005) where it holds
more than ASCII: the asker's where that can say all of it, else ISO_IR 192.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from bridge.charset_encoding import UTF_8, encode_text
from bridge.dictionary import LONG_HEADER
from bridge.header_syntax import CHARSET_TAG, syntax_of
from bridge.scan import Scanner
from bridge.source import BufferSource

Document = dict[str, Any]  # "00100010" -> {"vr": ..., "Value": [...]}

_CHARACTER_SET = "00080005"
_CHARSET_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # PS3.5 §6.1.2.2
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_ITEM = b"\xfe\xff\x00\xe0"
_DEPTH_LIMIT = 32
_VALUES_KEPT = 500  # of one element of a form
_LENGTH, _SHORT_LENGTH = struct.Struct("<I"), struct.Struct("<H")
_SHORT_LIMIT = 0xFFFE  # bytes of a value whose explicit header has a 16-bit length


def read(data_set: bytes, transfer_syntax_uid: str, *, fallback_charset: str = "") -> Document:
    """The data set as DICOM JSON values. Raises InvalidInstance when its structure cannot be read."""
    scanner = Scanner(
        BufferSource(data_set),
        syntax_of(transfer_syntax_uid),
        watch=frozenset({CHARSET_TAG}),
        nested_watch={},
        fallback_charset=fallback_charset,
        inline_binary_bytes=len(data_set) + 1,
        depth_limit=_DEPTH_LIMIT,
    )
    scanner.run()
    document: Document = orjson.loads(scanner.json.replace(b"\0", b"\\u0000"))
    declared = scanner.root.raws.get(CHARSET_TAG, b"").decode("latin-1").strip(" \0")
    if declared:  # DICOM JSON says UTF-8, whatever it was before
        document[_CHARACTER_SET] = {"vr": "CS", "Value": declared.split("\\")}
    return document


def charsets_of(document: Document) -> tuple[str, ...]:
    """The values of (0008,0005)."""
    return tuple(str(value or "") for value in document.get(_CHARACTER_SET, {}).get("Value", ()))


def write(document: Document, *, explicit: bool, charsets: Sequence[str] = ()) -> bytes:
    """The data set, little endian, its text in `charsets` or in ISO_IR 192."""
    before = {tag: element for tag, element in document.items() if tag < _CHARACTER_SET}
    after = {tag: element for tag, element in document.items() if tag > _CHARACTER_SET}
    writer = _Writer(explicit, charsets or (UTF_8,))
    try:
        body = writer.elements(after)
    except UnicodeEncodeError:
        writer = _Writer(explicit, (UTF_8,))
        body = writer.elements(after)
    if writer.is_extended:
        before[_CHARACTER_SET] = {"vr": "CS", "Value": list(writer.charsets)}
    return writer.elements(before) + body


class Form:
    """A data set of fixed elements whose values come as text, values joined by backslashes: written thousands of times.

    Says the same bytes as `write`. Not for numbers in binary, sequences, and elements before (0008,0005).
    """

    def __init__(self, elements: Sequence[tuple[int, str]], *, explicit: bool, charsets: Sequence[str]) -> None:
        self._charsets = charsets or (UTF_8,)
        self._shapes = [_Shape(tag, vr, explicit) for tag, vr in elements]
        self._known = [(shape.known.get, shape) for shape in self._shapes]
        self._declared = {
            charsets: _Writer(explicit, ()).elements({_CHARACTER_SET: {"vr": "CS", "Value": list(charsets)}})
            for charsets in (tuple(self._charsets), (UTF_8,))
        }

    def fill(self, texts: Sequence[str]) -> bytes:
        """The data set with these values, in the order of the elements, which is that of their tags."""
        for charsets in (tuple(self._charsets), (UTF_8,)):
            parts = self._filled(texts, charsets)
            if parts is not None:
                break
        assert parts is not None, "ISO_IR 192 can say everything"
        return b"".join(parts)

    def _filled(self, texts: Sequence[str], charsets: tuple[str, ...]) -> list[bytes] | None:
        parts = [b""]
        for (known, shape), text in zip(self._known, texts, strict=True):
            part = known(text)
            if part is None:
                if text.isascii():
                    part = shape.plain(text)
                elif shape.vr not in _CHARSET_VRS:
                    part = shape.element(text.encode("ascii", "replace"))
                else:
                    encoded = encode_text(text, shape.vr, charsets)
                    if encoded is None:
                        return None
                    part, parts[0] = shape.element(encoded), self._declared[charsets]
            parts.append(part)
        return parts


class _Shape:
    """An element without its value, and what it looks like with values that came before: most repeat."""

    def __init__(self, tag: int, vr: str, explicit: bool) -> None:
        self.vr = vr
        self.known: dict[str, bytes] = {}  # only plain ones, and not without end
        self._pad = b"\0" if vr == "UI" else b" "
        self._head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        self._length = _LENGTH.pack
        if explicit and vr in LONG_HEADER:
            self._head += struct.pack("<2sxx", vr.encode())
        elif explicit:
            self._head += vr.encode()
            self._length = _SHORT_LENGTH.pack

    def plain(self, text: str) -> bytes:
        """The element with a value of ASCII alone."""
        made = self.element(text.encode())
        if len(self.known) < _VALUES_KEPT:
            self.known[text] = made
        return made

    def element(self, value: bytes) -> bytes:
        """The element with these bytes as its value."""
        if len(value) & 1:
            value += self._pad
        return self._head + self._length(len(value)) + value


class _Writer:
    """Writes in one character set. Raises UnicodeEncodeError for what it cannot say."""

    def __init__(self, explicit: bool, charsets: Sequence[str]) -> None:
        self.charsets = charsets
        self.is_extended = False  # something was more than ASCII
        self._explicit = explicit

    def elements(self, document: Document) -> bytes:
        """Elements in ascending order of tags."""
        return b"".join([self._element(tag, document[tag]) for tag in sorted(document)])

    def _element(self, tag: str, element: Document) -> bytes:
        vr: str = element["vr"]
        value: bytes = self._sequence(element) if vr == "SQ" else self._value(vr, element)
        number = int(tag, 16)
        head = struct.pack("<HH", number >> 16, number & 0xFFFF)
        if not self._explicit:
            head += struct.pack("<I", len(value))
        elif vr in LONG_HEADER:
            head += struct.pack("<2sxxI", vr.encode(), len(value))
        else:
            value = value[:_SHORT_LIMIT]
            head += struct.pack("<2sH", vr.encode(), len(value))
        return head + value

    def _sequence(self, element: Document) -> bytes:
        items = [self.elements(item or {}) for item in element.get("Value", ())]
        return b"".join(_ITEM + struct.pack("<I", len(item)) + item for item in items)

    def _value(self, vr: str, element: Document) -> bytes:
        values = element.get("Value")
        if not values:
            return base64.b64decode(element.get("InlineBinary", b""))
        if vr in _NUMBERS:
            return _packed(vr, values)
        if vr == "AT":
            return b"".join(struct.pack("<HH", int(tag, 16) >> 16, int(tag, 16) & 0xFFFF) for tag in values)
        text = "\\".join([_text(value) for value in values])
        if vr in _CHARSET_VRS and not text.isascii():
            self.is_extended = True
            encoded = encode_text(text, vr, self.charsets)
            if encoded is None:
                raise UnicodeEncodeError("DICOM", text, 0, len(text), "not in this character set")
        else:
            encoded = text.encode("ascii", "replace")
        return encoded + (b"\0" if vr == "UI" else b" ") * (len(encoded) % 2)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "=".join([str(value.get(name, "")) for name in _NAME_GROUPS]).rstrip("=")
    return "" if value is None else str(value)


def _packed(vr: str, values: Sequence[object]) -> bytes:
    number: Callable[[Any], Any] = float if vr in ("FD", "FL") else int
    try:
        return struct.pack(f"<{len(values)}{_NUMBERS[vr]}", *[number(value) for value in values])
    except (TypeError, ValueError, OverflowError, struct.error):
        return b""  # what was stored is no such number
