"""Values of search keys -> matchers by VR (PS3.18 §8.3.4.1, PS3.4 §C.2.2.2, PS3.5 §6.2; DICOM.md Q8-Q13). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.errors import InvalidRequest
from storage.query import (
    MULTIPLE_VALUE_VRS,
    WILDCARD_VRS,
    AllOf,
    AnyOf,
    Empty,
    Fuzzy,
    Matcher,
    Range,
    Single,
    Universal,
    Wildcard,
)

LIST_LIMIT = 2000  # values in one list
ALL_LIMIT = 20  # values that must all be there
FUZZY_LIMIT = 20  # names in one list of fuzzy matching
VALUE_LIMIT = 1024  # characters in one value

UNMATCHABLE_VRS = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW"})
TEXT_VRS = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is content here (PS3.5 §6.2)
COMMA_LIST_VRS = frozenset(
    {"UI", "CS", "IS", "DS", "DA", "AS", "US", "SS", "UL", "SL"}
)  # a comma is never content here
NUMBER_VRS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"})

_UID = re.compile(r"[0-9.]{1,64}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
_OLD_DATE = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})")  # ACR-NEMA form, PS3.5 §6.2 note
_TIME = re.compile(r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?")
_ZONE = re.compile(r"\+(?:0[0-9]|1[0-4])[0-5][0-9]|-(?:0[0-9]|1[0-2])[0-5][0-9]")
_DATETIME = re.compile(r"[0-9]{4}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12][0-9]|3[01])(?:[0-9]{2,6}(?:\.[0-9]{1,6})?)?)?)?")


@dataclass(frozen=True, slots=True)
class Interval:
    """Both sides of a DA or TM value as sortable text, None where open; `is_range` when a dash was written."""

    low: str | None
    high: str | None
    is_range: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The kinds of matching that a search asks for besides the usual ones (PS3.18 §8.3.4.2, §8.3.4.5, §8.3.4.6)."""

    fuzzy: bool = False
    empty_value: bool = False
    multiple_value: bool = False


USUAL = Ways()


def matcher(vr: str, text: str, ways: Ways = USUAL, *, is_multi_valued: bool = False) -> Matcher:
    """The matcher of one key's value. Raises InvalidRequest with what the VR allows.

    `is_multi_valued`: the attribute may have several values, so that multiple value matching applies to it.
    """
    if text == "":
        return Universal()
    if ways.empty_value and text == '""':
        return Empty()
    if vr in UNMATCHABLE_VRS:
        raise InvalidRequest(f"a {vr} attribute has no value to compare with; name an attribute inside it")
    if vr in WILDCARD_VRS and set(text) == {"*"}:
        return Universal()
    values = _split(vr, text)
    if ways.fuzzy and vr == "PN":
        if len(values) > FUZZY_LIMIT:
            raise InvalidRequest(f"fuzzy matching takes at most {FUZZY_LIMIT} names")
        return Fuzzy(tuple(dict.fromkeys(_checked(vr, value) for value in values)))
    if ways.multiple_value and is_multi_valued and vr in MULTIPLE_VALUE_VRS and len(values) > 1:
        return _all_of(vr, values)
    if len(values) == 1:
        return _single(vr, values[0])
    if len(values) > LIST_LIMIT:
        raise InvalidRequest(f"a list may hold at most {LIST_LIMIT} values")
    if any("-" in value for value in values) and vr in ("DA", "TM", "DT"):
        raise InvalidRequest(f"a list of {vr} values cannot hold ranges")
    return AnyOf(tuple(dict.fromkeys(_checked(vr, value) for value in values)))


def interval(vr: str, text: str) -> Interval:
    """A DA, TM or DT value as an interval; each side spans its own precision (DICOM.md Q10). Raises InvalidRequest."""
    low_text, high_text, is_range = _cut_range(vr, text)
    if not is_range:
        low, high = _bounds(vr, low_text)
        return Interval(low, high, False)
    if not low_text and not high_text:
        raise InvalidRequest(f"a {vr} range needs at least one side")
    return Interval(
        _bounds(vr, low_text)[0] if low_text else None, _bounds(vr, high_text)[1] if high_text else None, True
    )


def _split(vr: str, text: str) -> list[str]:
    if vr in TEXT_VRS:
        return [text]
    pieces = text.split("\\")
    if vr in COMMA_LIST_VRS:
        pieces = [part for piece in pieces for part in piece.split(",")]
    kept = [piece for piece in (_stripped(vr, piece) for piece in pieces) if piece]
    if not kept:
        raise InvalidRequest("the value holds only separators or blanks")
    return kept


def _all_of(vr: str, values: list[str]) -> AllOf:
    if len(values) > ALL_LIMIT:
        raise InvalidRequest(f"at most {ALL_LIMIT} values can be asked to be there together")
    if any("*" in value or "?" in value for value in values):
        raise InvalidRequest("values that must all be there cannot hold wildcards (PS3.4 section C.2.2.2.8)")
    return AllOf(tuple(dict.fromkeys(_checked(vr, value) for value in values)))


def _stripped(vr: str, text: str) -> str:
    return text.strip(" \0") if vr == "UI" else text.strip(" ")


def _single(vr: str, value: str) -> Matcher:
    if vr in ("DA", "TM", "DT"):
        span = interval(vr, value)
        if span.is_range or not _is_exact(vr, value):
            return Range(span.low, span.high)
        return Single(span.low or "")
    checked = _checked(vr, value)
    if vr in WILDCARD_VRS and ("*" in checked or "?" in checked):
        return Universal() if set(checked) == {"*"} else Wildcard(checked)
    return Single(checked)


def _checked(vr: str, value: str) -> str:
    """`value` if the VR allows it in a search."""
    if len(value) > VALUE_LIMIT:
        raise InvalidRequest(f"a value may have at most {VALUE_LIMIT} characters")
    if vr == "UI" and not _UID.fullmatch(value):
        raise InvalidRequest("a UID is digits and dots, at most 64 characters; wildcards do not apply to UIDs")
    if vr in NUMBER_VRS and not _NUMBER.fullmatch(value):
        raise InvalidRequest(f"a {vr} value must be a number; wildcards do not apply to numbers")
    if vr in ("DA", "TM", "DT"):
        return _bounds(vr, value)[0]
    if "\0" in value:
        raise InvalidRequest("a value may not hold NUL characters")
    return value


def _cut_range(vr: str, text: str) -> tuple[str, str, bool]:
    """(low, high, whether a dash separates them). In DT a dash may be the sign of an offset (PS3.4 §C.2.2.2.5.1)."""
    text = text.strip(" ")
    if vr != "DT":
        low, dash, high = text.partition("-")
        return low.strip(), high.strip(), bool(dash)
    if _is_datetime(text):
        return text, "", False  # 20260305-0500 is a day with its offset, not a range up to the year 500
    for position, char in enumerate(text):
        low, high = text[:position].strip(), text[position + 1 :].strip()
        if char == "-" and (not low or _is_datetime(low)) and (not high or _is_datetime(high)):
            return low, high, True
    return text, "", False


def _bounds(vr: str, text: str) -> tuple[str, str]:
    """The first and last instant a value stands for."""
    if vr == "DA":
        return _date(text), _date(text)
    if vr == "TM":
        digits, _, fraction = _time(text).partition(".")
        low = f"{digits}{'000000'[len(digits) :]}.{fraction.ljust(6, '0')}"
        return low, f"{digits}{'005959'[len(digits) :]}.{fraction.ljust(6, '0' if fraction else '9')}"
    if not _is_datetime(text):
        raise InvalidRequest("not a date and time; write YYYYMMDDHHMMSS.FFFFFF, or less of it")
    moment = text[:-5] if _ZONE.fullmatch(text[-5:]) else text
    digits, _, fraction = moment.partition(".")
    first, last = "00000101000000", "99991231235959"
    low = f"{digits}{first[len(digits) :]}.{fraction.ljust(6, '0')}"
    high = f"{digits}{last[len(digits) :]}.{fraction.ljust(6, '0' if fraction else '9')}"
    return low, high


def _is_exact(vr: str, value: str) -> bool:
    """Whether a single value names one instant rather than an hour, a minute or a year."""
    digits = sum(char.isdigit() for char in value.partition(".")[0]) if vr == "TM" else len(value)
    return vr == "DA" or (vr == "TM" and digits >= 6)


def _date(text: str) -> str:
    old = _OLD_DATE.fullmatch(text)
    text = "".join(old.groups()) if old else text
    if not _DATE.fullmatch(text):
        raise InvalidRequest("not a date; write YYYYMMDD, or a range YYYYMMDD-YYYYMMDD")
    return text


def _time(text: str) -> str:
    text = text.replace(":", "")
    if not _TIME.fullmatch(text):
        raise InvalidRequest("not a time; write HHMMSS.FFFFFF, or less of it, or a range of two")
    return text


def _is_datetime(text: str) -> bool:
    moment = text[:-5] if _ZONE.fullmatch(text[-5:]) else text
    if not _DATETIME.fullmatch(moment):
        return False
    digits, dot, _ = moment.partition(".")
    return len(digits) <= 8 or (_TIME.fullmatch(digits[8:]) is not None and (not dot or len(digits) == 14))
