"""Pixel data that came as parts beside their metadata: kept as they are or converted without loss, and described.

Compressed images and videos are encapsulated (PS3.5 A.4), raw pixels stay native, PNG and GIF become native
(PS3.18 §10.5.1.4, Table 10.5.2-1). Attributes that the metadata leave out are taken from the stream; where the two
contradict each other the instance is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from bridge.bulk_parts import BulkPart
from bridge.codestream import NoImage
from bridge.compose import Document
from bridge.element_writer import SEQUENCE_END, UNDEFINED, header, refusal
from bridge.errors import NotAcceptable, SyntaxNotSupported
from bridge.image_module import (
    BITS_ALLOCATED,
    NUMBER_OF_FRAMES,
    PIXEL_DATA,
    completed,
    description,
    number,
    require,
)
from bridge.pixels import PixelPool
from bridge.stream_description import StreamDescription, describe_stream, is_lossy
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, OCTETS, RLE_LOSSLESS, STORABLE

_FRAGMENT_BYTES = 1 << 31  # of a video: fragments have a 32-bit length
_PICTURE_FILES = ("image/png", "image/gif")
_ONLY_SYNTAX = {"image/dicom-rle": RLE_LOSSLESS}  # of types whose streams do not tell
_PICTURE_FILE_BYTES = 64 << 20  # they are converted in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelParts:
    """The pixel data of one instance. `document` has all that describes them."""

    transfer_syntax_uid: str
    document: Document
    parts: Sequence[BulkPart]
    encapsulated: bool
    starts: Sequence[int] = ()  # of the codestream in each part
    native: bytes | None = field(default=None, repr=False)  # converted ones

    def element(self) -> Iterator[bytes]:
        """(7FE0,0010), whole. Raises InvalidInstance."""
        if self.encapsulated:
            return self._fragments()
        return self._native()

    def _native(self) -> Iterator[bytes]:
        vr = "OW" if number(self.document, BITS_ALLOCATED) > 8 else "OB"
        length = len(self.native) if self.native is not None else sum(part.size for part in self.parts)
        if length >= UNDEFINED - 1:
            raise refusal(PIXEL_DATA, "the value is longer than an element can be")
        yield header(PIXEL_DATA, vr, length + length % 2)
        if self.native is not None:
            yield self.native
        else:
            for part in self.parts:
                yield from part.chunks()
        if length % 2:
            yield b"\0"

    def _fragments(self) -> Iterator[bytes]:
        """Every part is a frame, and has a fragment of its own; a long video has several (PS3.5 A.4)."""
        yield header(PIXEL_DATA, "OB", UNDEFINED)
        frames = [(part, start, part.size) for part, start in zip(self.parts, self.starts, strict=True)]
        yield _item(_offset_table([end - start for _, start, end in frames]))
        for part, start, end in frames:
            for first in range(start, end, _FRAGMENT_BYTES):
                last = min(end, first + _FRAGMENT_BYTES)
                yield struct.pack("<HHI", 0xFFFE, 0xE000, last - first + (last - first) % 2)
                yield from part.chunks(first, last)
                yield b"\0" * ((last - first) % 2)
        yield SEQUENCE_END


def pixel_parts(document: Document, parts: Sequence[BulkPart], pool: PixelPool) -> PixelParts:
    """What becomes of the parts. Raises InvalidInstance, SyntaxNotSupported, and Unavailable when codecs are busy."""
    if not parts:
        raise refusal(PIXEL_DATA, "its bulk data are not among the parts")
    media_type = parts[0].media_type
    if any(part.media_type != media_type for part in parts):
        raise refusal(PIXEL_DATA, "its frames are of different types")
    if media_type in _PICTURE_FILES and parts[0].size > _PICTURE_FILE_BYTES:
        raise refusal(PIXEL_DATA, f"a picture file may have {_PICTURE_FILE_BYTES} bytes")
    try:
        found = [describe_stream(media_type, part) for part in parts]
    except NoImage as error:
        raise refusal(PIXEL_DATA, str(error)) from error
    first = found[0]
    if any(other is not None and replace(other, start=0) != _like(first) for other in found):
        raise refusal(PIXEL_DATA, "its frames are not alike")
    if media_type == OCTETS and parts[0].transfer_syntax_uid in ("", EXPLICIT_VR_LITTLE_ENDIAN):
        require(document)
        return _checked_native(document, parts)
    if media_type in _PICTURE_FILES and first is not None:
        return _converted(document, parts, first, pool)
    uid = _transfer_syntax(parts[0], first)
    described = completed(document, first, frames=len(parts), lossy=is_lossy(uid), media_type=media_type)
    starts = [description.start if description else 0 for description in found]
    return PixelParts(transfer_syntax_uid=uid, document=described, parts=parts, encapsulated=True, starts=starts)


def _like(found: StreamDescription | None) -> StreamDescription | None:
    return found and replace(found, start=0)


def _transfer_syntax(part: BulkPart, found: StreamDescription | None) -> str:
    """As the sender says, if the stream can be that; else as the stream says."""
    if found is not None and not part.transfer_syntax_uid:
        return found.transfer_syntax_uid
    uid = part.transfer_syntax_uid or _ONLY_SYNTAX.get(part.media_type, "")
    known = STORABLE.get(uid)
    if known is None or not known.encapsulated:
        raise SyntaxNotSupported(f"there is no transfer syntax for pixel data of type {part.media_type}")
    if known.media_type != part.media_type:
        raise SyntaxNotSupported(f"transfer syntax {uid} does not hold {part.media_type}")
    if found is not None and is_lossy(found.transfer_syntax_uid) and not known.lossy:
        raise SyntaxNotSupported(f"transfer syntax {uid} is lossless, the pixel data are not")
    return uid


def _checked_native(document: Document, parts: Sequence[BulkPart]) -> PixelParts:
    """Raw pixels, in one part or a part a frame; as many as the metadata say."""
    frame_bits = description(document).frame_bits
    expected = (frame_bits * max(1, number(document, NUMBER_OF_FRAMES)) + 7) // 8
    size = sum(part.size for part in parts)
    if size - expected not in (0, expected % 2):
        raise refusal(PIXEL_DATA, f"there are {size} bytes where the image has {expected}")
    return PixelParts(transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN, document=document, parts=parts, encapsulated=False)


def _converted(document: Document, parts: Sequence[BulkPart], found: StreamDescription, pool: PixelPool) -> PixelParts:
    """A PNG or GIF file as native pixels; an animation's pictures are decoded as one tall one."""
    if len(parts) != 1 or not found.frames:
        raise refusal(PIXEL_DATA, "a picture file comes alone, and with a picture in it")
    described = completed(document, found, frames=found.frames)
    tall = replace(description(described), rows=found.rows * found.frames)
    try:
        native = pool.decode(parts[0].read(0, parts[0].size), tall, parts[0].media_type)
    except NotAcceptable as error:
        raise refusal(PIXEL_DATA, str(error)) from error
    return PixelParts(
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN, document=described, parts=parts, encapsulated=False,
        native=native,
    )  # fmt: skip


def _item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def _offset_table(sizes: Sequence[int]) -> bytes:
    """The Basic Offset Table (PS3.5 §A.4); empty for one frame, or when an offset would pass 32 bits."""
    offsets, at = [], 0
    for size in sizes:
        offsets.append(at)
        at += 8 + size + size % 2
    return struct.pack(f"<{len(offsets)}I", *offsets) if len(offsets) > 1 and offsets[-1] <= 0xFFFFFFFF else b""
