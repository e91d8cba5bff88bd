"""The level of attributes that are not indexed, so that a search never returns one from below (PS3.18 §10.6.3.3).

By module (PS3.3): what the Patient, Patient Study, Clinical Trial and General Study modules hold is study level here,
what General Series, Frame of Reference and General Equipment hold is series level, all the rest is instance level.
"""

from __future__ import annotations

from storage.attributes import BY_PATH, COMPUTED
from storage.records import Level

ORDER = {Level.STUDY: 0, Level.SERIES: 1, Level.INSTANCE: 2}

_STUDY_GROUPS = frozenset({0x0010, 0x0038})  # PS3.3 §C.7.1.1, §C.7.1.3, §C.7.2.2: patient, patient study, visit
_STUDY_TAGS = frozenset(
    {0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080090, 0x00080096, 0x0008009C, 0x0008009D}
    | {0x00081030, 0x00081032, 0x00081048, 0x00081049, 0x00081060, 0x00081062, 0x00081080, 0x00081084, 0x00081110}
    | {0x00200010, 0x0020000D, 0x00321030, 0x00321031, 0x00321032, 0x00321033, 0x00401012}  # §C.7.2.1
    | {0x00120010, 0x00120020, 0x00120021, 0x00120030, 0x00120031, 0x00120040, 0x00120042, 0x00120050, 0x00120051}
    | {0x00120062, 0x00120063, 0x00120064}  # §C.7.1.3, §C.7.2.3
)
_SERIES_TAGS = frozenset(
    {0x00080060, 0x00080021, 0x00080031, 0x0008103E, 0x0008103F, 0x00081050, 0x00081052, 0x00081070, 0x00081072}
    | {0x00081111, 0x00081250, 0x00180015, 0x00181030, 0x00185100, 0x0020000E, 0x00200011, 0x00200060, 0x00280108}
    | {0x00280109, 0x00400244, 0x00400245, 0x00400250, 0x00400251, 0x00400253, 0x00400254, 0x00400255, 0x00400260}
    | {0x00400275, 0x00400280}  # §C.7.3.1
    | {0x00200052, 0x00201040}  # §C.7.4.1
    | {0x00080070, 0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00081090, 0x00181000, 0x00181002, 0x00181008}
    | {0x00181020, 0x00181050, 0x00181200, 0x00181201, 0x00280120}  # §C.7.5.1
    | {0x00120060, 0x00120071, 0x00120072}  # §C.7.3.2
)
_COMPUTED_LEVELS = {tag: level for tag, _, level in COMPUTED.values()}


_PATIENT_STUDY_TAGS = frozenset({0x00101010, 0x00101020, 0x00101030, 0x00102180, 0x001021B0})  # PS3.3 §C.7.2.2


def is_of_patient(path: tuple[int, ...]) -> bool:
    """Whether an attribute describes the patient, not one of their studies (PS3.3 §C.7.1.1)."""
    return path[0] >> 16 == 0x0010 and path[0] not in _PATIENT_STUDY_TAGS


def level_of(path: tuple[int, ...]) -> Level:
    """The level of an attribute by its path."""
    if path in BY_PATH:
        return BY_PATH[path].level
    outer = path[0]
    if outer in _COMPUTED_LEVELS:
        return _COMPUTED_LEVELS[outer]
    if outer in _STUDY_TAGS or outer >> 16 in _STUDY_GROUPS:
        return Level.STUDY
    return Level.SERIES if outer in _SERIES_TAGS else Level.INSTANCE


def reaches(level: Level, path: tuple[int, ...]) -> bool:
    """Whether a result at `level` may carry this attribute: its own level or one above."""
    return ORDER[level_of(path)] <= ORDER[level]
