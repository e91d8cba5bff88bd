"""What of a data set decides how its frames look: a few attributes, functional groups flattened (PS3.3 §C.7.6.16).

Comes from the data set's DICOM JSON and stays DICOM JSON, so that it can be remembered, compared and sent to a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from bridge.attributes import Attributes, key_of

PALETTE_CHANNELS = ("Red", "Green", "Blue")

# PS3.3 §C.7.6.3 (pixels), §C.7.5.1.1.2 (padding), §C.11.1 (modality), §C.11.2 (VOI), §C.11.4, §C.11.6 (presentation)
_KEPT = (
    "PhotometricInterpretation", "PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "PixelPaddingValue", "PixelPaddingRangeLimit", "FloatPixelPaddingValue",
    "DoubleFloatPixelPaddingValue", "WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleIntercept",
    "RescaleSlope", "ModalityLUTSequence", "VOILUTSequence", "PresentationLUTSequence", "PresentationLUTShape",
    *(f"{channel}PaletteColorLookupTable{part}" for channel in PALETTE_CHANNELS for part in ("Descriptor", "Data")),
    *(f"Segmented{channel}PaletteColorLookupTableData" for channel in PALETTE_CHANNELS),
)  # fmt: skip
# Functional group -> attributes that take the place of top-level ones (PS3.3 §C.7.6.16.2).
_GROUPS = {
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PixelMeasuresSequence": ("PixelSpacing",),
}


@dataclass(frozen=True, slots=True)
class Header:
    """`whole` holds for every frame, `frames` what differs in one of them, by number from 1 on.

    `about` is what does not decide how the samples look. `profile` is the ICC profile, empty when there is none.
    """

    whole: dict[str, Any]
    frames: dict[int, dict[str, Any]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    profile: bytes = b""

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        parts = (self.whole, self.about, *self.frames.values())
        return len(self.profile) + sum(len(orjson.dumps(part)) for part in parts)

    def of_frame(self, number: int) -> dict[str, Any]:
        """The attributes of one frame as a DICOM JSON object."""
        own = self.frames.get(number)
        return {**self.whole, **own} if own else self.whole


def read_header(document: Mapping[str, Any], also: tuple[str, ...] = ()) -> Header:
    """The header of a data set; `also` are keywords of the top-level attributes to keep in `about`."""
    whole = _chosen(document, _KEPT)
    for shared in _items(document, "SharedFunctionalGroupsSequence"):
        whole.update(_flattened(shared))
    frames = {}
    for number, groups in enumerate(_items(document, "PerFrameFunctionalGroupsSequence"), 1):
        if flat := _flattened(groups):
            frames[number] = flat
    return Header(whole, frames, _chosen(document, also), _profile(document))


def _chosen(document: Mapping[str, Any], keywords: tuple[str, ...]) -> dict[str, Any]:
    keys = map(key_of, keywords)
    return {key: document[key] for key in keys if key in document}


def _profile(document: Mapping[str, Any]) -> bytes:
    """At the top, or of the first optical path of a microscopic image (PS3.3 §C.11.15, §C.8.12.5)."""
    for data_set in (document, *_items(document, "OpticalPathSequence")[:1]):
        if profile := Attributes(data_set).binary("ICCProfile"):
            return profile
    return b""


def _flattened(groups: Mapping[str, Any]) -> dict[str, Any]:
    """Of each functional group that matters the first item."""
    flat: dict[str, Any] = {}
    for sequence, keywords in _GROUPS.items():
        for item in _items(groups, sequence)[:1]:
            keys = (key_of(keyword) for keyword in keywords)
            flat.update({key: item[key] for key in keys if key in item})
    return flat


def _items(document: Mapping[str, Any], keyword: str) -> list[dict[str, Any]]:
    element = document.get(key_of(keyword))
    values = element.get("Value") if isinstance(element, dict) else None
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []
