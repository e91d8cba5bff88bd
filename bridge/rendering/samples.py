"""One native frame's bytes as an array of samples (PS3.5 §8.1, §8.2; PS3.3 §C.7.6.3.1).

Words come little endian, first sample first. What is read are whole words; `StoredValues` says which of their bits are
the stored value and which its sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.frames import PixelDescription
from bridge.rendering.refusal import Unpaintable

FLOAT_TAG, DOUBLE_TAG = 0x7FE00008, 0x7FE00009
_WORDS = {8: "<u1", 16: "<u2", 32: "<u4", 64: "<u8"}

Words = NDArray[Any]


@dataclass(frozen=True, slots=True)
class StoredValues:
    """Which bits of a word are the value: `bits` of them up to `high_bit`, the highest a sign when `signed`."""

    bits_allocated: int
    bits: int
    high_bit: int
    signed: bool

    def of(self, words: Words) -> Words:
        """The stored values of whole words, as 64-bit integers; unsigned 64-bit words keep 63 bits."""
        shift = self.high_bit + 1 - self.bits
        values = (words.astype(np.uint64) >> np.uint64(shift)) & np.uint64((1 << self.bits) - 1)
        signed = values.view(np.int64)
        if self.signed:
            sign = np.int64(1) << np.int64(self.bits - 1)
            return (signed ^ sign) - sign
        return signed


def stored_values(description: PixelDescription) -> StoredValues:
    """How to read the words; a description that contradicts itself is taken to use all allocated bits."""
    allocated = description.bits_allocated
    bits, high = description.bits_stored, description.high_bit
    if not 0 < bits <= allocated:
        bits = allocated
    if not bits - 1 <= high < allocated:
        high = bits - 1
    return StoredValues(allocated, bits, high, description.pixel_representation == 1)


def words_of(frame: bytes, description: PixelDescription) -> Words:
    """Rows x Columns, or Rows x Columns x Samples with chrominance given to every pixel. Raises Unpaintable.

    Floats for the two kinds of float pixel data, else unsigned words of 8, 16, 32 or 64 bits.
    """
    rows, columns, samples = description.rows, description.columns, description.samples_per_pixel
    if rows == 0 or columns == 0:
        raise Unpaintable("the image has no rows or no columns")
    if samples not in (1, 3):
        raise Unpaintable(f"an image with {samples} samples per pixel cannot be rendered")
    flat = _flat(frame, description)
    if samples == 3 and flat.size == rows * columns * 2:
        return _with_chrominance(flat, rows, columns)
    if flat.size < rows * columns * samples:
        raise Unpaintable("the pixel data is shorter than its description says")
    flat = flat[: rows * columns * samples]
    if samples == 1:
        return flat.reshape(rows, columns)
    if description.planar_configuration == 1:
        return np.moveaxis(flat.reshape(samples, rows, columns), 0, 2)
    return flat.reshape(rows, columns, samples)


def _flat(frame: bytes, description: PixelDescription) -> Words:
    if description.tag in (FLOAT_TAG, DOUBLE_TAG):
        return _aligned(frame, "<f4" if description.tag == FLOAT_TAG else "<f8")
    allocated = description.bits_allocated
    if allocated in _WORDS:
        return _aligned(frame, _WORDS[allocated])
    if not 0 < allocated < 32:
        raise Unpaintable(f"an image with {allocated} bits allocated cannot be rendered")
    return _bit_packed(frame, allocated)


def _aligned(frame: bytes, kind: str) -> Words:
    width = np.dtype(kind).itemsize
    return np.frombuffer(frame, kind, len(frame) // width)


def _bit_packed(frame: bytes, width: int) -> Words:
    """Words that are no whole bytes, the low bit first (PS3.5 §8.1.1)."""
    bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")
    if width == 1:
        return bits
    whole = bits[: len(bits) // width * width].reshape(-1, width)
    return whole @ (np.uint32(1) << np.arange(width, dtype=np.uint32))


def _with_chrominance(flat: Words, rows: int, columns: int) -> Words:
    """Two pixels share their chrominance: Y Y Cb Cr (PS3.3 §C.7.6.3.1.2)."""
    if columns % 2:
        raise Unpaintable("an image whose pixels share chrominance must have an even number of columns")
    groups = flat.reshape(rows, columns // 2, 4)
    pixels = np.empty((rows, columns, 3), flat.dtype)
    pixels[..., 0] = groups[..., :2].reshape(rows, columns)
    pixels[..., 1] = np.repeat(groups[..., 2], 2, axis=1)
    pixels[..., 2] = np.repeat(groups[..., 3], 2, axis=1)
    return pixels
