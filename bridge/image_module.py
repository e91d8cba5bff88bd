"""The Image Pixel Module of metadata that came with none or part of it: completed, checked (PS3.3 §C.7.6.3). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.compose import Document
from bridge.element_writer import refusal
from bridge.frames import PixelDescription
from bridge.stream_description import LOSSY_METHODS, StreamDescription

PIXEL_DATA = 0x7FE00010
_SAMPLES, _PHOTOMETRIC, _PLANAR, NUMBER_OF_FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS, BITS_ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION = (
    0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103,
)  # fmt: skip
_LOSSY, _LOSSY_METHOD = 0x00282110, 0x00282114
_NAMES = {
    _SAMPLES: "SamplesPerPixel", _PHOTOMETRIC: "PhotometricInterpretation", _ROWS: "Rows", _COLUMNS: "Columns",
    BITS_ALLOCATED: "BitsAllocated", _STORED: "BitsStored", _HIGH_BIT: "HighBit", NUMBER_OF_FRAMES: "NumberOfFrames",
    _REPRESENTATION: "PixelRepresentation",
}  # fmt: skip
_REQUIRED = (_SAMPLES, _PHOTOMETRIC, _ROWS, _COLUMNS, BITS_ALLOCATED, _STORED, _HIGH_BIT, _REPRESENTATION)
_DECIDED_BY_THE_STREAM = (_SAMPLES, _ROWS, _COLUMNS, BITS_ALLOCATED)


def completed(
    document: Document, found: StreamDescription | None, *, frames: int, lossy: bool = False, media_type: str = ""
) -> Document:
    """The document with what it leaves out of the Image Pixel Module (PS3.3 §C.7.6.3). Raises InvalidInstance."""
    described: dict[int, Mapping[str, Any]] = dict(document)
    if found is not None:
        derived = _derived(found, frames)
        for tag in _DECIDED_BY_THE_STREAM:
            if number(document, tag) not in (0, derived[tag]["Value"][0]):
                raise refusal(tag, f"{_NAMES[tag]} is not that of the pixel data")
        _check_colour(document, found)
        given = {tag: item for tag, item in document.items() if item.get("Value") or tag not in derived}
        described = {**derived, **given, **{tag: derived[tag] for tag in derived if tag == _PLANAR}}
    elif frames > 1:
        described.setdefault(NUMBER_OF_FRAMES, _value("IS", frames))
    if lossy:
        described.setdefault(_LOSSY, _value("CS", "01"))
        described.setdefault(_LOSSY_METHOD, _value("CS", LOSSY_METHODS[media_type]))
    if max(1, number(described, NUMBER_OF_FRAMES)) != frames and not media_type.startswith("video/"):
        raise refusal(NUMBER_OF_FRAMES, f"NumberOfFrames is not the number of frames that came, {frames}")
    if media_type.startswith("video/") and not number(described, NUMBER_OF_FRAMES):
        raise refusal(NUMBER_OF_FRAMES, "NumberOfFrames is missing, and the video does not tell it")
    require(described)
    return described


def _check_colour(document: Document, found: StreamDescription) -> None:
    """RGB is not YBR: viewers would show false colours. Raises InvalidInstance."""
    said = document.get(_PHOTOMETRIC, {}).get("Value") or [found.photometric_interpretation]
    if found.colour_is_certain and (said[0] == "RGB") != (found.photometric_interpretation == "RGB"):
        raise refusal(_PHOTOMETRIC, f"the colours of the pixel data are {found.photometric_interpretation}")


def _derived(found: StreamDescription, frames: int) -> dict[int, Mapping[str, Any]]:
    colour = {_PLANAR: _value("US", 0)} if found.samples_per_pixel > 1 else {}
    many = frames if frames > 1 else found.frames
    return {
        _SAMPLES: _value("US", found.samples_per_pixel),
        _PHOTOMETRIC: _value("CS", found.photometric_interpretation),
        **colour,
        **({NUMBER_OF_FRAMES: _value("IS", many)} if many > 1 else {}),
        _ROWS: _value("US", found.rows),
        _COLUMNS: _value("US", found.columns),
        BITS_ALLOCATED: _value("US", found.bits_allocated),
        _STORED: _value("US", found.bits_stored),
        _HIGH_BIT: _value("US", found.bits_stored - 1),
        _REPRESENTATION: _value("US", found.pixel_representation),
    }


def require(document: Document) -> None:
    """Raise InvalidInstance for the first attribute that pixel data cannot do without and that is not there."""
    for tag in _REQUIRED:
        if not document.get(tag, {}).get("Value"):
            raise refusal(tag, f"{_NAMES[tag]} is missing")


def description(document: Document) -> PixelDescription:
    """What describes the native pixels of a document that has all of it. Raises InvalidInstance."""
    return PixelDescription(
        rows=number(document, _ROWS), columns=number(document, _COLUMNS),
        samples_per_pixel=number(document, _SAMPLES), bits_allocated=number(document, BITS_ALLOCATED),
        bits_stored=number(document, _STORED), high_bit=number(document, _HIGH_BIT),
        pixel_representation=number(document, _REPRESENTATION),
        photometric_interpretation=str(document[_PHOTOMETRIC]["Value"][0]), planar_configuration=0,
        number_of_frames=max(1, number(document, NUMBER_OF_FRAMES)), tag=PIXEL_DATA, vr="OW",
    )  # fmt: skip


def number(document: Document, tag: int) -> int:
    """The first value as a number; 0 when there is none. Raises InvalidInstance for what is no number."""
    values = document.get(tag, {}).get("Value")
    if not values:
        return 0
    try:
        return int(values[0])
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise refusal(tag, f"{_NAMES.get(tag, 'the value')} is no number") from error


def _value(vr: str, value: str | int) -> Mapping[str, Any]:
    return {"vr": vr, "Value": [value]}
