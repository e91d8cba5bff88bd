"""Builders: descriptions, pixels and codestreams, each made by a codec's own encoder."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from bridge.frames import PixelDescription

JPEG = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
UNCOMPRESSED_FRAME = "1.2.840.10008.1.2.1.98"
LOSSLESS = [JPEG + s for s in ("57", "70", "80", "90", "92", "110", "201", "202")] + [
    RLE,
    DEFLATED_FRAME,
    UNCOMPRESSED_FRAME,
]

Image = NDArray[Any]


def described(pixels: Image, **changes: Any) -> PixelDescription:
    """The Image Pixel Module of these pixels."""
    bits = pixels.dtype.itemsize * 8
    colour = pixels.ndim == 3
    values: dict[str, Any] = {
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "samples_per_pixel": 3 if colour else 1,
        "bits_allocated": bits,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "pixel_representation": int(pixels.dtype.kind == "i"),
        "photometric_interpretation": "RGB" if colour else "MONOCHROME2",
        "planar_configuration": 0,
        "number_of_frames": 1,
        "tag": 0x7FE00010,
        "vr": "OB",
    }
    return PixelDescription(**{**values, **changes})


def image(dtype: str = "u2", *, rows: int = 40, columns: int = 30, colour: bool = False, seed: int = 7) -> Image:
    """A smooth image with some noise over the whole range of its type."""
    noise = np.random.default_rng(seed)
    shape = (rows, columns, 3) if colour else (rows, columns)
    limits = np.iinfo(dtype)
    slope = np.linspace(float(limits.min), float(limits.max) * 0.9, num=int(np.prod(shape))).reshape(shape)
    return (slope + noise.integers(0, 8, shape)).astype(dtype)


def encoded(pixels: Image, transfer_syntax_uid: str) -> bytes:
    """The codestream of one frame, losslessly where the syntax can."""
    unsigned = pixels.view(f"u{pixels.dtype.itemsize}")
    suffix = transfer_syntax_uid.removeprefix(JPEG)
    if transfer_syntax_uid == RLE:
        return _rle(pixels)
    if transfer_syntax_uid == DEFLATED_FRAME:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(pixels.tobytes()) + packer.flush()
    if transfer_syntax_uid == UNCOMPRESSED_FRAME:
        return pixels.tobytes()
    if suffix in ("50", "53", "55"):
        return bytes(imagecodecs.jpeg8_encode(pixels, level=95))
    if suffix == "51":
        return bytes(imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=12))
    if suffix in ("57", "70"):
        return bytes(imagecodecs.jpeg8_encode(unsigned, lossless=True, bitspersample=8 * unsigned.itemsize))
    if suffix in ("80", "81"):
        return bytes(imagecodecs.jpegls_encode(unsigned, level=0 if suffix == "80" else 2))
    if suffix in ("90", "91", "92", "93"):
        return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, level=0))
    if suffix in ("110", "111", "112"):
        return bytes(imagecodecs.jpegxl_encode(unsigned, lossless=True))
    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True))


def _rle(pixels: Image) -> bytes:
    """PS3.5 Annex G: runs of zeros as replicates, the rest literally."""
    width = pixels.dtype.itemsize
    planes = pixels.reshape(-1, pixels.shape[2] if pixels.ndim == 3 else 1)
    segments = []
    for sample in range(planes.shape[1]):
        octets = np.ascontiguousarray(planes[:, sample]).view("u1").reshape(-1, width)
        segments += [_packbits(octets[:, byte].tobytes()) for byte in reversed(range(width))]
    offsets = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def _packbits(plane: bytes) -> bytes:
    parts = []
    for at in range(0, len(plane), 128):
        run = plane[at : at + 128]
        same = len(run) > 1 and not any(run)
        parts.append(bytes([257 - len(run), 0]) if same else bytes([len(run) - 1]) + run)
    packed = b"".join(parts)
    return packed + b"\0" * (len(packed) % 2)
