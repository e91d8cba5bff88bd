"""A data set in one transfer syntax -> another, streaming in constant memory (PS3.5 Annex A, PS3.18 §8.7.3.4).

Targets are Explicit and Implicit VR Little Endian. What goes out describes itself truly: decoded pixel data come with
the PhotometricInterpretation and PlanarConfiguration they then have. Where the header is of usual size the exact length
is known before the first byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from bridge.errors import NotAcceptable
from bridge.extents import DataSetBytes, ExtentReader
from bridge.frame_reader import codestreams
from bridge.frames import FrameTable, PixelDescription
from bridge.pixel_job import decoded_photometric_interpretation
from bridge.pixels import PixelPool, decoded_frame_bits
from bridge.rewrite import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_DATA,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
    Encoding,
    Produced,
    Reference,
    Segment,
    Walker,
)
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax, lookup
from bridge.words import swapped

CHUNK_BYTES = 1 << 20
_PLANNED_BYTES = 4 << 20  # literal bytes looked at ahead; a longer header is sent without a known size
_LONGEST_VALUE = 0xFFFFFFFE  # PS3.5 §7.1.1, and lengths are even
_OFFSET_TABLES = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})  # PS3.3 §C.7.6.3.1.8 and -.10


@dataclass(frozen=True, slots=True)
class Converted:
    """A data set on its way out; `size_bytes` None where it is only known at the end."""

    size_bytes: int | None
    chunks: Iterator[bytes]


def convert(
    source: DataSetBytes,
    stored_uid: str,
    target_uid: str,
    *,
    frame_table: FrameTable | None,
    pixels: PixelPool,
) -> Converted:
    """The data set in `target_uid`, chunks of at most 1 MiB (a decoded frame comes in one).

    `target_uid` is Explicit or Implicit VR Little Endian. Raises NotAcceptable where the header shows already that
    there is no such representation; what shows later cuts the stream off with NotAcceptable or Unavailable.
    """
    stored = lookup(stored_uid)
    if stored is None or not stored.decodable:
        raise NotAcceptable(f"{stored.name if stored else stored_uid} cannot be converted")
    if stored.deflated and target_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return Converted(None, source.read(0, None))
    walker = Walker(
        source,
        Encoding(stored.explicit, stored.big_endian, stored.big_endian_pixels),
        Encoding(target_uid == EXPLICIT_VR_LITTLE_ENDIAN),
        Decoding(source, stored, frame_table, pixels) if stored.encapsulated else None,
        pixel_representation=frame_table.description.pixel_representation if frame_table else 0,
    )
    segments = walker.segments()
    planned, complete = _plan(segments)
    size = sum(map(_size, planned)) if complete else None
    return Converted(size, _emitted(source, planned, segments))


class Decoding:
    """Encapsulated pixel data become native; what describes them is put right."""

    def __init__(
        self, source: DataSetBytes, stored: TransferSyntax, frame_table: FrameTable | None, pixels: PixelPool
    ) -> None:
        self._source = source
        self._uid = stored.uid
        self._table = frame_table if frame_table is not None and frame_table.encapsulated else None
        self._pool = pixels

    def dropped(self, tag: int, *, nested: bool) -> bool:
        """Offset tables point into the encapsulated value."""
        return not nested and self._table is not None and tag in _OFFSET_TABLES

    def changed(self, walker: Walker, tag: int, value: bytes, following: int, *, nested: bool) -> bytes:
        """PhotometricInterpretation and PlanarConfiguration as they are once decoded (PS3.3 §C.7.6.3.1.2, .3)."""
        if tag not in (PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION):
            return value
        if not (walker.encapsulated_ahead(following) if nested else self._table is not None):
            return value
        if tag == PLANAR_CONFIGURATION:
            return b"\0\0"
        return _even(decoded_photometric_interpretation(self._uid, _text(value)).encode("ascii"), b" ")

    def inserted(self) -> Mapping[int, tuple[str, bytes]]:
        """Colour needs a PlanarConfiguration once it is native."""
        if self._table is not None and self._table.description.samples_per_pixel > 1:
            return {PLANAR_CONFIGURATION: ("US", b"\0\0")}
        return {}

    def decoded(self, walker: Walker, value: int, *, nested: bool) -> tuple[str, Produced, int]:
        """Frames by the frame table; an icon's single frame by its own attributes."""
        if nested:
            return self._icon(walker, value)
        table = self._table
        if table is None or table.offset != value:
            raise NotAcceptable("the pixel data is not where the index says")
        count = max(1, table.description.number_of_frames)
        if len(table.frames) != count:
            raise NotAcceptable("the frames of the compressed pixel data cannot be told apart")
        description = table.description
        numbers = range(1, count + 1)

        def frames() -> Iterator[bytes]:
            streams = (b"".join(frame.chunks) for frame in codestreams(table, numbers, self._source))
            return self._pool.decode_all(streams, description, self._uid)

        produced = _produced(description, count, frames)
        return _vr(description), produced, table.offset + table.length

    def _icon(self, walker: Walker, value: int) -> tuple[str, Produced, int]:
        description = _described(walker.values)
        extents, end = walker.fragments(value)
        codestream = b"".join(b"".join(chunks) for chunks in ExtentReader(self._source, [extents]))
        frame = self._pool.decode(codestream, description, self._uid)
        return _vr(description), _produced(description, 1, lambda: iter([frame])), end


def _produced(description: PixelDescription, count: int, frames: Callable[[], Iterator[bytes]]) -> Produced:
    bits = decoded_frame_bits(description)
    size = (bits * count + 7) // 8
    if size == 0 or size > _LONGEST_VALUE:
        raise NotAcceptable("the uncompressed pixel data is longer than a data element can be")

    def chunks() -> Iterator[bytes]:
        yield from joined_frames(frames(), bits)
        if size % 2:
            yield b"\0"

    return Produced(size + size % 2, chunks)


def joined_frames(frames: Iterable[bytes], bits: int) -> Iterator[bytes]:
    """Frames one after another; those that are no whole bytes share a byte with the next (PS3.5 §8.1.1)."""
    if bits % 8 == 0:
        yield from frames
        return
    carried = np.empty(0, np.uint8)
    for frame in frames:
        fresh = np.unpackbits(np.frombuffer(frame, np.uint8), count=bits, bitorder="little")
        unpacked = np.concatenate([carried, fresh])
        whole = len(unpacked) // 8 * 8
        carried = unpacked[whole:]
        yield np.packbits(unpacked[:whole], bitorder="little").tobytes()
    if len(carried):
        yield np.packbits(carried, bitorder="little").tobytes()


def _plan(segments: Iterator[Segment]) -> tuple[list[Segment], bool]:
    """(the segments up to the planning limit, were these all)."""
    planned: list[Segment] = []
    literal = 0
    for segment in segments:
        planned.append(segment)
        literal += len(segment) if isinstance(segment, bytes) else 64
        if literal > _PLANNED_BYTES:
            return planned, False
    return planned, True


def _emitted(source: DataSetBytes, planned: list[Segment], rest: Iterator[Segment]) -> Iterator[bytes]:
    """The bytes of the segments; short ones are sent together."""
    waiting: list[bytes] = []
    size = 0
    for segment in chain(_drained(planned), rest):
        if isinstance(segment, bytes):
            waiting.append(segment)
            size += len(segment)
            if size < CHUNK_BYTES // 2:
                continue
        if waiting:
            yield b"".join(waiting)
            waiting, size = [], 0
        if isinstance(segment, Reference):
            yield from _copied(source, segment)
        elif isinstance(segment, Produced):
            yield from segment.chunks()
    if waiting:
        yield b"".join(waiting)


def _drained(planned: list[Segment]) -> Iterator[Segment]:
    yield from planned
    planned.clear()


def _copied(source: DataSetBytes, reference: Reference) -> Iterator[bytes]:
    for chunks in ExtentReader(source, [[(reference.offset, reference.length)]]):
        yield from swapped(chunks, reference.width)


def _size(segment: Segment) -> int:
    if isinstance(segment, bytes):
        return len(segment)
    return segment.length if isinstance(segment, Reference) else segment.size_bytes


def _described(values: Mapping[int, bytes]) -> PixelDescription:
    """The Image Pixel Module of an item from its remembered values."""

    def number(tag: int, default: int) -> int:
        return int(struct.unpack("<H", values[tag])[0]) if len(values.get(tag, b"")) == 2 else default

    bits_allocated = number(BITS_ALLOCATED, 8)
    bits_stored = number(BITS_STORED, bits_allocated)
    return PixelDescription(
        rows=number(ROWS, 0),
        columns=number(COLUMNS, 0),
        samples_per_pixel=number(SAMPLES_PER_PIXEL, 1),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1,
        pixel_representation=number(PIXEL_REPRESENTATION, 0),
        photometric_interpretation=_text(values.get(PHOTOMETRIC_INTERPRETATION, b"")),
        planar_configuration=number(PLANAR_CONFIGURATION, 0),
        number_of_frames=1,
        tag=PIXEL_DATA,
        vr="OB",
    )


def _vr(description: PixelDescription) -> str:
    return "OW" if description.bits_allocated > 8 else "OB"  # PS3.5 A.2


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")


def _even(value: bytes, pad: bytes) -> bytes:
    return value + pad if len(value) % 2 else value
