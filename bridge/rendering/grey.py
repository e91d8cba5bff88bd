"""Grey images: Modality LUT or rescale -> VOI LUT or window -> presentation -> 8 bits (PS3.4 §N.2.1; PS3.3 §C.11).

Integers of up to 16 allocated bits go through one table over all words, which is made once per set of attributes and
remembered; wider integers and floats are computed pixel by pixel.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from bridge.attributes import Attributes
from bridge.rendering.samples import StoredValues, Words
from bridge.rendering.tables import Table, lookup_table
from bridge.rendering.windows import BRIGHTEST, FUNCTIONS, LINEAR, LINEAR_EXACT, Window, spanning

Levels = NDArray[np.uint8]
Values = NDArray[np.float64]

_REMEMBERED_TABLES = 64  # of 64 KiB, each with attributes that hold a few such tables at most
_TABLE_BITS = 16


@dataclass(frozen=True, slots=True)
class Grey:
    """How values become grey levels. `voi` None: from the darkest to the brightest value of the frame itself."""

    modality: Table | None
    slope: float
    intercept: float
    voi: Window | Table | None
    presentation: Table | None
    inverse: bool

    def modality_values(self, stored: Words) -> Values:
        """The output of the Modality LUT (PS3.3 §C.11.1)."""
        if self.modality is not None:
            return self.modality.apply(stored).astype(np.float64)
        with np.errstate(all="ignore"):
            return stored * self.slope + self.intercept

    def levels(self, values: Values, automatic: Window) -> Levels:
        """8-bit grey levels of modality values, through `automatic` where the image says nothing."""
        voi = automatic if self.voi is None else self.voi
        with np.errstate(all="ignore"):  # hostile numbers give some grey, no warning
            levels = voi.apply(values) if isinstance(voi, Window) else _eight_bits(voi, values)
            if self.presentation is not None:
                levels = _eight_bits(self.presentation, _places(self.presentation, levels))
            rounded: Levels = (levels + 0.5).astype(np.uint8)
        return np.invert(rounded) if self.inverse else rounded


def _places(table: Table, levels: Values) -> Values:
    """Levels spread over the inputs of a presentation LUT."""
    spread: Values = levels * ((len(table.entries) - 1) / BRIGHTEST) + table.first
    return spread


def _eight_bits(table: Table, values: Values) -> Values:
    scaled: NDArray[Any] = table.apply(values) * (BRIGHTEST / table.highest)
    return scaled


def grey_of(attributes: Attributes, *, signed: bool, window: Window | None) -> Grey:
    """What the attributes of a frame ask for; `window` takes the place of their VOI LUT or window.

    Of several VOI LUTs or windows the first counts, a LUT before a window.
    """
    modality = _first_table(attributes, "ModalityLUTSequence", signed=signed)
    slope = _optional(attributes, "RescaleSlope")
    intercept = _optional(attributes, "RescaleIntercept")
    below_zero = signed or (intercept or 0.0) < 0
    voi: Window | Table | None = window
    if voi is None:
        table = _first_table(attributes, "VOILUTSequence", signed=below_zero and modality is None)
        voi = table or _window_of(attributes)
    return Grey(
        modality=modality,
        slope=1.0 if slope is None or slope == 0 else slope,
        intercept=intercept or 0.0,
        voi=voi,
        presentation=_first_table(attributes, "PresentationLUTSequence", signed=False),
        inverse=attributes.text("PhotometricInterpretation").strip() == "MONOCHROME1"
        or attributes.text("PresentationLUTShape").strip() == "INVERSE",
    )


def grey_levels(words: Words, stored: StoredValues, attributes_json: bytes, window: Window | None) -> Levels:
    """Grey levels of whole words as `samples.words_of` gives them; `attributes_json` is one frame's DICOM JSON."""
    if words.dtype.kind == "f":
        grey = _parsed(attributes_json, stored.signed, window)
        if isinstance(grey.voi, Window) and window is None:
            grey = replace(grey, voi=_for_floats(grey.voi))
        values = grey.modality_values(words.astype(np.float64))
        return _computed(values, grey, _float_padding(attributes_json), words)
    if stored.bits_allocated > _TABLE_BITS:
        grey = _parsed(attributes_json, stored.signed, window)
        values = stored.of(words)
        return _computed(grey.modality_values(values), grey, _padding(attributes_json, stored), values)
    table = word_table(attributes_json, stored, window)
    if table is None:
        table = _automatic_table(words, attributes_json, stored)
    return np.take(table, words)


@functools.lru_cache(_REMEMBERED_TABLES)
def word_table(attributes_json: bytes, stored: StoredValues, window: Window | None) -> Levels | None:
    """Grey level of every word; None when that depends on the frame."""
    grey = _parsed(attributes_json, stored.signed, window)
    if grey.voi is None:
        return None
    return grey.levels(_all_values(grey, stored), spanning(0, 1))


def _automatic_table(words: Words, attributes_json: bytes, stored: StoredValues) -> Levels:
    """The table of an image without VOI: the values that occur, padding left out, from black to white."""
    grey = _parsed(attributes_json, stored.signed, None)
    values = _all_values(grey, stored)
    occurs = np.bincount(words.ravel(), minlength=values.size) > 0
    if stored.bits == 1:
        occurs[:] = True  # a mask stays black where it is empty everywhere
    padding = _padding(attributes_json, stored)
    if padding is not None:
        every = stored.of(np.arange(values.size, dtype=np.uint64))
        occurs &= (every < padding[0]) | (every > padding[1])
    return grey.levels(values, _range_of(values[occurs]))


def _all_values(grey: Grey, stored: StoredValues) -> Values:
    every_word = np.arange(1 << stored.bits_allocated, dtype=np.uint64)
    return grey.modality_values(stored.of(every_word))


def _computed(values: Values, grey: Grey, padding: tuple[float, float] | None, stored: Words) -> Levels:
    """Grey levels without a table; NaN is black."""
    if grey.voi is not None:
        return grey.levels(np.nan_to_num(values, nan=-np.inf, posinf=np.inf, neginf=-np.inf), spanning(0, 1))
    usable = np.isfinite(values)
    if padding is not None:
        usable &= (stored < padding[0]) | (stored > padding[1])
    automatic = _range_of(values[usable])
    return grey.levels(np.nan_to_num(values, nan=-np.inf, posinf=np.inf, neginf=-np.inf), automatic)


def _for_floats(window: Window) -> Window:
    """A linear window of width 1 would be a threshold; with values between 0 and 1 its writer meant the exact one."""
    return replace(window, function=LINEAR_EXACT) if window.function == LINEAR and window.width <= 1 else window


def _range_of(values: Values) -> Window:
    if values.size == 0:
        return spanning(0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    return spanning(low, high if high > low else low + 1.0)


@functools.lru_cache(_REMEMBERED_TABLES)
def _parsed(attributes_json: bytes, signed: bool, window: Window | None) -> Grey:
    return grey_of(Attributes(orjson.loads(attributes_json)), signed=signed, window=window)


@functools.lru_cache(_REMEMBERED_TABLES)
def _padding(attributes_json: bytes, stored: StoredValues) -> tuple[float, float] | None:
    """Stored values that stand for no pixel, both ends included (PS3.3 §C.7.5.1.1.2).

    Of a signed image some devices write them as unsigned words: 63536 is -2000.
    """
    attributes = Attributes(orjson.loads(attributes_json))
    found = [_optional(attributes, keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    limit = 2.0 ** (stored.bits_allocated - 1)
    one, other = (_wrapped(value, limit) if stored.signed else value for value in found)
    return _between(one, other)


def _wrapped(value: float | None, limit: float) -> float | None:
    return value - 2 * limit if value is not None and value >= limit else value


def _float_padding(attributes_json: bytes) -> tuple[float, float] | None:
    attributes = Attributes(orjson.loads(attributes_json))
    value = _optional(attributes, "FloatPixelPaddingValue")
    return _between(_optional(attributes, "DoubleFloatPixelPaddingValue") if value is None else value, None)


def _between(one: float | None, other: float | None) -> tuple[float, float] | None:
    if one is None:
        return None
    return (one, one) if other is None else (min(one, other), max(one, other))


def _first_table(attributes: Attributes, sequence: str, *, signed: bool) -> Table | None:
    tables = (lookup_table(item, signed=signed) for item in attributes.items(sequence))
    return next((table for table in tables if table is not None), None)


def _window_of(attributes: Attributes) -> Window | None:
    """The first window of the image; None when it has none that makes sense."""
    center, width = _optional(attributes, "WindowCenter"), _optional(attributes, "WindowWidth")
    if center is None or width is None or width <= 0:
        return None
    function = attributes.text("VOILUTFunction").strip()
    return Window(center, width, function if function in FUNCTIONS else LINEAR)


def _optional(attributes: Attributes, keyword: str) -> float | None:
    return next(iter(attributes.numbers(keyword)), None)
