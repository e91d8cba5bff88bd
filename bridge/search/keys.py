"""The keys of a search -> criteria of a Query, with one meaning at both doors (PS3.4 §C.2.2.2, PS3.18 §8.3.4.1). Pure.

A key is an attribute's path and its value as text. What cannot be searched for raises InvalidRequest with a sentence
that names the way out (DICOM.md Q21).
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.errors import InvalidRequest
from bridge.search.levels import ORDER, is_of_patient
from bridge.search.matchers import USUAL, Ways, interval, matcher
from bridge.search.tags import creator_of, is_multi_valued, vr_of
from storage.attributes import BY_PATH, COMPUTED, MATCHABLE_COMPUTED
from storage.query import Criterion, DateTimeRange, Matcher, Universal
from storage.records import Level

Keys = Mapping[tuple[int, ...], str]  # path -> value; empty asks for the attribute's return

PAIRS = {  # date -> time that may be one interval (PS3.4 §C.2.2.2.5.4, PS3.18 §8.3.4.1.1; Q11)
    (0x00080020,): (0x00080030,),
    (0x00080021,): (0x00080031,),
    (0x00080022,): (0x00080032,),
    (0x00080023,): (0x00080033,),
    (0x00100030,): (0x00100032,),
    (0x00400244,): (0x00400245,),
}
_NO_KEYS = frozenset({0x00080005, 0x00080201})  # they say how the others are to be read (DICOM.md E8)
_RETRIEVE_URL = 0x00081190
_COMPUTED_KEYS: dict[tuple[int, ...], tuple[str, Level]] = {
    (tag,): (keyword, level) for keyword, (tag, _, level) in COMPUTED.items()
}


def check(keys: Keys, level: Level) -> None:
    """Refuse what a search at `level` cannot match. Raises InvalidRequest."""
    for path, value in keys.items():
        creator = creator_of(path[-1])
        if creator is not None and (*path[:-1], creator) not in keys:
            raise InvalidRequest(f"a private attribute needs its private creator {creator:08X} as another key")
        if path in _COMPUTED_KEYS and value and _COMPUTED_KEYS[path][0] not in MATCHABLE_COMPUTED:
            raise InvalidRequest(f"{_COMPUTED_KEYS[path][0]} is computed and cannot be searched for")
        if path == (_RETRIEVE_URL,) and value:
            raise InvalidRequest("RetrieveURL cannot be searched for")
        own = BY_PATH[path].level if path in BY_PATH else _COMPUTED_KEYS.get(path, ("", Level.STUDY))[1]
        if value and ORDER[own] > ORDER[level]:
            hint = "; ModalitiesInStudy is its study form" if path == (0x00080060,) else ""
            keyword = BY_PATH[path].keyword if path in BY_PATH else _COMPUTED_KEYS[path][0]
            raise InvalidRequest(f"{keyword} belongs to a lower level than this search returns{hint}")


def check_patient(keys: Keys) -> None:
    """Refuse what a search for patients cannot match. Raises InvalidRequest."""
    for path, value in keys.items():
        if value and not is_of_patient(path):
            raise InvalidRequest(f"{path[0]:08X} belongs to a lower level than the patient's")


def criteria(
    keys: Keys, ways: Ways = USUAL, *, combined: bool = True
) -> tuple[tuple[Criterion, ...], tuple[DateTimeRange, ...]]:
    """Matchers of all keys; where `combined`, a date range and its time range become one interval."""
    found, intervals, paired = [], [], set[tuple[int, ...]]()
    for date_path, time_path in PAIRS.items() if combined else ():
        sides = _combined(keys.get(date_path, ""), keys.get(time_path, ""))
        if sides is not None:
            intervals.append(DateTimeRange(date_path, time_path, *sides))
            paired |= {date_path, time_path}
    for path, value in keys.items():
        if path in paired or path[-1] in _NO_KEYS:
            continue
        vr = vr_of(path)
        wanted = _named_matcher(path, vr, value, ways)
        if not isinstance(wanted, Universal):
            found.append(Criterion(path, vr, wanted))
    return tuple(found), tuple(intervals)


def _named_matcher(path: tuple[int, ...], vr: str, value: str, ways: Ways) -> Matcher:
    """As `matcher`, with the attribute's name in the error."""
    try:
        return matcher(vr, value, ways, is_multi_valued=ways.multiple_value and is_multi_valued(path[-1]))
    except InvalidRequest as error:
        raise InvalidRequest(f"{'.'.join(f'{tag:08X}' for tag in path)}: {error}") from error


def _combined(date: str, time: str) -> tuple[str | None, str | None] | None:
    """Both sides `YYYYMMDDHHMMSS.FFFFFF`, or None when the two are not one interval."""
    if not date or not time or any(mark in date + time for mark in ('"', "\\", ",")):
        return None
    days, hours = interval("DA", date), interval("TM", time)
    if not (days.is_range and hours.is_range):
        return None
    low = None if days.low is None else days.low + (hours.low or "000000.000000")
    high = None if days.high is None else days.high + (hours.high or "235959.999999")
    return low, high
