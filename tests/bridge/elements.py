"""Data sets built element by element, in any header syntax, right or deliberately wrong."""

from __future__ import annotations

import struct
import zlib

from bridge.dictionary import LONG_HEADER

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

STUDY, SERIES, INSTANCE = "1.2.3", "1.2.3.4", "1.2.3.4.5"
BULK = f"\0/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/bulkdata/"


def element(tag: int, vr: str, value: bytes, *, length: int | None = None) -> bytes:
    """One explicit VR little endian element; `length` overrides the truth."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode("latin-1"))
    return head + (struct.pack("<HI", 0, size) if vr in LONG_HEADER else struct.pack("<H", size)) + value


def big(tag: int, vr: str, value: bytes) -> bytes:
    """One explicit VR big endian element; the value is taken as it is."""
    head = struct.pack(">HH2s", tag >> 16, tag & 0xFFFF, vr.encode("latin-1"))
    return head + (struct.pack(">HI", 0, len(value)) if vr in LONG_HEADER else struct.pack(">H", len(value))) + value


def implicit(tag: int, value: bytes, *, length: int | None = None) -> bytes:
    """One implicit VR little endian element, also an item or a delimiter."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, *, undefined: bool = False) -> bytes:
    """A sequence item."""
    if undefined:
        return implicit(ITEM, content, length=UNDEFINED) + implicit(ITEM_END, b"")
    return implicit(ITEM, content)


def sequence(tag: int, *items: bytes, undefined: bool = False) -> bytes:
    """An explicit VR sequence of items made by `item`."""
    content = b"".join(items)
    if undefined:
        return element(tag, "SQ", content, length=UNDEFINED) + implicit(SEQUENCE_END, b"")
    return element(tag, "SQ", content)


def encapsulated(*fragments: bytes, offsets: bytes = b"", vr: str = "OB") -> bytes:
    """Pixel Data in fragments."""
    items = b"".join(implicit(ITEM, fragment) for fragment in (offsets, *fragments))
    return element(0x7FE00010, vr, items, length=UNDEFINED) + implicit(SEQUENCE_END, b"")


IDENTITY: dict[int, tuple[str, bytes]] = {
    0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
    0x00080018: ("UI", INSTANCE.encode() + b"\0"),
    0x0020000D: ("UI", STUDY.encode() + b"\0"),
    0x0020000E: ("UI", SERIES.encode() + b"\0"),
}


def data_set(*elements: bytes) -> bytes:
    """Explicit VR little endian elements, and those every instance needs, in ascending order of their tags."""
    identity = [element(tag, vr, value) for tag, (vr, value) in IDENTITY.items()]
    return b"".join(sorted([*identity, *elements], key=lambda one: struct.unpack("<HH", one[:4])))


def image(rows: int, columns: int, *, frames: int = 1, bits: int = 8, photometric: bytes = b"MONOCHROME2 ") -> bytes:
    """Image Pixel elements of one sample a pixel."""
    numbers = {0x00280002: 1, 0x00280010: rows, 0x00280011: columns, 0x00280100: bits, 0x00280101: bits}
    parts = [element(tag, "US", struct.pack("<H", number)) for tag, number in numbers.items()]
    parts.append(element(0x00280004, "CS", photometric))
    text = str(frames).encode()
    parts.append(element(0x00280008, "IS", text + b" " * (len(text) % 2)))
    return b"".join(sorted(parts))


def deflate(data: bytes) -> bytes:
    """A deflated data set, as PS3.5 §A.5 wants it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def nested(depth: int, *, undefined: bool) -> bytes:
    """Sequences inside each other."""
    content = element(0x00100020, "LO", b"deep")
    for _ in range(depth):
        content = sequence(0x00081115, item(content, undefined=undefined), undefined=undefined)
    return content


def whole() -> bytes:
    """A small instance with a bit of everything; JPEG syntax, two frames."""
    return data_set(
        image(4, 4, frames=2),
        element(0x00091001, "OB", b"12"),
        sequence(0x00081115, item(nested(2, undefined=True), undefined=True), undefined=True),
        encapsulated(b"\xff\xd8\xff1", b"\xff\xd8\xff2"),
    )
