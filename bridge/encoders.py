"""Codecs the other way: one native frame -> codestream (PS3.5 §8.2, Annexes A.4 and G).

Runs inside a codec worker only. Lossless encoders keep every bit of every word; how much the lossy ones may lose stands
in the table `bridge.compression` has of them. What cannot be encoded is Unencodable, never something near it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from bridge.compression import JPEG_QUALITY, NEAR, PEAK_SIGNAL_TO_NOISE_DB, XL_DISTANCE, quantization_step
from bridge.pixel_job import Job, decoded_photometric_interpretation

Samples = NDArray[Any]
_JPEG = "1.2.840.10008.1.2.4."
_SMALLEST_SIDE = 64  # PS3.5 §10.18: the base resolution of an RPCL stream is no larger on one side
_FEWEST_LEVELS = 5
_XL_EFFORT = 3  # of 9: twice the time of JPEG 2000 beyond, for a few percent
_FEWEST_BITS = 2  # of a lossless JPEG (ISO 10918-1 Table B.2)
_SIGNED, _UNSIGNED = 0x80, 0x00


class Unencodable(Exception):
    """One sentence for the peer: why this frame has no such form."""


def encode(job: Job, frame: bytes) -> bytes:
    """The codestream of a native little-endian frame, samples interleaved. Raises Unencodable."""
    encoder = _ENCODERS.get(job.target_uid)
    if encoder is None or job.bits_allocated not in (8, 16):
        raise Unencodable("there is no encoder for this transfer syntax and image")
    kind = "i" if job.pixel_representation == 1 else "u"
    shape = (job.rows, job.columns) + ((job.samples_per_pixel,) if job.samples_per_pixel > 1 else ())
    samples = np.frombuffer(frame, f"<{kind}{job.bits_allocated // 8}").reshape(shape)
    try:
        return bytes(encoder(job, samples))
    except (RuntimeError, ValueError) as error:  # imagecodecs' errors are RuntimeErrors
        raise Unencodable("the frame cannot be encoded in this transfer syntax") from error


def _jpeg_lossy(job: Job, samples: Samples) -> bytes:
    """ISO 10918-1, processes 1, 2 and 4; colour as YCbCr with half the chrominance."""
    if job.samples_per_pixel == 1:
        bits = 12 if job.bits_allocated == 16 else 8
        if int(samples.max(initial=0)) >> bits:
            raise Unencodable(f"the frame has values beyond {bits} bits")
        return bytes(imagecodecs.jpeg8_encode(samples, level=JPEG_QUALITY, bitspersample=bits))
    space = "RGB" if _photometric(job) == "RGB" else "YCBCR"
    return bytes(
        imagecodecs.jpeg8_encode(
            samples, level=JPEG_QUALITY, colorspace=space, outcolorspace="YCBCR", subsampling="422"
        )
    )


def _jpeg_lossless(job: Job, samples: Samples) -> bytes:
    """ISO 10918-1, process 14 with first-order prediction; signed values as their low bits."""
    bits = max(_FEWEST_BITS, _precision(job, samples))
    low = _narrow(_words(samples) & ((1 << bits) - 1), bits)
    space = "RGB" if job.samples_per_pixel > 1 else None  # untransformed, whatever the samples mean
    return bytes(
        imagecodecs.jpeg8_encode(
            low, lossless=True, predictor=1, bitspersample=bits, colorspace=space, outcolorspace=space
        )
    )


def _jpeg_ls(_job: Job, samples: Samples) -> bytes:
    """ISO 14495-1, the whole words."""
    return bytes(imagecodecs.jpegls_encode(_words(samples)))


def _jpeg_ls_near(_job: Job, samples: Samples) -> bytes:
    """ISO 14495-1, near-lossless; unsigned only, for an error in two's complement may leap over zero."""
    return bytes(imagecodecs.jpegls_encode(samples, level=NEAR))


def _jpeg_2000(job: Job, samples: Samples) -> bytes:
    """ISO 15444-1, reversible wavelet; colour through the reversible transform."""
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples, level=0, codecformat="j2k", reversible=True, mct=_is_rgb(job), numthreads=job.threads,
            bitspersample=_precision(job, samples),
        )
    )  # fmt: skip


def _jpeg_2000_lossy(job: Job, samples: Samples) -> bytes:
    bits = _precision(job, samples)
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples, level=PEAK_SIGNAL_TO_NOISE_DB[bits > 8], codecformat="j2k", reversible=False, mct=_is_rgb(job),
            numthreads=job.threads, bitspersample=bits,
        )
    )  # fmt: skip


def _htj2k(job: Job, samples: Samples) -> bytes:
    """ISO 15444-15, reversible. The codec writes whole words; the precision is put right afterwards.

    Unsigned samples lose half their range before they are encoded as signed ones, so the decoder's level shift
    (ISO 15444-1 G.1) brings them back, whatever precision the stream declares.
    """
    bits = _precision(job, samples)
    sign = _SIGNED
    if samples.dtype.kind == "u":
        sign = _UNSIGNED
        samples = (samples.astype(np.int32) - (1 << bits - 1)).astype(f"i{job.bits_allocated // 8}")
    stream = bytearray(_high_throughput(job, samples, reversible=True))
    size = stream.index(b"\xff\x51")
    for component in range(job.samples_per_pixel):
        stream[size + 40 + 3 * component] = sign | (bits - 1)  # Ssiz, ISO 15444-1 A.5.1
    return bytes(stream)


def _htj2k_lossy(job: Job, samples: Samples) -> bytes:
    step = quantization_step(job.bits_stored, job.bits_allocated)
    return _high_throughput(job, samples, reversible=False, level=step)


def _high_throughput(job: Job, samples: Samples, **options: Any) -> bytes:
    """In RPCL order, with tile part lengths and a base small enough for PS3.5 §10.18, whichever syntax it is for."""
    levels = max(_FEWEST_LEVELS, (-(-min(job.rows, job.columns) // _SMALLEST_SIDE) - 1).bit_length())
    return bytes(imagecodecs.htj2k_encode(samples, rgb=_is_rgb(job), resolutions=levels, tlm=True, **options))


def _jpeg_xl(job: Job, samples: Samples) -> bytes:
    """ISO 18181-1, modular mode, the bare codestream where its level allows."""
    return _xl(job, samples, lossless=True)


def _jpeg_xl_lossy(job: Job, samples: Samples) -> bytes:
    return _xl(job, samples, lossless=False, distance=XL_DISTANCE)


def _xl(job: Job, samples: Samples, **options: Any) -> bytes:
    bits = _precision(job, samples)
    return bytes(
        imagecodecs.jpegxl_encode(
            _narrow(samples, bits), effort=_XL_EFFORT, usecontainer=False, numthreads=job.threads, bitspersample=bits,
            **options,
        )
    )  # fmt: skip


def _rle(job: Job, samples: Samples) -> bytes:
    """PS3.5 Annex G: a segment for each byte of a composite pixel, the most significant first, row by row."""
    width = job.bits_allocated // 8
    octets = _words(samples).reshape(job.rows, job.columns, -1, 1).view("u1")  # row, column, sample, byte
    plane = np.empty((job.rows, job.columns), np.uint8)
    segments = []
    for sample in range(job.samples_per_pixel):
        for byte in reversed(range(width)):
            plane[:] = octets[:, :, sample, byte]
            packed = imagecodecs.packbits_encode(plane)
            segments.append(packed + b"\0" * (len(packed) % 2))
    offsets = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


_ENCODERS: dict[str, Callable[[Job, Samples], bytes]] = {
    **dict.fromkeys((_JPEG + "50", _JPEG + "51"), _jpeg_lossy),
    **dict.fromkeys((_JPEG + "57", _JPEG + "70"), _jpeg_lossless),
    _JPEG + "80": _jpeg_ls,
    _JPEG + "81": _jpeg_ls_near,
    _JPEG + "90": _jpeg_2000,
    _JPEG + "91": _jpeg_2000_lossy,
    _JPEG + "110": _jpeg_xl,
    _JPEG + "112": _jpeg_xl_lossy,
    **dict.fromkeys((_JPEG + "201", _JPEG + "202"), _htj2k),
    _JPEG + "203": _htj2k_lossy,
    "1.2.840.10008.1.2.5": _rle,
}


def _photometric(job: Job) -> str:
    """What the samples mean now that they are native."""
    return decoded_photometric_interpretation(job.transfer_syntax_uid, job.photometric_interpretation)


def _is_rgb(job: Job) -> bool:
    return job.samples_per_pixel == 3 and _photometric(job) == "RGB"


def _narrow(samples: Samples, bits: int) -> Samples:
    """Samples of at most 8 bits in bytes: codecs have one way for bytes and another for words."""
    return samples.astype(np.uint8 if bits <= 8 else np.uint16, copy=False)


def _words(samples: Samples) -> Samples:
    """The same bits, unsigned."""
    return samples.view(f"u{samples.itemsize}")


def _precision(job: Job, samples: Samples) -> int:
    """BitsStored; all bits of the word where values do not keep to it, as those with overlays in their high bits."""
    low, high = (-(1 << job.bits_stored - 1), (1 << job.bits_stored - 1) - 1)
    if samples.dtype.kind == "u":
        low, high = 0, (1 << job.bits_stored) - 1
    fits = 0 < job.bits_stored < job.bits_allocated and low <= int(samples.min()) and int(samples.max()) <= high
    return job.bits_stored if fits else job.bits_allocated
