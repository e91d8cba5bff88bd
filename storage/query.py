"""A search as plain values: level, matches, paging (PS3.4 §C.2.2.2, PS3.18 §8.3.4). Pure.

`satisfies` is the meaning of every kind of matching, written once in plain Python. The index must agree with it (a test
compares them on random archives), and the scan over unindexed attributes uses it directly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from storage.names import fold, person_name_forms, sounds_like
from storage.records import Level, ResourceRef

NUMBER_VRS = frozenset({"IS", "DS", "US", "SS", "UL", "SL"})  # compared as numbers
WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})  # PS3.4 §C.2.2.2.4
RANGE_VRS = frozenset({"DA", "TM", "DT"})  # PS3.4 §C.2.2.2.5


@dataclass(frozen=True, slots=True)
class Single:
    """Single value matching (PS3.4 §C.2.2.2.1): exact; case-sensitive but for PN."""

    value: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """List of UID matching, and lists of other values as OR (PS3.4 §C.2.2.2.2; DICOM.md Q12, Q30)."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`*` any run, `?` any one character (PS3.4 §C.2.2.2.4). `*` alone is Universal."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive range; None leaves a side open (PS3.4 §C.2.2.2.5).

    Both sides are full-precision text that sorts: DA `YYYYMMDD`, TM `HHMMSS.FFFFFF`.
    """

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class Universal:
    """Matches everything, absent and empty too; asks for the attribute's return."""


@dataclass(frozen=True, slots=True)
class Empty:
    """Empty value matching (PS3.18 §8.3.4.5): absent or zero length."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Multiple value matching (PS3.4 §C.2.2.2.8): every one of these is among the attribute's values."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """Fuzzy semantic matching of person names (PS3.4 §C.2.2.2.1.1): what `AnyOf` finds, and what sounds like a value.

    A name sounds like a value when each word of the value begins a word of the name: in any order, with or without
    spaces and carets, without case and accents, Chinese names also by pinyin and initials (storage/names.py).
    """

    values: tuple[str, ...]


Matcher = Single | AnyOf | AllOf | Wildcard | Fuzzy | Range | Universal | Empty
MULTIPLE_VALUE_VRS = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"})  # PS3.4 §C.2.2.2.8


@dataclass(frozen=True, slots=True)
class Criterion:
    """One key of a search. `path` is the tag, or the tags through sequences from the outside in."""

    path: tuple[int, ...]
    vr: str
    matcher: Matcher


@dataclass(frozen=True, slots=True)
class DateTimeRange:
    """A date and a time key read as one interval (PS3.18 §8.3.4.1.1). Sides are `YYYYMMDDHHMMSS.FFFFFF` or None."""

    date_path: tuple[int, ...]
    time_path: tuple[int, ...]
    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search within one site. `scope` narrows to a study or series; `level` is what comes back.

    `wanted`: keywords of attributes; nothing else but InstanceAvailability has to be looked up. None: all there is.
    """

    site: str
    level: Level
    criteria: tuple[Criterion, ...] = ()
    intervals: tuple[DateTimeRange, ...] = ()
    scope: ResourceRef | None = None
    limit: int = 100
    offset: int = 0
    wanted: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One result: its reference and every indexed and computed attribute of its own level and the levels above, or
    those that were wanted.

    `attributes` maps keywords of storage/attributes.py (ATTRIBUTES and COMPUTED) to text, values joined by a backslash,
    absent ones left out. `revision` grows whenever anything below the resource changes: with the reference it keys
    caches.
    """

    ref: ResourceRef
    attributes: Mapping[str, str]
    revision: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of results in the stable order of DICOM.md Q17, and how many are left after it.

    `seq`: of the last change in the site that it shows; pages of the same one join without gap or repetition.
    """

    found: Sequence[Found]
    remaining: int
    seq: int = 0


def satisfies(matcher: Matcher, vr: str, values: Sequence[str]) -> bool:
    """Whether an attribute with these values (none when absent) matches: the definition the index is tested by."""
    present = [value for value in (significant(vr, value) for value in values) if value]
    match matcher:
        case Universal():
            return True
        case Empty():
            return not present
        case Single(value):
            return _any_single(vr, value, present)
        case AnyOf(wanted):
            return any(
                satisfies(
                    Wildcard(value) if vr in WILDCARD_VRS and _has_wildcard(value) else Single(value), vr, present
                )
                for value in wanted
            )
        case AllOf(wanted):
            return all(_any_single(vr, value, present) for value in wanted)
        case Fuzzy(wanted):
            return satisfies(AnyOf(wanted), vr, values) or any(sounds_like(value, present) for value in wanted)
        case Wildcard(pattern):
            regex = wildcard_regex(fold(pattern) if vr == "PN" else pattern)
            return any(regex.fullmatch(text) for value in present for text in _comparable(vr, value))
        case Range(low, high):
            keys = (sort_key(vr, value) for value in present)
            return any(key is not None and _within(str(key), low, high) for key in keys)


def satisfies_interval(interval: DateTimeRange, dates: Sequence[str], times: Sequence[str]) -> bool:
    """Whether the first date and the first time lie in the interval; without a usable time the whole day counts."""
    date = sort_key("DA", dates[0]) if dates else None
    time = sort_key("TM", times[0]) if times else None
    if date is None:
        return False
    if time is None:
        return _within(str(date), interval.low and interval.low[:8], interval.high and interval.high[:8])
    return _within(f"{date}{time}", interval.low, interval.high)


@lru_cache(maxsize=256)
def wildcard_regex(pattern: str) -> re.Pattern[str]:
    """The regular expression of a wildcard pattern; only `*` and `?` are special."""
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL)


def full_precision(vr: str, value: str) -> str:
    """A stored DA or TM as sortable text: old separators dropped, TM padded to `HHMMSS.FFFFFF` (PS3.5 §6.2)."""
    if vr == "DA":
        return value.replace(".", "").replace("-", "")
    if vr == "TM":
        digits, _, fraction = value.replace(":", "").partition(".")
        return f"{digits.ljust(6, '0')}.{fraction.ljust(6, '0')}"
    return value


def sort_key(vr: str, value: str) -> str | float | None:
    """What a DA, TM or number is compared by; None for text that is no such value (it matches nothing but presence)."""
    value = significant(vr, value)
    if vr in NUMBER_VRS:
        return _number(value)
    text = full_precision(vr, value)
    shape = _SHAPES.get(vr)
    return text if shape is None or shape.fullmatch(text) else None


_SHAPES = {"DA": re.compile(r"[0-9]{8}"), "TM": re.compile(r"[0-9]{6}\.[0-9]{6}")}  # after full_precision
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")  # PS3.5 §6.2 IS, DS


def _any_single(vr: str, value: str, present: Sequence[str]) -> bool:
    wanted = significant(vr, value)
    if vr == "PN":
        folded = fold(wanted.rstrip("^= "))
        return any(folded in person_name_forms(text) for text in present)
    if vr in RANGE_VRS or vr in NUMBER_VRS:
        key = sort_key(vr, wanted)
        return key is not None and any(sort_key(vr, text) == key for text in present)
    return wanted in present


def _number(text: str) -> float | None:
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None


def _comparable(vr: str, value: str) -> list[str]:
    return person_name_forms(value) if vr == "PN" else [value]


def significant(vr: str, value: str) -> str:
    """The value without its insignificant padding (PS3.5 §6.2)."""
    return (
        value.rstrip("\0 ") if vr == "UI" else value.strip(" ") if vr not in ("LT", "ST", "UT") else value.rstrip(" ")
    )


def _has_wildcard(value: str) -> bool:
    return "*" in value or "?" in value


def _within(value: str, low: str | None, high: str | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
