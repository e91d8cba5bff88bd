"""Frame table: where the bytes of frame n are (PS3.5 §8.1, §A.4; PS3.3 §C.7.6.3). Also the table of other bulk values.

Offsets are relative to the data set (to the inflated one when it is deflated), frame numbers start at 1. Tables are
packed with struct; a packed table is read in place, so one frame of many costs no more than one of few.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, overload

from bridge.errors import InvalidInstance, InvalidRequest, NotFound

Span: TypeAlias = tuple[int, int]  # offset, length
Spans: TypeAlias = tuple[Span, ...]

RLE_UID = "1.2.840.10008.1.2.5"
# MPEG-2, MPEG-4 and HEVC, also in their fragmentable forms (PS3.5 §A.4.5-§A.4.8): one stream, no frames to point at.
VIDEO_UIDS = frozenset(f"1.2.840.10008.1.2.4.{last}{form}" for last in range(100, 109) for form in ("", ".1"))
# First bytes of a codestream: JPEG and JPEG-LS, JPEG 2000 and HTJ2K, JP2 box, JPEG XL and its box.
_CODESTREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a", b"\0\0\0\x0cJXL ")


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDescription:
    """The Image Pixel attributes a decoder needs (PS3.3 §C.7.6.3); 0 or "" where the data set has none."""

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    photometric_interpretation: str
    planar_configuration: int
    number_of_frames: int
    tag: int
    vr: str

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame (PS3.5 §8.1.1; YBR_FULL_422 keeps two samples per pixel, PS3.3 §C.7.6.3.1.2)."""
        samples = self.samples_per_pixel
        if samples == 3 and self.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422"):
            samples = 2
        return self.rows * self.columns * samples * self.bits_allocated


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTable:
    """Where pixel data are. `frames` is empty for native ones: they follow from the description."""

    description: PixelDescription
    encapsulated: bool
    big_endian: bool = False
    offset: int  # of the value; for encapsulated pixel data of the item with the basic offset table
    length: int  # of the whole value, sequence delimiter included
    frames: Sequence[Spans] = ()  # encapsulated: per frame the payloads of its fragments

    @property
    def byte_aligned(self) -> bool:
        """False when native frames start in the middle of a byte (1-bit pixels); see native_bits and repack_bits."""
        return self.encapsulated or self.description.frame_bits % 8 == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkElement:
    """A value that the metadata give by reference. `path` is tags and 1-based item numbers joined by slashes."""

    path: str
    vr: str
    offset: int
    length: int
    big_endian: bool = False
    media_type: str = "application/octet-stream"
    encapsulated: bool = False


def frame_range(table: FrameTable, number: int) -> list[Span]:
    """Byte ranges of frame `number`: its fragments, or one range of native bytes.

    Native frames that do not start on a byte: the bytes that hold it, see native_bits. Raises InvalidRequest for a
    number below 1 and NotFound beyond the last frame.
    """
    if number < 1:
        raise InvalidRequest("frame numbers start at 1")
    if table.encapsulated:
        if number > len(table.frames):
            raise NotFound(f"there is no frame {number}")
        return list(table.frames[number - 1])
    first, skipped, bits = native_bits(table, number)
    length = (skipped + bits + 7) // 8
    if bits == 0 or number > table.description.number_of_frames or first + length > table.offset + table.length:
        raise NotFound(f"there is no frame {number}")
    return [(first, length)]


def native_bits(table: FrameTable, number: int) -> tuple[int, int, int]:
    """(offset of the byte in which native frame `number` starts, bits before it in that byte, bits of the frame)."""
    bits = table.description.frame_bits
    start = (number - 1) * bits
    return table.offset + start // 8, start % 8, bits


def repack_bits(data: bytes, skipped_bits: int, bits: int) -> bytes:
    """`bits` bits of `data` after `skipped_bits`, moved to a byte limit; the low bit comes first (PS3.5 §8.1.1)."""
    packed = int.from_bytes(data, "little") >> skipped_bits & ((1 << bits) - 1)
    return packed.to_bytes((bits + 7) // 8, "little")


def group_fragments(
    fragments: Sequence[Span],
    number_of_frames: int,
    transfer_syntax_uid: str,
    *,
    basic_offsets: Sequence[int] = (),
    extended: tuple[Sequence[int], Sequence[int]] = ((), ()),
    peek: Callable[[int], bytes],
) -> tuple[list[Spans], bool]:
    """(fragments of each frame, are the frame limits certain).

    `fragments` are payload ranges without the offset table item. Offset tables are believed only when every entry is
    the start of a fragment (PS3.5 §A.4, PS3.3 §C.7.6.3.1.8); `peek(offset)` gives the first 12 bytes there.
    """
    if not fragments:
        return [], number_of_frames == 0
    if transfer_syntax_uid in VIDEO_UIDS or number_of_frames == 1:
        return [tuple(fragments)], True
    if grouped := _by_extended_table(fragments, number_of_frames, *extended):
        return grouped, True
    if len(fragments) == number_of_frames or transfer_syntax_uid == RLE_UID:
        return [(span,) for span in fragments], len(fragments) == number_of_frames
    if grouped := _by_offsets(fragments, number_of_frames, basic_offsets):
        return grouped, True
    starts = [number for number, (offset, _) in enumerate(fragments) if peek(offset).startswith(_CODESTREAM_STARTS)]
    if starts[:1] != [0]:
        return [tuple(fragments)], False
    return _cut(fragments, starts), len(starts) == number_of_frames


def _by_offsets(fragments: Sequence[Span], number_of_frames: int, offsets: Sequence[int]) -> list[Spans] | None:
    """Frames by a table of offsets of item tags from the first fragment's item tag; None when it cannot be true."""
    if len(offsets) != number_of_frames:
        return None
    origin = fragments[0][0]
    index = {offset - origin: number for number, (offset, _) in enumerate(fragments)}
    starts = [index.get(offset, -1) for offset in offsets]
    if starts[0] != 0 or any(later <= earlier for earlier, later in pairwise(starts)):
        return None
    return _cut(fragments, starts)


def _by_extended_table(
    fragments: Sequence[Span], number_of_frames: int, offsets: Sequence[int], lengths: Sequence[int]
) -> list[Spans] | None:
    """Frames by the extended offset table, one fragment each; its lengths leave out the padding byte."""
    if len(offsets) != number_of_frames or len(lengths) != number_of_frames or len(fragments) != number_of_frames:
        return None
    origin = fragments[0][0]
    frames: list[Spans] = []
    for (offset, size), start, length in zip(fragments, offsets, lengths, strict=True):
        if offset - origin != start or not size - 1 <= length <= size:
            return None
        frames.append(((offset, length),))
    return frames


def _cut(fragments: Sequence[Span], starts: Sequence[int]) -> list[Spans]:
    ends = [*starts[1:], len(fragments)]
    return [tuple(fragments[start:end]) for start, end in zip(starts, ends, strict=True)]


_HEADER = struct.Struct("<BBIIHHHHHHIIQQI")  # version, flags, description, offset, length, frames
_VERSION = 1
_NAME_LIMIT = 64  # characters kept of a photometric interpretation
_ENCAPSULATED, _BIG_ENDIAN, _SINGLE = 1, 2, 4  # _SINGLE: every frame is one fragment


def pack(table: FrameTable) -> bytes:
    """The table as bytes: a header and, when encapsulated, 12 bytes a fragment."""
    about = table.description
    spans = [span for frame in table.frames for span in frame]
    counts = [len(frame) for frame in table.frames]
    single = all(count == 1 for count in counts)
    flags = (_ENCAPSULATED if table.encapsulated else 0) | (_BIG_ENDIAN if table.big_endian else 0)
    header = _HEADER.pack(
        _VERSION, flags | (_SINGLE if single else 0), about.rows, about.columns, about.samples_per_pixel,
        about.bits_allocated, about.bits_stored, about.high_bit, about.pixel_representation,
        about.planar_configuration, about.number_of_frames, about.tag, table.offset, table.length, len(counts),
    )  # fmt: skip
    names = (f"{about.vr:2.2}" + about.photometric_interpretation[:_NAME_LIMIT]).encode("ascii", "replace")
    parts = [header, bytes([len(names)]), names]
    if not single:  # where each frame's fragments start, one entry more than frames
        ends = [0]
        for count in counts:
            ends.append(ends[-1] + count)
        parts.append(struct.pack(f"<{len(ends)}I", *ends))
    parts.append(struct.pack(f"<{len(spans)}Q", *[offset for offset, _ in spans]))
    parts.append(struct.pack(f"<{len(spans)}I", *[length for _, length in spans]))
    return b"".join(parts)


def unpack(data: bytes) -> FrameTable:
    """The inverse of `pack`; frames are read in place when asked for. Raises ValueError for other bytes."""
    (version, flags, rows, columns, samples, allocated, stored, high_bit, representation, planar, count, tag,
     offset, length, frames) = _HEADER.unpack_from(data)  # fmt: skip
    if version != _VERSION:
        raise ValueError("a frame table of an unknown version")
    start = _HEADER.size + 1 + data[_HEADER.size]
    names = data[_HEADER.size + 1 : start].decode("ascii")
    vr, photometric = names[:2], names[2:]
    description = PixelDescription(
        rows=rows, columns=columns, samples_per_pixel=samples, bits_allocated=allocated, bits_stored=stored,
        high_bit=high_bit, pixel_representation=representation, photometric_interpretation=photometric,
        planar_configuration=planar, number_of_frames=count, tag=tag, vr=vr,
    )  # fmt: skip
    return FrameTable(
        description=description,
        encapsulated=bool(flags & _ENCAPSULATED),
        big_endian=bool(flags & _BIG_ENDIAN),
        offset=offset,
        length=length,
        frames=PackedFrames(data, start, frames, bool(flags & _SINGLE)) if frames else (),
    )


class PackedFrames(Sequence[Spans]):
    """The frames of a packed table, read one at a time."""

    __slots__ = ("_count", "_data", "_lengths", "_offsets", "_single", "_starts")

    def __init__(self, data: bytes, start: int, count: int, single: bool) -> None:
        self._data, self._count, self._single = data, count, single
        self._starts = start
        self._offsets = start if single else start + 4 * (count + 1)
        self._lengths = self._offsets + 8 * (count if single else self._start(count))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Spans: ...

    @overload
    def __getitem__(self, index: slice) -> list[Spans]: ...

    def __getitem__(self, index: int | slice) -> Spans | list[Spans]:
        if isinstance(index, slice):
            return [self._frame(number) for number in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError("frame index out of range")
        return self._frame(index % self._count)

    def __iter__(self) -> Iterator[Spans]:
        return (self._frame(number) for number in range(self._count))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(self._data)

    def _start(self, frame: int) -> int:
        number: int = struct.unpack_from("<I", self._data, self._starts + 4 * frame)[0]
        return number

    def _frame(self, frame: int) -> Spans:
        first, last = (frame, frame + 1) if self._single else (self._start(frame), self._start(frame + 1))
        offsets = struct.unpack_from(f"<{last - first}Q", self._data, self._offsets + 8 * first)
        lengths = struct.unpack_from(f"<{last - first}I", self._data, self._lengths + 4 * first)
        return tuple(zip(offsets, lengths, strict=True))


_BULK = struct.Struct("<QQBHHH")  # offset, length, flags, sizes of path, VR and media type


def pack_bulk(elements: Iterable[BulkElement]) -> bytes:
    """Bulk elements as bytes."""
    parts: list[bytes] = []
    for element in elements:
        names = [name.encode("utf-8") for name in (element.path, element.vr, element.media_type)]
        flags = (_ENCAPSULATED if element.encapsulated else 0) | (_BIG_ENDIAN if element.big_endian else 0)
        parts += [_BULK.pack(element.offset, element.length, flags, *map(len, names)), *names]
    return b"".join(parts)


def unpack_bulk(data: bytes) -> list[BulkElement]:
    """The inverse of `pack_bulk`."""
    elements: list[BulkElement] = []
    at = 0
    while at < len(data):
        offset, length, flags, *sizes = _BULK.unpack_from(data, at)
        at += _BULK.size
        names: list[str] = []
        for size in sizes:
            names.append(data[at : at + size].decode("utf-8"))
            at += size
        elements.append(
            BulkElement(
                path=names[0], vr=names[1], media_type=names[2], offset=offset, length=length,
                big_endian=bool(flags & _BIG_ENDIAN), encapsulated=bool(flags & _ENCAPSULATED),
            )
        )  # fmt: skip
    return elements


def parse_offsets(value: bytes, width: int) -> tuple[int, ...]:
    """Little-endian offsets or lengths of `width` bytes. Raises InvalidInstance when they do not fit the value."""
    if len(value) % width:
        raise InvalidInstance("an offset table is no whole number of entries")
    return struct.unpack(f"<{len(value) // width}{'I' if width == 4 else 'Q'}", value)
