"""What a compressed image, picture file or video says of itself: the Image Pixel attributes and its transfer syntax.

For senders without DICOM, whose metadata leave out what the stream tells anyway (PS3.18 §10.5.1.4). Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.codestream import Jpeg2000Header, JpegHeader, NoImage
from bridge.source import Source
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, lookup
from bridge.video_files import mpeg2_video, mpeg4_video

_HEADER_BYTES = 1 << 20  # of a codestream: colour profiles and the like may stand before the image
_JPEG = "1.2.840.10008.1.2.4."
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES = {
    0: 1,
    2: 3,
    3: 3,
    4: 1,
    6: 3,
}  # colour type -> samples; palettes become colours, transparency is dropped
_GIF_HEADERS = (b"GIF87a", b"GIF89a")

# ISO 10918-1 Table B.1: marker of the frame -> transfer syntax; lossless ones depend on the predictor
_JPEG_PROCESSES = {0xC0: "50", 0xC1: "51", 0xC2: "55"}
_LOSSLESS_JPEG, _FIRST_ORDER_PREDICTOR = 0xC3, 1

# PS3.3 §C.7.6.1.1.5.1
LOSSY_METHODS = {
    "image/jpeg": "ISO_10918_1", "image/jls": "ISO_14495_1", "image/jp2": "ISO_15444_1", "image/jpx": "ISO_15444_1",
    "image/jphc": "ISO_15444_15", "image/jxl": "ISO_18181_1", "video/mpeg2": "ISO_13818_2",
    "video/mp4": "ISO_14496_10", "video/H265": "ISO_23008_2",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDescription:
    """One stream. `start` is where the part that is kept begins; `frames` 0 when the stream does not tell."""

    transfer_syntax_uid: str
    rows: int
    columns: int
    samples_per_pixel: int
    bits_stored: int
    photometric_interpretation: str
    pixel_representation: int = 0
    frames: int = 1
    start: int = 0
    colour_is_certain: bool = True  # else the sender knows better

    @property
    def bits_allocated(self) -> int:
        """Whole bytes."""
        return 8 if self.bits_stored <= 8 else 16


def describe_stream(media_type: str, stream: Source) -> StreamDescription | None:
    """What a stream says; None for types that say nothing. Raises NoImage when it is not of this type."""
    reader = _READERS.get(media_type)
    return reader(stream) if reader else None


def _jpeg(stream: Source) -> StreamDescription:
    header = JpegHeader(stream.read(0, _HEADER_BYTES))
    if header.marker == _LOSSLESS_JPEG:
        process = "70" if header.scan_parameter() == _FIRST_ORDER_PREDICTOR else "57"
    elif header.marker in _JPEG_PROCESSES:
        process = _JPEG_PROCESSES[header.marker]
    else:
        raise NoImage("this kind of JPEG has no transfer syntax in use")
    untransformed = header.lossless or header.adobe_transform == 0 or header.component_ids == b"RGB"
    colour = "RGB" if untransformed else "YBR_FULL_422" if header.is_subsampled else "YBR_FULL"
    told = untransformed or header.is_jfif or header.adobe_transform is not None
    return replace(_image(_JPEG + process, header, colour), colour_is_certain=told)


def _jpeg_ls(stream: Source) -> StreamDescription:
    header = JpegHeader(stream.read(0, _HEADER_BYTES))
    return _image(_JPEG + ("81" if header.scan_parameter() else "80"), header, "RGB")


def _jpeg_2000(stream: Source) -> StreamDescription:
    """JPEG 2000 Part 1, or High-Throughput where the codestream says so."""
    header = Jpeg2000Header(stream.read(0, _HEADER_BYTES))
    lossless, lossy = ("201", "203") if header.high_throughput else ("90", "91")
    colour = "RGB" if not header.transformed else "YBR_RCT" if header.reversible else "YBR_ICT"
    found = _image(_JPEG + (lossless if header.reversible else lossy), header, colour)
    return replace(found, pixel_representation=int(header.signed), start=header.start)


def _jpeg_2000_part_2(stream: Source) -> StreamDescription:
    found = _jpeg_2000(stream)
    part_2 = {_JPEG + "90": _JPEG + "92", _JPEG + "91": _JPEG + "93"}
    return replace(found, transfer_syntax_uid=part_2.get(found.transfer_syntax_uid, found.transfer_syntax_uid))


def _png(stream: Source) -> StreamDescription:
    """ISO 15948 §11.2.2: converted without loss, so it is native here."""
    head = stream.read(0, 26)
    if len(head) < 26 or not head.startswith(_PNG_SIGNATURE) or head[12:16] != b"IHDR" or head[25] not in _PNG_SAMPLES:
        raise NoImage("this is no PNG file")
    columns, rows, depth = struct.unpack(">IIB", head[16:25])
    return _native(rows, columns, _PNG_SAMPLES[head[25]], 16 if depth == 16 and head[25] != 3 else 8)


def _gif(stream: Source) -> StreamDescription:
    """GIF 89a §18 to §23: every picture of an animation is a frame."""
    data = stream.read(0, stream.size)
    if data[:6] not in _GIF_HEADERS or len(data) < 13:
        raise NoImage("this is no GIF file")
    columns, rows, flags = struct.unpack("<HHB", data[6:11])
    position, frames = 13 + _table_bytes(flags), 0
    while position < len(data) and data[position] in (0x21, 0x2C):
        if data[position] == 0x2C:
            frames += 1
            position += 11 + _table_bytes(data[position + 9] if position + 9 < len(data) else 0)
        else:
            position += 2
        while position < len(data) and data[position]:  # sub-blocks
            position += 1 + data[position]
        position += 1
    return replace(_native(rows, columns, 3, 8), frames=frames)


def _table_bytes(flags: int) -> int:
    """The size of a colour table, by the packed field that announces it."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _mpeg4(stream: Source) -> StreamDescription:
    video = mpeg4_video(stream)
    return _video(video.transfer_syntax_uid, video.rows, video.columns, video.frames)


def _mpeg2(stream: Source) -> StreamDescription:
    video = mpeg2_video(stream)
    return _video(video.transfer_syntax_uid, video.rows, video.columns, video.frames)


def _video(transfer_syntax_uid: str, rows: int, columns: int, frames: int) -> StreamDescription:
    return StreamDescription(
        transfer_syntax_uid=transfer_syntax_uid, rows=rows, columns=columns, samples_per_pixel=3, bits_stored=8,
        photometric_interpretation="YBR_PARTIAL_420", frames=frames,
    )  # fmt: skip


def _image(uid: str, header: JpegHeader | Jpeg2000Header, colour: str) -> StreamDescription:
    if header.components not in (1, 3) or not header.rows or not header.columns or header.precision > 16:
        raise NoImage("the image has no size, or is neither grey nor of three colours")
    return StreamDescription(
        transfer_syntax_uid=uid, rows=header.rows, columns=header.columns, samples_per_pixel=header.components,
        bits_stored=header.precision,
        photometric_interpretation=colour if header.components == 3 else "MONOCHROME2",
    )  # fmt: skip


def _native(rows: int, columns: int, samples: int, bits: int) -> StreamDescription:
    if not rows or not columns:
        raise NoImage("the picture has no size")
    return StreamDescription(
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN, rows=rows, columns=columns, samples_per_pixel=samples,
        bits_stored=bits, photometric_interpretation="RGB" if samples == 3 else "MONOCHROME2",
    )  # fmt: skip


_READERS: dict[str, Callable[[Source], StreamDescription]] = {
    "image/jpeg": _jpeg,
    "image/jls": _jpeg_ls,
    "image/jp2": _jpeg_2000,
    "image/jpx": _jpeg_2000_part_2,
    "image/jphc": _jpeg_2000,
    "image/png": _png,
    "image/gif": _gif,
    "video/mp4": _mpeg4,
    "video/H265": _mpeg4,
    "video/mpeg2": _mpeg2,
}


def is_lossy(transfer_syntax_uid: str) -> bool:
    """Whether images of this syntax have lost something."""
    known = lookup(transfer_syntax_uid)
    return known is not None and known.lossy
