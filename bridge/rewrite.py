"""A data set taken apart and written anew in another encoding, element by element (PS3.5 §7, Annex A).

One walk, forward, without recursion, yields what the new data set is made of: literal bytes for headers and short
values, references for long ones, so that nothing long is ever held. Sequences come out with undefined length, group
lengths (retired) are dropped, private elements of implicit data sets become UN.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from bridge.dictionary import KNOWN, LONG_HEADER, WORD_BYTES, vr_of
from bridge.errors import NotAcceptable
from bridge.extents import DataSetBytes, Extent
from bridge.words import swap_words

LITERAL_BYTES = 1 << 16  # longer values are referred to
UNDEFINED: Final = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA: Final = 0x7FE00010
PIXEL_REPRESENTATION: Final = 0x00280103
_LUT_DESCRIPTOR, _LUT_DATA = 0x00283002, 0x00283006
_SHORT_VALUE_LIMIT = 65534  # of VRs with a 16-bit length; longer values become UN (PS3.18 §8.7.3.4)
_DEPTH_LIMIT = 1024
_WINDOW_BYTES = (1 << 16, 1 << 20)  # first and largest read while walking
SAMPLES_PER_PIXEL, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION = 0x00280002, 0x00280004, 0x00280006
ROWS, COLUMNS, BITS_ALLOCATED, BITS_STORED = 0x00280010, 0x00280011, 0x00280100, 0x00280101
_REMEMBERED = frozenset(
    {SAMPLES_PER_PIXEL, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, ROWS, COLUMNS, BITS_ALLOCATED, BITS_STORED}
    | {PIXEL_REPRESENTATION, _LUT_DESCRIPTOR}
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written (PS3.5 §7.1)."""

    explicit: bool
    big_endian: bool = False
    big_endian_pixels: bool = False  # words of pixel data alone


@dataclass(frozen=True, slots=True)
class Reference:
    """`length` bytes of the old data set from `offset`, words of `width` bytes to be swapped."""

    offset: int
    length: int
    width: int = 1


@dataclass(frozen=True, slots=True)
class Produced:
    """A value that someone makes when its turn comes; `size_bytes` None where only its end tells."""

    vr: str
    size_bytes: int | None
    chunks: Callable[[], Iterator[bytes]]
    encapsulated: bool = False  # its length is written as undefined (PS3.5 A.4)


Segment = bytes | Reference | Produced


@dataclass(slots=True)
class Level:
    """A data set, a sequence or an item being walked. `end` None: until its delimiter."""

    encoding: Encoding
    end: int | None
    is_sequence: bool = False
    values: dict[int, bytes] = field(default_factory=dict)  # of attributes that decide on others
    appended: bytes = b""  # items that come after those of a sequence


class Pixels(Protocol):
    """What the walker asks about pixel data that become others, and about the attributes that describe them."""

    watched: frozenset[int]  # tags whose values may change, besides those that describe pixels

    def dropped(self, tag: int, *, nested: bool) -> bool:
        """Whether an element has no place in the new data set."""
        ...

    def changed(self, walker: Walker, tag: int, value: bytes, following: int, *, nested: bool) -> bytes:
        """The new value of such an attribute; `following` is where the element after it begins."""
        ...

    def inserted(self) -> Mapping[int, tuple[str, bytes]]:
        """Attributes that the data set itself must have: tag -> VR and value. Items join those of a sequence it has."""
        ...

    def replaces(self, tag: int, length: int, *, nested: bool) -> bool:
        """Whether the value of this element is made anew."""
        ...

    def replaced(self, walker: Walker, value: int, *, nested: bool) -> tuple[Produced, int | None]:
        """The new value for the one that begins at `value`, and where that one ended if its header does not say."""
        ...


def explicit_header(tag: int, vr: str, length: int) -> bytes:
    """An element's header in Explicit VR Little Endian; a value too long for its VR is UN (PS3.18 §8.7.3.4)."""
    group, element = tag >> 16, tag & 0xFFFF
    if vr not in LONG_HEADER and length > _SHORT_VALUE_LIMIT:
        vr = "UN"
    if vr in LONG_HEADER:
        return struct.pack("<HH2sHI", group, element, vr.encode("ascii"), 0, length)
    return struct.pack("<HH2sH", group, element, vr.encode("ascii"), length)


class Walker:
    """One walk over one data set. Raises NotAcceptable where its structure makes no sense."""

    def __init__(
        self,
        source: DataSetBytes,
        encoding: Encoding,
        target: Encoding,
        pixels: Pixels | None,
        *,
        pixel_representation: int = 0,
    ) -> None:
        self._source = source
        self._target = target
        self._pixels = pixels
        self._inserted = pixels.inserted() if pixels else {}
        self._changing = _REMEMBERED | (pixels.watched if pixels else frozenset())
        self._stack = [Level(encoding, None)]
        self._stack[0].values[PIXEL_REPRESENTATION] = struct.pack("<H", pixel_representation)
        self._buffer = b""
        self._base = 0
        self._window = _WINDOW_BYTES[0]

    def segments(self) -> Iterator[Segment]:
        """The new data set's parts, in order."""
        position = 0
        missing = sorted(self._inserted.items())
        while True:
            while (end := self._stack[-1].end) is not None and position >= end:
                yield self._leave()
            head = self.read(position, 8)
            if len(head) < 8:
                break  # bytes after the last element are no element
            level = self._stack[-1]
            tag, vr, length, value = self._header(level, head, position)
            if level.is_sequence and tag >> 16 != 0xFFFE:
                raise NotAcceptable("an element stands between the items of a sequence")
            while missing and len(self._stack) == 1 and missing[0][0] <= tag:
                yield from self._insert(*missing.pop(0), unless=tag)
            if tag >> 16 == 0xFFFE:
                position = value
                yield self._delimiter(tag, length, value)
            elif self._pixels and self._pixels.replaces(tag, length, nested=len(self._stack) > 1):
                produced, old_end = self._pixels.replaced(self, value, nested=len(self._stack) > 1)
                yield self._head(tag, produced.vr, UNDEFINED if produced.encapsulated else produced.size_bytes or 0)
                yield produced
                position = value + length if old_end is None else old_end
            elif vr == "SQ" or length == UNDEFINED:
                position = value
                yield self._enter(tag, vr, length, value)
            else:
                self._check_fits(value + length)
                yield from self._element(level, tag, vr, length, value)
                position = value + length
        for entry in missing:
            yield from self._insert(*entry, unless=0)
        while len(self._stack) > 1:
            if self._stack[-1].end is None:
                raise NotAcceptable("the data set ends inside a sequence")
            yield self._leave()

    def read(self, position: int, length: int) -> bytes:
        """Bytes of the old data set; fewer at its end."""
        at = position - self._base
        if at < 0 or at + length > len(self._buffer):
            near = 0 <= at <= len(self._buffer)
            self._window = min(2 * self._window, _WINDOW_BYTES[1]) if near and self._buffer else _WINDOW_BYTES[0]
            self._buffer = b"".join(self._source.read(position, max(length, self._window)))
            self._base, at = position, 0
        return self._buffer[at : at + length]

    def fragments(self, value: int) -> tuple[list[Extent], int]:
        """Payloads of the fragments of encapsulated pixel data, and where it ends (PS3.5 A.4)."""
        found: list[Extent] = []
        position = value
        while True:
            group, element, length = struct.unpack("<HHI", self.read(position, 8).ljust(8, b"\0"))
            position += 8
            if group << 16 | element == SEQUENCE_END:
                return found[1:], position
            if group << 16 | element != ITEM or length == UNDEFINED:
                raise NotAcceptable("the encapsulated pixel data is broken")
            found.append((position, length))
            position += length

    @property
    def values(self) -> Mapping[int, bytes]:
        """The remembered attributes of the data set or item being walked, as they were."""
        return self._stack[-1].values

    def encapsulated_ahead(self, position: int) -> bool:
        """Whether encapsulated pixel data comes after `position` in this item, before any other nested structure."""
        level = self._stack[-1]
        while level.end is None or position < level.end:
            head = self.read(position, 8)
            if len(head) < 8:
                return False
            tag, _, length, value = self._header(level, head, position)
            if tag >> 16 == 0xFFFE or length == UNDEFINED:
                return tag == PIXEL_DATA
            position = value + length
        return False

    def _header(self, level: Level, head: bytes, position: int) -> tuple[int, str, int, int]:
        """(tag, VR, length, where the value begins) of the element at `position`."""
        encoding = level.encoding
        order = ">" if encoding.big_endian else "<"
        group, element, length = struct.unpack(order + "HHI", head)
        tag: int = group << 16 | element
        if group == 0xFFFE:
            return tag, "", length, position + 8
        if not encoding.explicit:
            return tag, self._resolved(level, tag, vr_of(tag)), length, position + 8
        vr = head[4:6].decode("latin-1")
        if vr not in LONG_HEADER:
            return tag, vr if vr in KNOWN else "UN", struct.unpack(order + "H", head[6:])[0], position + 8
        long_length = self.read(position + 8, 4)
        if len(long_length) < 4:
            raise NotAcceptable("the data set ends inside an element")
        return tag, vr, struct.unpack(order + "I", long_length)[0], position + 12

    def _resolved(self, level: Level, tag: int, vr: str) -> str:
        """The VR of an implicit element where PS3.6 gives a choice (PS3.5 Annex A.1, PS3.3 C.7.6.3, C.11.1.1.1)."""
        if " or " not in vr:
            return vr
        if tag == _LUT_DATA:
            return "US" if level.values.get(_LUT_DESCRIPTOR, b"")[:2] == b"\x01\x00" else "OW"
        if vr == "US or SS":
            known = (above.values.get(PIXEL_REPRESENTATION) for above in reversed(self._stack))
            return "SS" if next((value for value in known if value), b"")[:1] == b"\x01" else "US"
        return "OW"

    def _element(self, level: Level, tag: int, vr: str, length: int, value: int) -> Iterator[Segment]:
        nested = len(self._stack) > 1
        group_length = tag & 0xFFFF == 0 and tag >> 16 > 2  # PS3.5 §7.2, retired; no longer true after a rewrite
        if group_length or (self._pixels and self._pixels.dropped(tag, nested=nested)):
            return
        encoding = level.encoding
        swapped = encoding.big_endian or (encoding.big_endian_pixels and tag == PIXEL_DATA)
        width = WORD_BYTES.get(vr, 1) if swapped else 1
        if length > LITERAL_BYTES:
            yield self._head(tag, vr, length)
            yield Reference(value, length, width)
            return
        data = self.read(value, length)
        if len(data) < length:
            raise NotAcceptable("the data set ends inside an element")
        data = swap_words(data, width)
        if tag in self._changing:
            level.values[tag] = data
            if self._pixels:
                data = self._pixels.changed(self, tag, data, value + length, nested=nested)
        yield self._head(tag, vr, len(data)) + data

    def _head(self, tag: int, vr: str, length: int) -> bytes:
        if not self._target.explicit:
            return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)
        return explicit_header(tag, vr, length)

    def _insert(self, tag: int, vr_and_value: tuple[str, bytes], *, unless: int) -> Iterator[Segment]:
        if tag != unless:
            yield self._head(tag, vr_and_value[0], len(vr_and_value[1])) + vr_and_value[1]

    def _enter(self, tag: int, vr: str, length: int, value: int) -> bytes:
        """Begin a sequence. UN of undefined length is a sequence in implicit VR little endian (PS3.5 §6.2.2)."""
        appended = self._inserted[tag][1] if len(self._stack) == 1 and tag in self._inserted else b""
        if length == 0:
            return self._head(tag, "SQ", len(appended)) + appended
        encoding = Encoding(explicit=False) if vr == "UN" else self._stack[-1].encoding
        self._push(encoding, length, value, is_sequence=True)
        self._stack[-1].appended = appended
        return self._head(tag, "SQ", UNDEFINED)

    def _delimiter(self, tag: int, length: int, value: int) -> bytes:
        level = self._stack[-1]
        if tag == ITEM and level.is_sequence:
            self._push(level.encoding, length, value, is_sequence=False)
            return _ITEM_HEAD
        if tag == (SEQUENCE_END if level.is_sequence else ITEM_END) and len(self._stack) > 1:
            return self._leave()
        raise NotAcceptable("a sequence delimiter stands where none belongs")

    def _push(self, encoding: Encoding, length: int, value: int, *, is_sequence: bool) -> None:
        if len(self._stack) >= _DEPTH_LIMIT:
            raise NotAcceptable(f"sequences are nested more than {_DEPTH_LIMIT} levels deep")
        end = None if length == UNDEFINED else value + length
        if end is not None:
            self._check_fits(end)
        self._stack.append(Level(encoding, end, is_sequence))

    def _leave(self) -> bytes:
        level = self._stack.pop()
        return level.appended + _SEQUENCE_TAIL if level.is_sequence else _ITEM_TAIL

    def _check_fits(self, end: int) -> None:
        limit = self._stack[-1].end
        if limit is not None and end > limit:
            raise NotAcceptable("an element does not fit into what holds it")


_ITEM_HEAD = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
_ITEM_TAIL = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
_SEQUENCE_TAIL = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
