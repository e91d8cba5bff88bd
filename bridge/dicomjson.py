"""DICOM JSON model, written straight as bytes, one value field at a time (PS3.18 Annex F). Pure.

A writer turns the bytes of a value field into what follows `"vr":"XX"`, closing brace included: `,"Value":[...]}`, or
just `}` when nothing is left after the padding. It returns None when its VR has no JSON for these bytes (NaN, a length
that is no multiple of the word): the caller then gives the value by reference.
"""

from __future__ import annotations

import binascii
import math
import re
import struct
from collections.abc import Callable

import orjson

from bridge.charset import TextDecoder
from bridge.dictionary import BINARY, WORD_BYTES

Writer = Callable[[bytes, TextDecoder], bytes | None]

NO_VALUE = b"}"
UTF_8 = b',"Value":["ISO_IR 192"]}'  # all text in DICOM JSON is UTF-8 (PS3.18 §F.2.2)
BULK_BASE = b"\0"  # stands for the place of the instance's bulk data; no JSON text can hold this byte

# Deleting these leaves nothing of a value that can stand between quotes as it is, or be a list of plain numbers.
_PLAIN = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
_DIGITS = b"0123456789.-\\"
_LOOSE_NUMBER = re.compile(r"([-+]?)0*([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]{1,2}))?").fullmatch
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")  # PS3.18 Table F.2.3-1


def key_prefix(tag: int, vr: str) -> bytes:
    """What stands before a writer's answer, with the comma that the first element of an object drops."""
    return b',"%08X":{"vr":"%s"' % (tag, vr.encode("ascii"))


def inline_binary(value: bytes) -> bytes:
    """`value`, little-endian words, as InlineBinary (PS3.18 §F.2.7)."""
    return b',"InlineBinary":"' + binascii.b2a_base64(value, newline=False) + b'"}'


def _binary(vr: str, *, big_endian: bool) -> Writer:
    """OB, OW and their like: the whole value field in base64."""
    if big_endian and vr in WORD_BYTES:
        return lambda value, _: inline_binary(swap_words(value, vr))
    return lambda value, _: inline_binary(value)


def skip(_value: bytes, _text: TextDecoder) -> bytes:
    """The writer of elements that DICOM JSON leaves out."""
    return b""


def bulk_reference(path: str) -> bytes:
    """A BulkDataURI below the placeholder BULK_BASE (PS3.18 §F.2.6)."""
    return b',"BulkDataURI":"' + BULK_BASE + path.encode("ascii") + b'"}'


def swap_words(value: bytes, vr: str) -> bytes:
    """`value` with each word's bytes reversed: big endian to little endian and back. A partial last word stays."""
    width = WORD_BYTES.get(vr, 1)
    if width == 1:
        return value
    swapped = bytearray(value)
    whole = len(value) // width * width
    for byte in range(width):
        swapped[byte:whole:width] = value[width - 1 - byte : whole : width]
    return bytes(swapped)


def _code(value: bytes, text: TextDecoder) -> bytes | None:
    """AE, AS, CS, DA, DT, TM, UI: padding has no meaning on either side (PS3.5 §6.2)."""
    value = value.strip(b" \0")
    if not value.translate(None, _PLAIN):
        return b',"Value":["' + value + b'"]}' if value else NO_VALUE
    return _values([part.strip(" \0") for part in text.decode(value, "CS").split("\\")])


def _string(value: bytes, text: TextDecoder) -> bytes | None:
    """LO, SH, UC: trailing padding has no meaning."""
    value = value.rstrip(b" \0")
    if not value.translate(None, _PLAIN):
        return b',"Value":["' + value + b'"]}' if value else NO_VALUE
    return _values([part.rstrip(" \0") for part in text.decode(value, "LO").split("\\")])


def _text(value: bytes, text: TextDecoder) -> bytes | None:
    """LT, ST, UT, UR: one value, backslash is a character."""
    return _values([text.decode(value, "LT").rstrip(" \0")])


def _name(value: bytes, text: TextDecoder) -> bytes | None:
    """PN: component groups, split after decoding (PS3.18 §F.2.3)."""
    value = value.rstrip(b" \0")
    if not value.translate(None, _PLAIN) and 0x3D not in value:
        return b',"Value":[{"Alphabetic":"' + value + b'"}]}' if value else NO_VALUE
    names: list[dict[str, str] | None] = []
    for name in text.decode(value, "PN").split("\\"):
        groups = zip(_NAME_GROUPS, name.split("="), strict=False)
        names.append({key: part.rstrip(" \0") for key, part in groups if part.rstrip(" \0")} or None)
    return b',"Value":' + orjson.dumps(names) + b"}" if any(names) else NO_VALUE


def _decimal(value: bytes, text: TextDecoder) -> bytes | None:
    """DS, IS: the digits as sent when they are a JSON number, else made one, else a string (PS3.18 §F.2.5)."""
    value = value.strip(b" \0")
    if value and not value.translate(None, _DIGITS):
        numbers = b"[" + value.replace(b"\\", b",") + b"]"
        if _is_json(numbers):
            return b',"Value":' + numbers + b"}"
    parts = [part.strip(" \0") for part in text.decode(value, "DS").split("\\")]
    if not any(parts):
        return NO_VALUE
    return b',"Value":[' + b",".join([_number(part) for part in parts]) + b"]}"


def _is_json(numbers: bytes) -> bool:
    """Do digits, points, signs and commas make a JSON array of numbers that a double can hold?"""
    try:
        orjson.loads(numbers)
    except orjson.JSONDecodeError:
        return False
    return True


def _number(part: str) -> bytes:
    """`+1.`, `.5` and `007` as JSON numbers with the same digits; anything that is no number as a string."""
    match = _LOOSE_NUMBER(part)
    if match is None or not (match[2] or match[3] or part.strip("+-").startswith("0")):
        return orjson.dumps(part) if part else b"null"
    if len(match[2]) > 16:
        return orjson.dumps(part)  # more digits than a double keeps
    sign = "-" if match[1] == "-" else ""
    fraction = f".{match[3]}" if match[3] else ""
    exponent = f"e{match[4]}" if match[4] else ""
    return f"{sign}{match[2] or '0'}{fraction}{exponent}".encode("ascii")


def _values(parts: list[str]) -> bytes:
    """Strings as a Value array; an empty one among others is null (PS3.18 §F.2.5)."""
    if not any(parts):
        return NO_VALUE
    return b',"Value":' + orjson.dumps([part or None for part in parts]) + b"}"


def _integers(order: str, code: str) -> Writer:
    single = struct.Struct(order + code)
    width = single.size

    def write(value: bytes, _: TextDecoder) -> bytes | None:
        if len(value) == width:
            number: int = single.unpack(value)[0]
            return b',"Value":[%d]}' % number
        if len(value) % width:
            return None
        numbers = struct.unpack(f"{order}{len(value) // width}{code}", value)
        return b',"Value":' + orjson.dumps(numbers) + b"}"

    return write


def _floats(order: str, code: str) -> Writer:
    width = struct.calcsize(code)

    def write(value: bytes, _: TextDecoder) -> bytes | None:
        if len(value) % width:
            return None
        numbers = struct.unpack(f"{order}{len(value) // width}{code}", value)
        if not all(map(math.isfinite, numbers)):
            return None
        if code == "f":
            return b',"Value":[' + ",".join([shortest_float32(number) for number in numbers]).encode("ascii") + b"]}"
        return b',"Value":' + orjson.dumps(numbers) + b"}"

    return write


_FLOAT32 = struct.Struct("<f")
_SMALLEST_NORMAL = 2.0**-126  # of float32


def shortest_float32(number: float) -> str:
    """The shortest decimal that reads back as the same float32: 1.1, not 1.10000002384. `number` is finite.

    Denormal numbers keep nine digits: their shortest form reads back too, but is far off for who reads doubles.
    """
    for digits in range(6 if abs(number) >= _SMALLEST_NORMAL else 9, 10):
        decimal = f"{number:.{digits}g}"
        try:
            if _FLOAT32.unpack(_FLOAT32.pack(float(decimal)))[0] == number:
                break
        except OverflowError:  # rounded above the largest float32
            continue
    return decimal if "." in decimal or "e" in decimal else decimal + ".0"


def _tags(order: str) -> Writer:
    pair = struct.Struct(order + "HH")

    def write(value: bytes, _: TextDecoder) -> bytes | None:
        if len(value) % 4:
            return None
        tags = [b'"%04X%04X"' % numbers for numbers in pair.iter_unpack(value)]
        return b',"Value":[' + b",".join(tags) + b"]}"

    return write


_STRING_WRITERS: dict[str, Writer] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI"), _code),
    **dict.fromkeys(("LO", "SH", "UC"), _string),
    **dict.fromkeys(("LT", "ST", "UR", "UT"), _text),
    **dict.fromkeys(("DS", "IS"), _decimal),
    "PN": _name,
}
_NUMBER_CODES = {"SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}


def writers(*, big_endian: bool) -> dict[str, Writer]:
    """VR -> writer, for every VR but SQ."""
    order = ">" if big_endian else "<"
    numbers = {vr: _integers(order, code) for vr, code in _NUMBER_CODES.items()}
    return {
        **_STRING_WRITERS,
        **numbers,
        **{vr: _binary(vr, big_endian=big_endian) for vr in BINARY},
        "AT": _tags(order),
        "FD": _floats(order, "d"),
        "FL": _floats(order, "f"),
    }
