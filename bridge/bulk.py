"""Bulk data: one value of a data set as a byte stream of its own, whole or by range (PS3.18 §10.4.1.1.5)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bridge.dictionary import WORD_BYTES
from bridge.errors import NotAcceptable
from bridge.extents import Cursor, DataSetBytes, Extent, ExtentReader
from bridge.frames import BulkElement, FrameTable
from bridge.syntaxes import OCTETS
from bridge.words import swapped

_ITEM = b"\xfe\xff\x00\xe0"


@dataclass(frozen=True, slots=True)
class Bulk:
    """A value on its way out. `read(start, length)` yields that range; length None is to the end."""

    media_type: str
    size_bytes: int
    read: Callable[[int, int | None], Iterator[bytes]]

    @property
    def chunks(self) -> Iterator[bytes]:
        """All of it."""
        return self.read(0, None)


def stored_value(element: BulkElement, source: DataSetBytes) -> Bulk:
    """A value as it lies in the data set, words little endian; a document's pad byte is not in the bulk table (W8)."""
    width = WORD_BYTES.get(element.vr, 1) if element.big_endian else 1
    return _value(source, element.offset, element.length, width, element.media_type)


def native_value(table: FrameTable, source: DataSetBytes) -> Bulk:
    """Native pixel data, all frames, words little endian."""
    width = WORD_BYTES.get(table.description.vr, 1) if table.big_endian else 1
    return _value(source, table.offset, table.length, width, OCTETS)


def stored_stream(extents: Sequence[Extent], source: DataSetBytes, media_type: str) -> Bulk:
    """Fragments of an encapsulated value joined: a video, or an icon's codestream."""
    size = sum(length for _, length in extents)

    def read(start: int, length: int | None) -> Iterator[bytes]:
        end = size if length is None else min(size, start + length)
        return _joined(source, _cut(extents, start, end))

    return Bulk(media_type, size, read)


def fragment_extents(source: DataSetBytes, element: BulkElement) -> list[Extent]:
    """Payloads of the fragments in an encapsulated value, offset table left out (PS3.5 A.4). Raises NotAcceptable."""
    found: list[Extent] = []
    position, end = element.offset, element.offset + element.length
    while position < end:
        head = b"".join(source.read(position, 8))
        if head[:4] != _ITEM or len(head) < 8:
            break  # the sequence delimiter
        (length,) = struct.unpack("<I", head[4:])
        found.append((position + 8, length))
        position += 8 + length
    if not found:
        raise NotAcceptable("the encapsulated value is broken")
    return found[1:]


def _value(source: DataSetBytes, offset: int, size: int, width: int, media_type: str) -> Bulk:
    def read(start: int, length: int | None) -> Iterator[bytes]:
        end = size if length is None else min(size, start + length)
        first, last = start - start % width, min(size, end + -end % width)
        if width == 1 or first >= last:
            return _joined(source, [(offset + first, max(0, last - first))])
        words = Cursor(swapped(_joined(source, [(offset + first, last - first)]), width), first)
        words.skip_to(start)
        return words.up_to(end - start)

    return Bulk(media_type, size, read)


def _joined(source: DataSetBytes, extents: Sequence[Extent]) -> Iterator[bytes]:
    for chunks in ExtentReader(source, [extents]):
        yield from chunks


def _cut(extents: Sequence[Extent], start: int, end: int) -> list[Extent]:
    """The parts of `extents` that hold bytes `start` to `end` of their joined bytes."""
    parts: list[Extent] = []
    position = 0
    for offset, length in extents:
        first, last = max(start - position, 0), min(end - position, length)
        if first < last:
            parts.append((offset + first, last - first))
        position += length
    return parts
