"""Builders: DICOM JSON elements of what decides how frames look."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from bridge.attributes import Attributes, key_of
from bridge.rendering.drawing import Drawing, painted
from tests.bridge.frames_of import described


def document(**values: Any) -> dict[str, Any]:
    """DICOM JSON by keyword: bytes become InlineBinary, lists of dicts a sequence, anything else Value."""
    return {key_of(keyword): _element(value) for keyword, value in values.items()}


def _element(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"vr": "OW", "InlineBinary": base64.b64encode(value).decode()}
    return {"vr": "UN", "Value": list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]}


def looks(**values: Any) -> bytes:
    """As `document`, in bytes."""
    return orjson.dumps(document(**values))


def attributes(**values: Any) -> Attributes:
    """As `document`, to be read."""
    return Attributes(document(**values))


def lut(first: int, bits: int, entries: Sequence[int], *, as_words: bool = True) -> dict[str, Any]:
    """An item of a LUT sequence, its data as words or as numbers."""
    data = np.array(entries, "<u2").tobytes() if as_words else list(entries)
    return document(LUTDescriptor=[len(entries) & 0xFFFF, first, bits], LUTData=data)


def shown(pixels: NDArray[Any], drawn: dict[str, Any] | None = None, **values: Any) -> NDArray[Any]:
    """What comes of these pixels: described by themselves, with `drawn` changing the description."""
    description = described(pixels, **(drawn or {}))
    drawing = Drawing(description=description, attributes_json=looks(**values), media_type="raw")
    return np.asarray(painted(pixels.tobytes(), drawing))
