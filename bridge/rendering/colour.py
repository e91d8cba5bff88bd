"""Colour images -> RGB of 8 bits (PS3.3 §C.7.6.3.1.2)."""

from __future__ import annotations

import functools

import numpy as np
import orjson
from numpy.typing import NDArray

from bridge.attributes import Attributes
from bridge.rendering.refusal import Unpaintable
from bridge.rendering.samples import StoredValues, Words
from bridge.rendering.tables import palette

Pixels = NDArray[np.uint8]

# Luminance and chrominance -> RGB: rows are R, G, B; columns Y, CB, CR (ITU-R BT.601; PS3.3 §C.7.6.3.1.2).
_FULL = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]], np.float32)
_PARTIAL = np.array([[1.1644, 0.0, 1.5960], [1.1644, -0.3917, -0.8130], [1.1644, 2.0173, 0.0]], np.float32)
_BLACK = {"FULL": np.array([0, 128, 128], np.float32), "PARTIAL": np.array([16, 128, 128], np.float32)}


def rgb_pixels(words: Words, stored: StoredValues, photometric: str) -> Pixels:
    """Three samples a pixel as RGB. Native YBR_RCT and YBR_ICT are RGB that a decoder forgot to rename."""
    if words.dtype.kind == "f":
        raise Unpaintable("a colour image of floating point numbers cannot be rendered")
    pixels = _eight_bits(words, stored)
    if photometric.startswith("YBR_FULL"):
        return _from_luminance(pixels, _FULL, _BLACK["FULL"])
    if photometric.startswith("YBR_PARTIAL"):
        return _from_luminance(pixels, _PARTIAL, _BLACK["PARTIAL"])
    if photometric in ("RGB", "YBR_RCT", "YBR_ICT"):
        return pixels
    raise Unpaintable(f"the photometric interpretation {photometric[:16]!r} of three samples cannot be rendered")


def palette_pixels(words: Words, stored: StoredValues, attributes_json: bytes) -> Pixels:
    """Indices as RGB."""
    if words.dtype.kind == "f" or stored.bits_allocated > 16:
        raise Unpaintable("a palette image may have at most 16 bits per pixel")
    return palette_table(attributes_json, stored)[words]


@functools.lru_cache(16)
def palette_table(attributes_json: bytes, stored: StoredValues) -> Pixels:
    """RGB of every word."""
    every = stored.of(np.arange(1 << stored.bits_allocated, dtype=np.uint64))
    tables = palette(Attributes(orjson.loads(attributes_json)), signed=stored.signed)
    channels = [table.apply(every) >> max(0, table.bits - 8) for table in tables]
    return np.stack(channels, axis=1).astype(np.uint8)


def _eight_bits(words: Words, stored: StoredValues) -> Pixels:
    """Samples spread from what their bits can hold to 0..255; negative ones are black."""
    if stored.bits_allocated == 8 and stored.bits == 8 and not stored.signed:
        return words
    if stored.bits_allocated > 16:
        return _spread(words, stored)
    return _spread(np.arange(1 << stored.bits_allocated, dtype=np.uint64), stored)[words]


def _spread(words: Words, stored: StoredValues) -> Pixels:
    brightest = (1 << (stored.bits - stored.signed)) - 1
    spread: Pixels = np.rint(stored.of(words).clip(0) * (255.0 / max(1, brightest))).astype(np.uint8)
    return spread


def _from_luminance(pixels: Pixels, matrix: NDArray[np.float32], black: NDArray[np.float32]) -> Pixels:
    rgb = (pixels.astype(np.float32) - black) @ matrix.T
    rounded: Pixels = np.rint(rgb.clip(0, 255)).astype(np.uint8)
    return rounded
