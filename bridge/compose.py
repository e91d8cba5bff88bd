"""A data set from its DICOM JSON and the bulk values beside it, in Explicit VR Little Endian (PS3.18 §F, PS3.5 §7).

It comes out piece by piece in ascending order of tags; long values are never held. What is not written: group lengths,
groups 0000 and 0002. The character set is UTF-8 and says so (PS3.18 §F.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from bridge.bulk_parts import BulkPart, BulkParts
from bridge.dictionary import KNOWN, vr_of
from bridge.element_writer import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    element,
    header,
    inline_binary,
    refusal,
)
from bridge.errors import InvalidInstance
from bridge.syntaxes import OCTETS

Document: TypeAlias = Mapping[int, Mapping[str, Any]]  # tag -> DICOM JSON element
Bulk: TypeAlias = Callable[[int, str, str], Iterator[bytes]]  # (tag, VR, location) -> the whole element

CHARSET_TAG = 0x00080005
_PIXEL_REPRESENTATION = "00280103"
_TAG = re.compile("[0-9A-Fa-f]{8}")
_FORMS = frozenset({"Value", "BulkDataURI", "InlineBinary"})
_SIGNED = ({"vr": "US", "Value": [1]}, {"Value": [1]})
_UTF_8 = {"vr": "CS", "Value": ["ISO_IR 192"]}


def normalised(document: object) -> Document:
    """One object of the DICOM JSON model with tags as numbers and every VR known, nested ones left for later.

    Raises InvalidInstance for what is none, with the tag where there is one.
    """
    if not isinstance(document, dict):
        raise InvalidInstance("a data set is no JSON object")
    found: dict[int, Mapping[str, Any]] = {}
    signed = document.get(_PIXEL_REPRESENTATION, {}) in _SIGNED
    for key, value in document.items():
        if not _TAG.fullmatch(key):
            raise InvalidInstance("the key of an attribute is not a tag of eight hexadecimal digits")
        tag = int(key, 16)
        group = tag >> 16
        if group in (0x0000, 0x0002) or tag & 0xFFFF == 0:
            continue
        if group in (0xFFFE, 0xFFFF):
            raise refusal(tag, "this is no attribute")
        if not isinstance(value, dict):
            raise refusal(tag, "the attribute is no JSON object")
        if tag in found:
            raise refusal(tag, "the attribute is there twice")
        found[tag] = _checked(tag, value, signed=signed)
    return found


def compose(document: Document, bulk: Bulk, *, depth_limit: int) -> Iterator[bytes]:
    """The pieces of the data set. Raises InvalidInstance, and what `bulk` raises."""
    return _elements({**document, CHARSET_TAG: _UTF_8}, bulk, depth_limit)


def bulk_value(parts: BulkParts) -> Bulk:
    """Bulk values that are written as they came, little-endian words (PS3.18 §10.5.1.4)."""

    def write(tag: int, vr: str, location: str) -> Iterator[bytes]:
        part = only(tag, parts, location)
        if part.media_type != OCTETS:
            raise refusal(tag, f"its bulk data are {part.media_type}, which has no place there")
        return whole_value(tag, vr, part)

    return write


def only(tag: int, parts: BulkParts, location: str) -> BulkPart:
    """The one part at a location. Raises InvalidInstance when there is none, or more."""
    found = parts.at(location)
    if len(found) != 1:
        raise refusal(tag, "its bulk data came twice" if found else "its bulk data are not among the parts")
    return found[0]


def whole_value(tag: int, vr: str, part: BulkPart) -> Iterator[bytes]:
    """An element whose value is one part. Raises InvalidInstance when it is longer than an element can be."""
    length = part.size + part.size % 2
    if length >= UNDEFINED:
        raise refusal(tag, "the value is longer than an element can be")
    yield header(tag, vr, length)
    yield from part.chunks()
    if part.size % 2:
        yield b"\0"


def _elements(document: Document, bulk: Bulk, depth: int) -> Iterator[bytes]:
    for tag in sorted(document):
        item = document[tag]
        vr = item["vr"]
        if "BulkDataURI" in item:
            location = item["BulkDataURI"]
            if not isinstance(location, str) or vr == "SQ":
                raise refusal(tag, "the BulkDataURI is none")
            yield from bulk(tag, vr, location)
        elif "InlineBinary" in item:
            yield inline_binary(tag, vr, item["InlineBinary"])
        elif vr == "SQ":
            yield from _sequence(tag, item.get("Value", []), bulk, depth)
        else:
            yield element(tag, vr, item.get("Value", []))


def _sequence(tag: int, items: list[Any], bulk: Bulk, depth: int) -> Iterator[bytes]:
    if not depth:
        raise refusal(tag, "sequences are nested deeper than ingest.depth_limit")
    yield header(tag, "SQ", UNDEFINED)
    for item in items:
        inner = {**normalised(item or {})}
        inner.pop(CHARSET_TAG, None)
        yield ITEM
        yield from _elements(inner, bulk, depth - 1)
        yield ITEM_END
    yield SEQUENCE_END


def _checked(tag: int, item: Mapping[str, Any], *, signed: bool) -> Mapping[str, Any]:
    vr = item.get("vr")
    if vr is None:
        vr = vr_of(tag)
        if " or " in vr:  # PS3.6 leaves these to the context
            vr = "OW" if "OW" in vr else "SS" if signed else "US"
    if not isinstance(vr, str) or vr not in KNOWN:
        raise refusal(tag, "the vr is none")
    if not isinstance(item.get("Value", []), list):
        raise refusal(tag, "Value is no array")
    if len(_FORMS & item.keys()) > 1:
        raise refusal(tag, "there is more than one of Value, InlineBinary and BulkDataURI")
    return {**item, "vr": vr}
