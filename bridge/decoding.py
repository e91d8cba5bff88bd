"""Pixel data on their way out as native ones, and the attributes that describe them then (PS3.5 A.4, §8.1.1)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping

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
    UNDEFINED,
    Produced,
    Walker,
)
from bridge.syntaxes import TransferSyntax

OFFSET_TABLES = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})  # PS3.3 §C.7.6.3.1.8 and -.10
_LONGEST_VALUE = 0xFFFFFFFE  # PS3.5 §7.1.1, and lengths are even


class Decoding:
    """Encapsulated pixel data become native; what describes them is put right."""

    watched: frozenset[int] = frozenset()

    def __init__(
        self, source: DataSetBytes, stored: TransferSyntax, frame_table: FrameTable | None, pixels: PixelPool
    ) -> None:
        self._source = source
        self._uid = stored.uid
        self._table = frame_table if frame_table is not None and frame_table.encapsulated else None
        self._pool = pixels

    def dropped(self, tag: int, *, nested: bool) -> bool:
        """Offset tables point into the encapsulated value."""
        return not nested and self._table is not None and tag in OFFSET_TABLES

    def changed(self, walker: Walker, tag: int, value: bytes, following: int, *, nested: bool) -> bytes:
        """PhotometricInterpretation and PlanarConfiguration as they are once decoded (PS3.3 §C.7.6.3.1.2, .3)."""
        if tag not in (PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION):
            return value
        if not (walker.encapsulated_ahead(following) if nested else self._table is not None):
            return value
        if tag == PLANAR_CONFIGURATION:
            return b"\0\0"
        return padded(decoded_photometric_interpretation(self._uid, text(value)).encode("ascii"), b" ")

    def inserted(self) -> Mapping[int, tuple[str, bytes]]:
        """Colour needs a PlanarConfiguration once it is native."""
        if self._table is not None and self._table.description.samples_per_pixel > 1:
            return {PLANAR_CONFIGURATION: ("US", b"\0\0")}
        return {}

    def replaces(self, tag: int, length: int, *, nested: bool) -> bool:  # noqa: ARG002  # others ask where it stands
        """Whatever is encapsulated."""
        return tag == PIXEL_DATA and length == UNDEFINED

    def replaced(self, walker: Walker, value: int, *, nested: bool) -> tuple[Produced, int | None]:
        """Frames by the frame table; an icon's single frame by its own attributes."""
        if nested:
            return decoded_icon(walker, value, self._source, self._uid, self._pool)
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

        return _produced(description, count, frames), table.offset + table.length


def decoded_icon(
    walker: Walker, value: int, source: DataSetBytes, transfer_syntax_uid: str, pool: PixelPool
) -> tuple[Produced, int]:
    """The encapsulated pixel data of an item, which are always one frame, and where they end."""
    description = _described(walker.values)
    extents, end = walker.fragments(value)
    codestream = b"".join(b"".join(chunks) for chunks in ExtentReader(source, [extents]))
    frame = pool.decode(codestream, description, transfer_syntax_uid)
    return _produced(description, 1, lambda: iter([frame])), end


def _produced(description: PixelDescription, count: int, frames: Callable[[], Iterator[bytes]]) -> Produced:
    bits = decoded_frame_bits(description)
    size = (bits * count + 7) // 8
    if size == 0 or size > _LONGEST_VALUE:
        raise NotAcceptable("the uncompressed pixel data is longer than a data element can be")

    def chunks() -> Iterator[bytes]:
        yield from joined_frames(frames(), bits)
        if size % 2:
            yield b"\0"

    vr = "OW" if description.bits_allocated > 8 else "OB"  # PS3.5 A.2
    return Produced(vr, size + size % 2, chunks)


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
        photometric_interpretation=text(values.get(PHOTOMETRIC_INTERPRETATION, b"")),
        planar_configuration=number(PLANAR_CONFIGURATION, 0),
        number_of_frames=1,
        tag=PIXEL_DATA,
        vr="OB",
    )


def text(value: bytes) -> str:
    """A code string without its padding."""
    return value.decode("latin-1").strip(" \0")


def padded(value: bytes, pad: bytes) -> bytes:
    """The value with an even length (PS3.5 §6.2)."""
    return value + pad if len(value) % 2 else value
