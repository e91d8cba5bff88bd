"""Pixel data on their way out as codestreams, and the attributes that describe them then (PS3.5 §8.2, A.4).

The first frames are compressed before anything is sent: they show whether the image can be compressed at all, and how
small it becomes. When they are all there are, as of most instances, the offset table and the size are exact too;
otherwise the frames that follow are compressed while they are sent, and the offset table stays empty.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from bridge.compression import Compression
from bridge.decoding import OFFSET_TABLES, Decoding, decoded_icon, padded, text
from bridge.derivation import CHANGED, FRAME_TYPE, Derivation
from bridge.errors import NotAcceptable
from bridge.extents import DataSetBytes
from bridge.frame_reader import codestreams, frame_count, native_frames
from bridge.frames import FrameTable
from bridge.pixel_job import decoded_photometric_interpretation
from bridge.pixels import PixelPool, decoded_frame_bits
from bridge.rewrite import PHOTOMETRIC_INTERPRETATION, PIXEL_DATA, PLANAR_CONFIGURATION, UNDEFINED, Produced, Walker
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax

AHEAD_BYTES = 32 << 20  # of native pixels that are compressed before the first byte is sent
_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


def encoded_frames(
    table: FrameTable,
    numbers: Sequence[int],
    source: DataSetBytes,
    stored_uid: str,
    target_uid: str,
    pool: PixelPool,
) -> Iterator[bytes]:
    """These frames as codestreams of `target_uid`, in order. Raises NotAcceptable."""
    if table.encapsulated:
        frames = codestreams(table, numbers, source)
    else:
        frames, stored_uid = native_frames(table, numbers, source), EXPLICIT_VR_LITTLE_ENDIAN
    joined = (b"".join(frame.chunks) for frame in frames)
    return pool.encode_all(joined, table.description, stored_uid, target_uid)


class Encapsulating(Decoding):
    """The pixel data become codestreams of one compression; icons are decoded where they have to be."""

    def __init__(
        self,
        source: DataSetBytes,
        stored: TransferSyntax,
        target: Compression,
        frame_table: FrameTable,
        pixels: PixelPool,
        derivation: Derivation | None,
    ) -> None:
        """Compress the first frames. Raises NotAcceptable."""
        super().__init__(source, stored, frame_table, pixels)
        self._image, self._target = frame_table, target
        self._derivation = derivation if target.method else None
        if target.method and derivation is None:
            raise NotAcceptable("what is compressed with loss must say what it comes from")
        self.watched = CHANGED if self._derivation else frozenset()
        count = frame_count(frame_table)
        if frame_table.description.number_of_frames > count:
            raise NotAcceptable("the frames of the compressed pixel data cannot be told apart")
        frames = encoded_frames(frame_table, range(1, count + 1), source, stored.uid, target.uid, pixels)
        frame_bytes = decoded_frame_bits(frame_table.description) // 8
        ahead = min(count, max(1, AHEAD_BYTES // frame_bytes))
        self._first = [frame for _, frame in zip(range(ahead), frames, strict=False)]
        self._rest = frames if ahead < count else None
        self._ratio = frame_bytes * len(self._first) / sum(map(len, self._first))

    def dropped(self, tag: int, *, nested: bool) -> bool:
        """See Pixels."""
        return not nested and tag in OFFSET_TABLES

    def changed(self, walker: Walker, tag: int, value: bytes, following: int, *, nested: bool) -> bytes:
        """See Pixels."""
        if self._derivation is not None and (tag == FRAME_TYPE if nested else tag in CHANGED):
            return self._derivation.changed(tag, value, self._ratio, self._target.method)
        if nested:
            return super().changed(walker, tag, value, following, nested=True) if self._image.encapsulated else value
        if tag == PLANAR_CONFIGURATION:
            return b"\0\0"
        if tag == PHOTOMETRIC_INTERPRETATION:
            native = (
                decoded_photometric_interpretation(self._uid, text(value)) if self._image.encapsulated else text(value)
            )
            return padded(self._target.photometric_of(native).encode("ascii"), b" ")
        return value

    def inserted(self) -> Mapping[int, tuple[str, bytes]]:
        """See Pixels."""
        colour = self._image.description.samples_per_pixel > 1
        planar = {PLANAR_CONFIGURATION: ("US", b"\0\0")} if colour else {}
        if self._derivation is None:
            return planar
        return {**planar, **self._derivation.inserted(self._ratio, self._target.method)}

    def replaces(self, tag: int, length: int, *, nested: bool) -> bool:
        """All pixel data but native icons, which may stay native (PS3.5 A.4)."""
        return tag == PIXEL_DATA and (not nested or length == UNDEFINED)

    def replaced(self, walker: Walker, value: int, *, nested: bool) -> tuple[Produced, int | None]:
        """See Pixels."""
        if nested:
            return decoded_icon(walker, value, self._source, self._uid, self._pool)
        table = self._image
        if table.offset != value:
            raise NotAcceptable("the pixel data is not where the index says")
        size = None
        if self._rest is None:
            size = 8 + 4 * len(self._first) + sum(8 + len(frame) + len(frame) % 2 for frame in self._first) + 8
        return Produced("OB", size, self._encapsulated, encapsulated=True), table.offset + table.length

    def _encapsulated(self) -> Iterator[bytes]:
        """Offset table, one fragment a frame, delimiter (PS3.5 A.4)."""
        first, self._first = self._first, []
        offsets: list[int] = []
        if self._rest is None:
            position = 0
            for frame in first:
                offsets.append(position)
                position += 8 + len(frame) + len(frame) % 2
        yield _ITEM + struct.pack(f"<{len(offsets) + 1}I", 4 * len(offsets), *offsets)
        for frame in chain(first, self._rest or ()):
            yield _ITEM + struct.pack("<I", len(frame) + len(frame) % 2)
            yield frame + b"\0" if len(frame) % 2 else frame
        yield _SEQUENCE_END
