"""What a video file says of itself: MPEG-4 boxes (ISO 14496-12, -15), MPEG-2 sequence header (ISO 13818-2). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.codestream import NoImage
from bridge.source import Source

_JPEG = "1.2.840.10008.1.2.4."  # the branch that videos hang on too
_BOX_LIMIT = 10_000  # boxes looked at in one file
_ENTRY_BYTES = 86  # of a VisualSampleEntry, before the boxes in it (ISO 14496-12 §12.1.3)
_SEQUENCE_HEADER = b"\0\0\1\xb3"
_MAIN_LEVEL = (720, 576)  # columns and rows of MPEG-2 Main Level
_HEADER_BYTES = 1 << 16

# PS3.5 §8.2.7 to §8.2.11: H.264 levels, times ten, up to which a syntax goes; HEVC profiles
_H264_PROFILES = (66, 77, 100)  # baseline, main, high: what a High Profile decoder decodes
_H264_LEVELS = ((41, "102"), (42, "104"))
_HEVC_PROFILES = {1: "107", 2: "108"}
_HEVC_LEVEL = 153  # 5.1, times thirty


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """One video track. `frames` 0 when the file does not tell."""

    transfer_syntax_uid: str
    rows: int
    columns: int
    frames: int


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int  # of what it holds
    end: int


def mpeg4_video(stream: Source) -> Video:
    """The first video track of an MPEG-4 file. Raises NoImage when there is none that DICOM has a syntax for."""
    for track in _inside(stream, _Box(b"", 0, stream.size), b"moov", b"trak"):
        for table in _inside(stream, track, b"mdia", b"minf", b"stbl"):
            for description in _boxes(stream, table.start, table.end):
                if description.kind == b"stsd":
                    for entry in _boxes(stream, description.start + 8, description.end):
                        if entry.kind in (b"avc1", b"avc3", b"hvc1", b"hev1"):
                            return _track(stream, table, entry)
    raise NoImage("this is no MPEG-4 file with an H.264 or H.265 video")


def mpeg2_video(stream: Source) -> Video:
    """The size of an MPEG-2 video, by its first sequence header. Raises NoImage without one."""
    head = stream.read(0, _HEADER_BYTES)
    at = head.find(_SEQUENCE_HEADER)
    size = head[at + 4 : at + 7]
    if at < 0 or len(size) < 3:
        raise NoImage("this is no MPEG-2 video")
    columns, rows = size[0] << 4 | size[1] >> 4, (size[1] & 15) << 8 | size[2]
    main = columns <= _MAIN_LEVEL[0] and rows <= _MAIN_LEVEL[1]
    return Video(transfer_syntax_uid=_JPEG + ("100" if main else "101"), rows=rows, columns=columns, frames=0)


def _track(stream: Source, table: _Box, entry: _Box) -> Video:
    columns, rows = struct.unpack(">HH", stream.read(entry.start + 24, 4).rjust(4, b"\0"))
    suffix = None
    for box in _boxes(stream, entry.start + _ENTRY_BYTES - 8, entry.end):
        if box.kind == b"avcC":
            suffix = _h264(stream.read(box.start, 4))
        elif box.kind == b"hvcC":
            suffix = _hevc(stream.read(box.start, 13))
    if suffix is None or not rows or not columns:
        raise NoImage("the profile or level of the video has no transfer syntax")
    return Video(transfer_syntax_uid=_JPEG + suffix, rows=rows, columns=columns, frames=_frames(stream, table))


def _h264(configuration: bytes) -> str | None:
    """AVCDecoderConfigurationRecord (ISO 14496-15 §5.3.3)."""
    if len(configuration) < 4 or configuration[1] not in _H264_PROFILES:
        return None
    return next((suffix for level, suffix in _H264_LEVELS if configuration[3] <= level), None)


def _hevc(configuration: bytes) -> str | None:
    """HEVCDecoderConfigurationRecord (ISO 14496-15 §8.3.3)."""
    if len(configuration) < 13 or configuration[12] > _HEVC_LEVEL:
        return None
    return _HEVC_PROFILES.get(configuration[1] & 31)


def _frames(stream: Source, table: _Box) -> int:
    """Samples of the track: the count in its size table (ISO 14496-12 §8.7.3)."""
    for box in _boxes(stream, table.start, table.end):
        if box.kind == b"stsz":
            count = stream.read(box.start + 8, 4)
            return int.from_bytes(count, "big") if len(count) == 4 else 0
    return 0


def _inside(stream: Source, outer: _Box, *path: bytes) -> Iterator[_Box]:
    """The boxes at a path of kinds."""
    for box in _boxes(stream, outer.start, outer.end):
        if box.kind == path[0]:
            if len(path) == 1:
                yield box
            else:
                yield from _inside(stream, box, *path[1:])


def _boxes(stream: Source, start: int, end: int) -> Iterator[_Box]:
    """The boxes that follow each other in a range (ISO 14496-12 §4.2)."""
    for _ in range(_BOX_LIMIT):
        head = stream.read(start, 16)
        if start >= end or len(head) < 8:
            return
        size, header_bytes = int.from_bytes(head[:4], "big"), 8
        if size == 1 and len(head) == 16:
            size, header_bytes = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = end - start
        if size < header_bytes or start + size > end:
            return
        yield _Box(head[4:8], start + header_bytes, start + size)
        start += size
