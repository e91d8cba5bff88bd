"""Indexed text -> elements of a DICOM JSON object (PS3.18 Annex F; DICOM.md J1-J6). Pure."""

from __future__ import annotations

import re

import orjson

_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_INTEGER_VRS = frozenset({"IS", "US", "SS", "UL", "SL"})
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def encode_text(vr: str, text: str) -> bytes:
    """One element, `{"vr":...}`, from text whose values a backslash joins; no values give `vr` alone (J3)."""
    padding = " \0" if vr == "UI" else " "
    values = [_value(vr, part.strip(padding)) for part in text.split("\\")] if text else []
    if all(value is None for value in values):
        return b'{"vr":"%s"}' % vr.encode()
    return b'{"vr":"%s","Value":%s}' % (vr.encode(), orjson.dumps(values))


def join(elements: dict[int, bytes]) -> bytes:
    """The object of these elements, tags ascending (J1)."""
    return b"{" + b",".join(b'"%08X":%s' % (tag, elements[tag]) for tag in sorted(elements)) + b"}"


def sequence(items: list[bytes]) -> bytes:
    """A sequence element of these item objects."""
    return b'{"vr":"SQ","Value":[%s]}' % b",".join(items) if items else b'{"vr":"SQ"}'


def _value(vr: str, text: str) -> object:
    if text == "":
        return None
    if vr == "PN":
        groups = zip(_NAME_GROUPS, text.split("="), strict=False)
        return {name: group for name, group in groups if group} or None
    if vr in _INTEGER_VRS and _INTEGER.fullmatch(text):
        return int(text)
    return text
