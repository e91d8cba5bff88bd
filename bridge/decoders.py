"""Codecs: one frame's codestream -> native frame (PS3.5 §8.2, Annexes A.4 and G). Imports imagecodecs, as `encoders`.

Runs inside a codec worker only. A stream that is broken or contradicts its description is Undecodable, never guessed.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from bridge.codestream import Jpeg2000Header, JpegHeader, NoImage
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
    except NoImage as error:
        raise Undecodable(str(error)) from error
    except (RuntimeError, ValueError, zlib.error) as error:  # imagecodecs' errors are RuntimeErrors
        raise Undecodable("the compressed frame is broken") from error


def _jpeg(job: Job, codestream: bytes) -> bytes:
    """ISO 10918-1, lossy and lossless, 2 to 16 bits."""
    header = JpegHeader(codestream)
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
    header = JpegHeader(codestream)
    _check_size(job, header.rows, header.columns, header.components)
    return _native(job, imagecodecs.jpegls_decode(codestream), header.precision, signed=False)


def _jpeg_2000(job: Job, codestream: bytes) -> bytes:
    """ISO 15444-1 and what of -2 the codec reads."""
    precision, signed = _codestream_parameters(job, codestream)
    samples = imagecodecs.jpeg2k_decode(codestream, numthreads=job.threads, planar=False)
    return _native(job, samples, precision, signed=signed)


def _htj2k(job: Job, codestream: bytes) -> bytes:
    """ISO 15444-15."""
    if _END not in codestream[-16:]:
        raise Undecodable("the compressed frame is cut off")  # the codec would fill up with zeros
    precision, signed = _codestream_parameters(job, codestream)
    return _native(job, imagecodecs.htj2k_decode(codestream, planar=False), precision, signed=signed)


def _jpeg_xl(job: Job, codestream: bytes) -> bytes:
    """ISO 18181-1."""
    samples = imagecodecs.jpegxl_decode(codestream, numthreads=job.threads)
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


def _png(job: Job, file: bytes) -> bytes:
    """ISO 15948: a palette becomes its colours, what is transparent loses that."""
    samples = imagecodecs.png_decode(file)
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        samples = samples[..., :-1]
    if samples.ndim == 2 and job.samples_per_pixel == 3:  # a grey palette
        samples = np.repeat(samples[..., None], 3, axis=2)
    return _native(job, samples, 8 * samples.itemsize, signed=False)


def _gif(job: Job, file: bytes) -> bytes:
    """GIF 89a: all pictures, one below the other, as a player shows them."""
    try:
        with Image.open(io.BytesIO(file), formats=["GIF"]) as pictures:
            if pictures.width != job.columns or pictures.height * getattr(pictures, "n_frames", 1) != job.rows:
                raise Undecodable("the compressed frame has another size than the image")
            return b"".join(picture.convert("RGB").tobytes() for picture in ImageSequence.Iterator(pictures))
    except (OSError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise Undecodable("the compressed frame is broken") from error


_DECODERS: dict[str, Callable[[Job, bytes], bytes]] = {
    **dict.fromkeys((_JPEG + suffix for suffix in ("50", "51", "53", "55", "57", "70")), _jpeg),
    **dict.fromkeys((_JPEG + suffix for suffix in ("80", "81")), _jpeg_ls),
    **dict.fromkeys((_JPEG + suffix for suffix in ("90", "91", "92", "93")), _jpeg_2000),
    **dict.fromkeys((_JPEG + suffix for suffix in ("201", "202", "203")), _htj2k),
    **dict.fromkeys((_JPEG + suffix for suffix in ("110", "111", "112")), _jpeg_xl),
    "1.2.840.10008.1.2.5": _rle,
    "1.2.840.10008.1.2.8.1": _deflated_frame,
    "1.2.840.10008.1.2.1.98": _uncompressed,
    "image/png": _png,  # picture files have no transfer syntax; they are converted when they come in
    "image/gif": _gif,
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


def _codestream_parameters(job: Job, stream: bytes) -> tuple[int, bool]:
    """(precision, signed?) of a JPEG 2000 codestream, bare or in a JP2 box. Raises NoImage or Undecodable."""
    header = Jpeg2000Header(stream)
    _check_size(job, header.rows, header.columns, header.components)
    return header.precision, header.signed
