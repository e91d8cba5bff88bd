"""A data set in one transfer syntax -> another, streaming in constant memory (PS3.5 Annex A, PS3.18 §8.7.3.4).

Targets are Explicit and Implicit VR Little Endian, deflated, and those of `bridge.compression`. What goes out describes
itself truly: pixel data made anew come with the attributes they then have. Where the header is of usual size and no
frame is left to compress, the exact length is known before the first byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from bridge.compression import compression
from bridge.decoding import Decoding
from bridge.derivation import Derivation
from bridge.encapsulating import Encapsulating
from bridge.errors import NotAcceptable
from bridge.extents import DataSetBytes, ExtentReader
from bridge.frames import FrameTable
from bridge.pixels import PixelPool
from bridge.rewrite import Encoding, Pixels, Produced, Reference, Segment, Walker
from bridge.syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    lookup,
)
from bridge.words import swapped

CHUNK_BYTES = 1 << 20
_PLANNED_BYTES = 4 << 20  # literal bytes looked at ahead; a longer header is sent without a known size
_PLAIN = frozenset({EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN})
_DEFLATE_LEVEL = 1  # of 9: a sender waits


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
    derivation: Derivation | None = None,
) -> Converted:
    """The data set in `target_uid`, chunks of at most 1 MiB (a frame comes in one). `derivation` says what a data set
    that loses something is derived from; the lossy targets need it.

    Raises NotAcceptable where the header or the first frames show already that there is no such representation; what
    shows later cuts the stream off with NotAcceptable or Unavailable.
    """
    stored = lookup(stored_uid)
    if stored is None or not stored.decodable:
        raise NotAcceptable(f"{stored.name if stored else stored_uid} cannot be converted")
    if stored.deflated and target_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return Converted(None, source.read(0, None))
    walker = Walker(
        source,
        Encoding(stored.explicit, stored.big_endian, stored.big_endian_pixels),
        Encoding(target_uid != IMPLICIT_VR_LITTLE_ENDIAN),
        _pixels(source, stored, target_uid, frame_table, pixels, derivation),
        pixel_representation=frame_table.description.pixel_representation if frame_table else 0,
    )
    segments = walker.segments()
    planned, complete = _plan(segments)
    chunks = _emitted(source, planned, segments)
    if target_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        return Converted(None, _deflated(chunks))
    return Converted(_total(planned) if complete else None, chunks)


def _pixels(
    source: DataSetBytes,
    stored: TransferSyntax,
    target_uid: str,
    frame_table: FrameTable | None,
    pool: PixelPool,
    derivation: Derivation | None,
) -> Pixels | None:
    """What is done with pixel data. Raises NotAcceptable for an image that the target cannot hold."""
    if target_uid in _PLAIN:
        return Decoding(source, stored, frame_table, pool) if stored.encapsulated else None
    row = compression(stored.uid, frame_table.description if frame_table else None, target_uid)
    if row is None or frame_table is None:
        target = lookup(target_uid)
        raise NotAcceptable(f"this instance cannot be sent as {target.name if target else target_uid}")
    return Encapsulating(source, stored, row, frame_table, pool, derivation)


def _deflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The whole data set deflated, with an even length (PS3.5 A.5)."""
    packer = zlib.compressobj(_DEFLATE_LEVEL, wbits=-zlib.MAX_WBITS)
    size = 0
    for chunk in chain(chunks, [None]):
        packed = packer.flush() if chunk is None else packer.compress(chunk)
        size += len(packed)
        if packed:
            yield packed
    if size % 2:
        yield b"\0"


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


def _total(segments: list[Segment]) -> int | None:
    """Bytes of all segments; None when one does not know."""
    total = 0
    for segment in segments:
        if isinstance(segment, bytes):
            total += len(segment)
        elif isinstance(segment, Reference):
            total += segment.length
        elif segment.size_bytes is None:
            return None
        else:
            total += segment.size_bytes
    return total
