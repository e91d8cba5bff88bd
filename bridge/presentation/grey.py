"""The grey transformations of a state, as attributes in place of the image's own (PS3.4 §N.2.1, PS3.3 §C.11).

A grayscale or pseudo-colour state says all of it: what it leaves out is the identity, never what the image says. A
colour state says none of it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from bridge.attributes import Attributes, key_of
from bridge.frames import PixelDescription
from bridge.presentation.reading import applicable

Elements = dict[str, Any]
Fetch = Callable[[str], bytes]  # path of a bulk value of the state -> its bytes

COLOUR_CLASS = "1.2.840.10008.5.1.4.1.1.11.2"  # Color Softcopy Presentation State
# What of an image a state takes the place of.
_REPLACED = (
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PresentationLUTSequence", "PresentationLUTShape", "PhotometricInterpretation",
)  # fmt: skip
_MODALITY = ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept")
_VOI = ("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction")
_PRESENTATION = ("PresentationLUTSequence", "PresentationLUTShape")


def in_place(
    image: Mapping[str, Any],
    state: Attributes,
    description: PixelDescription,
    sop_instance_uid: str,
    frame: int,
    fetch: Fetch,
) -> Elements:
    """The attributes of a frame, DICOM JSON, with those of the state in place of its grey transformations."""
    if state.text("SOPClassUID") == COLOUR_CLASS or description.samples_per_pixel != 1:
        return dict(image)
    replaced = {key_of(keyword) for keyword in _REPLACED}
    elements: Elements = {key: element for key, element in image.items() if key not in replaced}
    elements[key_of("PhotometricInterpretation")] = {"vr": "CS", "Value": ["MONOCHROME2"]}
    elements |= _inline(state.picked(*_MODALITY, *_PRESENTATION), fetch)
    voi = next(applicable(state, "SoftcopyVOILUTSequence", sop_instance_uid, frame), Attributes({}))
    chosen = _inline(voi.picked(*_VOI), fetch)
    return elements | (chosen or _identity(state, description))


def _identity(state: Attributes, description: PixelDescription) -> Elements:
    """A window over every value that the modality transformation can give."""
    low, high = _stored_range(description)
    table = state.item("ModalityLUTSequence").numbers("LUTDescriptor")
    if len(table) == 3:
        low, high = 0.0, float((1 << min(16, max(1, int(table[2])))) - 1)
    else:
        slope, intercept = state.number("RescaleSlope", 1.0) or 1.0, state.number("RescaleIntercept")
        low, high = sorted((low * slope + intercept, high * slope + intercept))
    return {
        key_of("WindowCenter"): {"vr": "DS", "Value": [(low + high) / 2]},
        key_of("WindowWidth"): {"vr": "DS", "Value": [max(1.0, high - low)]},
        key_of("VOILUTFunction"): {"vr": "CS", "Value": ["LINEAR_EXACT"]},
    }


def _stored_range(description: PixelDescription) -> tuple[float, float]:
    bits = description.bits_stored if 0 < description.bits_stored <= 32 else max(1, description.bits_allocated)
    if description.pixel_representation == 1:
        return -float(1 << (bits - 1)), float((1 << (bits - 1)) - 1)
    return 0.0, float((1 << bits) - 1)


def _inline(elements: Mapping[str, Any], fetch: Fetch) -> Elements:
    """Elements with the bulk values of their items fetched; a state's tables are one level deep."""
    return {key: _with_items(element, fetch) for key, element in elements.items()}


def _with_items(element: Any, fetch: Fetch) -> Any:
    if not isinstance(element, dict) or element.get("vr") != "SQ":
        return element
    items = [item for item in element.get("Value", ()) if isinstance(item, dict)]
    return {"vr": "SQ", "Value": [{key: _fetched(item, key, fetch) for key in item} for item in items]}


def _fetched(item: Elements, key: str, fetch: Fetch) -> Any:
    path = Attributes(item).bulk_path(key)
    if not path:
        return item[key]
    return {"vr": item[key].get("vr", "OW"), "InlineBinary": base64.b64encode(fetch(path)).decode("ascii")}
