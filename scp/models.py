"""Query/Retrieve information models: SOP classes, levels, unique keys, negotiable options (PS3.4 Annex C). Tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PATIENT, STUDY, SERIES, IMAGE = "PATIENT", "STUDY", "SERIES", "IMAGE"

# PS3.4 §C.6.1.1, §C.6.2.1: level -> its unique key.
UNIQUE_KEYS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        PATIENT: ("PatientID", 0x00100020),
        STUDY: ("StudyInstanceUID", 0x0020000D),
        SERIES: ("SeriesInstanceUID", 0x0020000E),
        IMAGE: ("SOPInstanceUID", 0x00080018),
    }
)


@dataclass(frozen=True, slots=True)
class Model:
    """One SOP class: its service, and the levels of its information model from the top."""

    uid: str
    name: str
    service: str  # "find" | "move" | "get"
    levels: tuple[str, ...]


_ROOTS = (  # PS3.4 §C.6.1, §C.6.2, and §C.6.3 that was retired in 2004
    ("1", "Patient Root", "", (PATIENT, STUDY, SERIES, IMAGE)),
    ("2", "Study Root", "", (STUDY, SERIES, IMAGE)),
    ("3", "Patient/Study Only", " (retired)", (PATIENT, STUDY)),
)
_SERVICES = (("1", "find", "FIND"), ("2", "move", "MOVE"), ("3", "get", "GET"))

# PS3.4 Table C.6.1-1 and those beside it.
QUERY_RETRIEVE: Mapping[str, Model] = MappingProxyType(
    {
        uid: Model(uid, f"{name} Query/Retrieve Information Model - {verb}{note}", service, levels)
        for root, name, note, levels in _ROOTS
        for number, service, verb in _SERVICES
        for uid in [f"1.2.840.10008.5.1.4.1.2.{root}.{number}"]
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was negotiated for a query or retrieval; as the standard has it without negotiation, when left alone."""

    relational: bool = False
    date_time: bool = False
    fuzzy: bool = False
    timezone: bool = False
    empty_value: bool = False
    multiple_value: bool = False


PLAIN = Options()

# Bytes of the service class application information -> option and whether we do it (PS3.4 Tables C.5-1, C.5-2, C.5-3).
_FIND_OPTIONS: tuple[tuple[str, bool], ...] = (
    ("relational", True),
    ("date_time", True),
    ("fuzzy", True),
    ("timezone", True),
    ("enhanced_multi_frame", False),
    ("empty_value", True),
    ("multiple_value", True),
)
_RETRIEVE_OPTIONS: tuple[tuple[str, bool], ...] = (("relational", True), ("enhanced_multi_frame", False))
OPTIONS = {"find": _FIND_OPTIONS, "move": _RETRIEVE_OPTIONS, "get": _RETRIEVE_OPTIONS}


# The same of storage classes (PS3.4 Table B.3-1): level 2, signatures survive because every bit does, nothing coerced.
STORAGE_SUPPORT = bytes((2, 0, 3, 0, 0, 0))


def agreed(model: Model, proposed: bytes) -> bytes:
    """The answer to an extended negotiation: what was proposed and is done, each byte 0 or 1 (PS3.4 §C.5.1.1)."""
    table = OPTIONS[model.service]
    return bytes(wanted == 1 and done for wanted, (_, done) in zip(proposed, table, strict=False))


def options(model: Model, answer: bytes) -> Options:
    """The options of an answer."""
    on = {name for bit, (name, _) in zip(answer, OPTIONS[model.service], strict=False) if bit}
    return Options(**{name: name in on for name in Options.__dataclass_fields__})
