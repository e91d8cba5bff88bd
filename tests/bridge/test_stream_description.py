"""What compressed images, picture files and videos say of themselves; hostile ones say nothing, and never more."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bridge.codestream import NoImage
from bridge.source import BufferSource
from bridge.stream_description import describe_stream
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN

GREY = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
DEEP = GREY.astype(np.uint16) * 100
JPEG = "1.2.840.10008.1.2.4."
TYPES = ("image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/png", "image/gif", "video/mp4", "video/mpeg2")


def saved(pixels: Any, form: str, **options: Any) -> bytes:
    """A picture file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def box(kind: bytes, *inside: bytes) -> bytes:
    """One MPEG-4 box."""
    body = b"".join(inside)
    return struct.pack(">I", 8 + len(body)) + kind + body


def movie(codec: bytes, configuration: bytes, *, frames: int = 25, before: bytes = b"") -> bytes:
    """An MPEG-4 file of one video track of 640 x 480, its index behind the data."""
    entry = bytes(24) + struct.pack(">HH", 640, 480) + bytes(50) + configuration
    sizes = box(b"stsz", bytes(8) + struct.pack(">I", frames))
    table = box(b"stbl", box(b"stsd", bytes(4) + struct.pack(">I", 1) + box(codec, entry)), sizes)
    track = box(b"trak", box(b"mdia", box(b"minf", table)))
    return box(b"ftyp", b"isom") + box(b"mdat", bytes(100)) + box(b"moov", before, track)


def h264(profile: int = 100, level: int = 41) -> bytes:
    return movie(b"avc1", box(b"avcC", bytes([1, profile, 0, level])))


def h265(profile: int = 1, level: int = 120) -> bytes:
    return movie(b"hvc1", box(b"hvcC", bytes([1, profile, *bytes(10), level])))


MPEG2 = b"\0\0\1\xb3" + bytes([720 >> 4, (720 & 15) << 4 | 576 >> 8, 576 & 255]) + bytes(20)


def saved_cmyk() -> bytes:
    file = io.BytesIO()
    Image.fromarray(COLOUR).convert("CMYK").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "stream", "syntax", "samples", "bits", "colour"),
    [
        ("image/jpeg", saved(GREY, "JPEG"), JPEG + "50", 1, 8, "MONOCHROME2"),
        ("image/jpeg", saved(COLOUR, "JPEG"), JPEG + "50", 3, 8, "YBR_FULL_422"),
        ("image/jpeg", saved(COLOUR, "JPEG", subsampling=0), JPEG + "50", 3, 8, "YBR_FULL"),
        ("image/jpeg", saved(COLOUR, "JPEG", keep_rgb=True), JPEG + "50", 3, 8, "RGB"),
        ("image/jpeg", saved(GREY, "JPEG", progressive=True), JPEG + "55", 1, 8, "MONOCHROME2"),
        ("image/jpeg", imagecodecs.ljpeg_encode(DEEP, bitspersample=16), JPEG + "57", 1, 16, "MONOCHROME2"),
        ("image/jls", imagecodecs.jpegls_encode(DEEP), JPEG + "80", 1, 14, "MONOCHROME2"),
        ("image/jls", imagecodecs.jpegls_encode(GREY, level=2), JPEG + "81", 1, 8, "MONOCHROME2"),
        ("image/jp2", imagecodecs.jpeg2k_encode(GREY, reversible=True), JPEG + "90", 1, 8, "MONOCHROME2"),
        ("image/jp2", imagecodecs.jpeg2k_encode(GREY, level=40, reversible=False), JPEG + "91", 1, 8, "MONOCHROME2"),
        ("image/jpx", imagecodecs.jpeg2k_encode(GREY, reversible=True), JPEG + "92", 1, 8, "MONOCHROME2"),
        ("image/jphc", imagecodecs.htj2k_encode(GREY), JPEG + "201", 1, 8, "MONOCHROME2"),
        ("image/png", saved(GREY, "PNG"), EXPLICIT_VR_LITTLE_ENDIAN, 1, 8, "MONOCHROME2"),
        ("image/png", saved(DEEP, "PNG"), EXPLICIT_VR_LITTLE_ENDIAN, 1, 16, "MONOCHROME2"),
        ("image/png", saved(COLOUR, "PNG"), EXPLICIT_VR_LITTLE_ENDIAN, 3, 8, "RGB"),
        ("image/gif", saved(GREY, "GIF"), EXPLICIT_VR_LITTLE_ENDIAN, 3, 8, "RGB"),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" in value else "",
)
def test_an_image_tells_its_size_and_syntax(
    kind: str, stream: bytes, syntax: str, samples: int, bits: int, colour: str
) -> None:
    found = describe_stream(kind, BufferSource(stream))
    assert found is not None
    assert (found.rows, found.columns) == (12, 10)
    assert (found.transfer_syntax_uid, found.samples_per_pixel) == (syntax, samples)
    assert found.photometric_interpretation == colour
    assert found.bits_allocated == (16 if bits > 8 else 8)


def test_a_jp2_file_is_kept_from_its_codestream_on() -> None:
    file = saved(COLOUR, "JPEG2000")
    found = describe_stream("image/jp2", BufferSource(file))
    assert found is not None
    assert file[found.start : found.start + 4] == b"\xff\x4f\xff\x51"
    assert found.start > 0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_picture_of_an_animation_is_a_frame(count: int) -> None:
    pictures = [Image.fromarray(COLOUR + number) for number in range(count)]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:])
    found = describe_stream("image/gif", BufferSource(file.getvalue()))
    assert found is not None
    assert found.frames == count


@pytest.mark.parametrize(
    ("kind", "stream", "syntax", "size", "frames"),
    [
        ("video/mp4", h264(), JPEG + "102", (480, 640), 25),
        ("video/mp4", h264(77, 31), JPEG + "102", (480, 640), 25),
        ("video/mp4", h264(100, 42), JPEG + "104", (480, 640), 25),
        ("video/mp4", h265(), JPEG + "107", (480, 640), 25),
        ("video/H265", h265(2), JPEG + "108", (480, 640), 25),
        ("video/mp4", movie(b"avc1", box(b"avcC", b"\1\x64\0\x29"), before=box(b"trak", box(b"mdia"))), JPEG + "102",
         (480, 640), 25),
        ("video/mpeg2", MPEG2, JPEG + "100", (576, 720), 0),
        ("video/mpeg2", b"\0\0\1\xb3" + bytes([1920 >> 4, (1920 & 15) << 4 | 1080 >> 8, 1080 & 255]), JPEG + "101",
         (1080, 1920), 0),
    ],
)  # fmt: skip
def test_a_video_tells_its_size_its_frames_and_its_level(
    kind: str, stream: bytes, syntax: str, size: tuple[int, int], frames: int
) -> None:
    found = describe_stream(kind, BufferSource(stream))
    assert found is not None
    assert (found.rows, found.columns) == size
    assert (found.transfer_syntax_uid, found.frames) == (syntax, frames)


@pytest.mark.parametrize(
    ("kind", "stream"),
    [
        *((kind, b"") for kind in TYPES),
        *((kind, b"\xff" * 300) for kind in TYPES),
        ("image/jpeg", saved(GREY, "PNG")),
        ("image/png", saved(GREY, "JPEG")),
        ("image/jpeg", saved(np.dstack([COLOUR, GREY]), "TIFF")),
        ("image/jpeg", saved_cmyk()),
        ("video/mp4", h264(110)),
        ("video/mp4", h264(100, 51)),
        ("video/mp4", h265(3)),
        ("video/mp4", movie(b"mp4v", b"")),
        ("video/mp4", struct.pack(">I", 0xFFFFFFFF) + b"moov"),
    ],
)
def test_what_is_of_another_type_or_has_no_transfer_syntax_is_no_image(kind: str, stream: bytes) -> None:
    with pytest.raises(NoImage):
        describe_stream(kind, BufferSource(stream))


@pytest.mark.parametrize("kind", ["image/jxl", "image/dicom-rle", "application/octet-stream", "text/plain"])
def test_types_that_say_nothing_are_not_guessed(kind: str) -> None:
    assert describe_stream(kind, BufferSource(b"x")) is None


STREAMS = [saved(GREY, "JPEG"), saved(COLOUR, "JPEG2000"), saved(COLOUR, "PNG"), saved(COLOUR, "GIF"), h264(), MPEG2]


@given(
    st.sampled_from(TYPES), st.sampled_from(STREAMS), st.lists(st.tuples(st.integers(0), st.integers(0, 255))),
    st.integers(0),
)  # fmt: skip
def test_broken_streams_are_described_or_refused_and_nothing_else(
    kind: str, stream: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    broken = bytearray(stream[: length % (len(stream) + 1)])
    for place, value in changes:
        if broken:
            broken[place % len(broken)] = value
    with contextlib.suppress(NoImage):
        describe_stream(kind, BufferSource(bytes(broken)))
