"""Codecs: one frame's codestream -> native frame (PS3.5 §8.2, Annexes A.4 and G). Imports imagecodecs, as `encoders`.

Runs inside a codec worker only. A stream that is broken or contradicts its description is Undecodable, never guessed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from bridge.pixel_job import Job

Samples = NDArray[Any]
_JPEG = "1.2.840.10008.1.2.4."
_ADOBE_YCBCR = 1  # APP14 transform: 0 is untransformed
_END = b"\xff\xd9"  # EOI of ISO 10918-1, EOC of ISO 15444-1; neither can stand inside coded data


class Undecodable(Exception):
    """One sentence for the peer: why this frame has no native form."""


def decode(job: Job, codestream: bytes | bytearray) -> bytes:
    """The frame as native little-endian bytes, samples interleaved, exactly `job.frame_bytes`. Raises Undecodable."""
    decoder = _DECODERS.get(job.transfer_syntax_uid)
    if decoder is None:
        raise Undecodable("there is no codec for this transfer syntax")
    try:
        return decoder(job, bytes(codestream))
    except (RuntimeError, ValueError, zlib.error) as error:  # imagecodecs' errors are RuntimeErrors
        raise Undecodable("the compressed frame is broken") from error


def _jpeg(job: Job, codestream: bytes) -> bytes:
    """ISO 10918-1, lossy and lossless, 2 to 16 bits."""
    header = _JpegHeader(codestream)
    if codestream.rfind(_END) < header.position:
        raise Undecodable("the compressed frame is cut off")  # the codec would fill up with grey
    _check_size(job, header.rows, header.columns, header.components)
    colorspace = outcolorspace = None
    if job.samples_per_pixel == 3:
        colorspace = outcolorspace = "RGB"
        ycbcr = job.photometric_interpretation.startswith("YBR")
        if header.adobe_transform is not None:
            ycbcr = header.adobe_transform == _ADOBE_YCBCR
        if ycbcr and not header.lossless:
            colorspace = "YCBCR"
    samples = imagecodecs.jpeg8_decode(codestream, colorspace=colorspace, outcolorspace=outcolorspace)
    return _native(job, samples, header.precision, signed=False)


def _jpeg_ls(job: Job, codestream: bytes) -> bytes:
    """ISO 14495-1."""
    header = _JpegHeader(codestream)
    _check_size(job, header.rows, header.columns, header.components)
    return _native(job, imagecodecs.jpegls_decode(codestream), header.precision, signed=False)


def _jpeg_2000(job: Job, codestream: bytes) -> bytes:
    """ISO 15444-1 and what of -2 the codec reads."""
    precision, signed = _codestream_parameters(job, codestream)
    return _native(job, imagecodecs.jpeg2k_decode(codestream, numthreads=1, planar=False), precision, signed=signed)


def _htj2k(job: Job, codestream: bytes) -> bytes:
    """ISO 15444-15."""
    if _END not in codestream[-16:]:
        raise Undecodable("the compressed frame is cut off")  # the codec would fill up with zeros
    precision, signed = _codestream_parameters(job, codestream)
    return _native(job, imagecodecs.htj2k_decode(codestream, planar=False), precision, signed=signed)


def _jpeg_xl(job: Job, codestream: bytes) -> bytes:
    """ISO 18181-1."""
    samples = imagecodecs.jpegxl_decode(codestream, numthreads=1)
    return _native(job, samples, job.bits_stored, signed=False)


def _rle(job: Job, codestream: bytes) -> bytes:
    """PS3.5 Annex G: one PackBits segment per byte of a composite pixel, the most significant byte first."""
    width = job.bits_allocated // 8
    pixels = job.rows * job.columns
    segments = job.samples_per_pixel * width
    offsets = np.frombuffer(codestream[:64].ljust(64, b"\0"), "<u4")
    if width == 0 or int(offsets[0]) != segments or segments > 15:
        raise Undecodable("the RLE header does not fit the image")
    bounds = [*offsets[1 : segments + 1].tolist(), len(codestream)]
    frame = np.empty((pixels, job.samples_per_pixel, width), np.uint8)
    for segment in range(segments):
        start, end = bounds[segment], bounds[segment + 1]
        if not 64 <= start <= end:
            raise Undecodable("an RLE segment lies outside its frame")
        plane = imagecodecs.packbits_decode(codestream[start:end])
        if len(plane) < pixels:
            raise Undecodable("an RLE segment is shorter than the image")
        frame[:, segment // width, width - 1 - segment % width] = np.frombuffer(plane, np.uint8, pixels)
    return frame.tobytes()


def _deflated_frame(job: Job, codestream: bytes) -> bytes:
    """PS3.5 A.4.13: a native frame, deflated on its own."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    return _exact(job, inflater.decompress(codestream, job.frame_bytes + 2))


def _uncompressed(job: Job, codestream: bytes) -> bytes:
    """PS3.5 A.4.11: a native frame as it is."""
    return _exact(job, codestream)


def _native_frame(job: Job, frame: bytes) -> bytes:
    """PS3.5 §8.1, on its way to an encoder: colour by plane becomes colour by pixel (PS3.3 §C.7.6.3.1.3)."""
    frame = _exact(job, frame)
    if job.planar_configuration != 1 or job.samples_per_pixel == 1:
        return frame
    planes = np.frombuffer(frame, f"u{job.bits_allocated // 8}").reshape(job.samples_per_pixel, -1)
    return planes.T.tobytes()


_DECODERS: dict[str, Callable[[Job, bytes], bytes]] = {
    **dict.fromkeys((_JPEG + suffix for suffix in ("50", "51", "53", "55", "57", "70")), _jpeg),
    **dict.fromkeys((_JPEG + suffix for suffix in ("80", "81")), _jpeg_ls),
    **dict.fromkeys((_JPEG + suffix for suffix in ("90", "91", "92", "93")), _jpeg_2000),
    **dict.fromkeys((_JPEG + suffix for suffix in ("201", "202", "203")), _htj2k),
    **dict.fromkeys((_JPEG + suffix for suffix in ("110", "111", "112")), _jpeg_xl),
    "1.2.840.10008.1.2.5": _rle,
    "1.2.840.10008.1.2.8.1": _deflated_frame,
    "1.2.840.10008.1.2.1.98": _uncompressed,
    "1.2.840.10008.1.2.1": _native_frame,
}


def _native(job: Job, samples: Samples, precision: int, *, signed: bool) -> bytes:
    """Samples as the codec gives them -> the words the description promises.

    Values of signed images are sign-extended from the stream's precision, whatever sign the stream claims: encoders
    often write two's complement into an unsigned stream.
    """
    shape = (job.rows, job.columns) + ((job.samples_per_pixel,) if job.samples_per_pixel > 1 else ())
    if samples.shape not in (shape, (*shape, 1)):
        raise Undecodable("the compressed frame has another size than the image")
    if job.bits_allocated == 1:
        return np.packbits(samples != 0, bitorder="little").tobytes()
    width = job.bits_allocated // 8
    if width not in (1, 2, 4) or precision > job.bits_allocated:
        raise Undecodable("the compressed frame has more bits than the image allows")
    words = samples.astype(f"<u{width}", copy=False)
    missing = job.bits_allocated - precision
    if job.pixel_representation == 1 and not signed and missing:
        words = (words << missing).view(f"<i{width}") >> missing
    return words.tobytes()


def _exact(job: Job, frame: bytes) -> bytes:
    """A frame of the right size, its pad byte dropped."""
    if len(frame) - job.frame_bytes not in (0, job.frame_bytes % 2):
        raise Undecodable("the compressed frame has another size than the image")
    return frame[: job.frame_bytes]


def _check_size(job: Job, rows: int, columns: int, components: int) -> None:
    """Refuse a stream that disagrees with its description before anything is allocated for it."""
    if (rows, columns, components) != (job.rows, job.columns, job.samples_per_pixel):
        raise Undecodable("the compressed frame has another size than the image")


class _JpegHeader:
    """What the marker segments of a JPEG or JPEG-LS stream say (ISO 10918-1 B.2.2). Raises Undecodable."""

    _FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7))

    def __init__(self, stream: bytes) -> None:
        self.adobe_transform: int | None = None
        position = 2
        while True:
            position = stream.find(b"\xff", position)
            if position < 0 or position + 4 > len(stream):
                raise Undecodable("the compressed frame has no image in it")
            marker = stream[position + 1]
            if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:  # fill bytes and markers without a segment
                position += 1 if marker == 0xFF else 2
                continue
            segment = stream[position + 4 : position + 2 + int.from_bytes(stream[position + 2 : position + 4], "big")]
            if marker == 0xEE and segment[:5] == b"Adobe" and len(segment) >= 12:
                self.adobe_transform = segment[11]
            if marker in self._FRAMES and len(segment) >= 6:
                break
            position += 4 + len(segment)
        self.position = position
        self.lossless = marker in (0xC3, 0xC7, 0xCB, 0xCF)
        self.precision = segment[0]
        self.rows = int.from_bytes(segment[1:3], "big")
        self.columns = int.from_bytes(segment[3:5], "big")
        self.components = segment[5]


def _codestream_parameters(job: Job, stream: bytes) -> tuple[int, bool]:
    """(precision, signed?) of a JPEG 2000 codestream, bare or in a JP2 box (ISO 15444-1 A.5.1). Raises Undecodable."""
    start = stream.find(b"\xff\x4f\xff\x51")
    size = stream[start + 6 : start + 43]
    if start < 0 or len(size) < 37:
        raise Undecodable("the compressed frame has no image in it")
    right, bottom, left, top = (int.from_bytes(size[at : at + 4], "big") for at in (2, 6, 10, 14))
    _check_size(job, bottom - top, right - left, int.from_bytes(size[34:36], "big"))
    return (size[36] & 0x7F) + 1, bool(size[36] & 0x80)
