"""The identifier of a query or retrieval: level and keys, checked against its information model (PS3.4 §C.4, §C.6).

What the model forbids raises InvalidRequest, which is status A900: a wrong level, a missing unique key (DICOM.md E5).
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge import identifiers
from bridge.errors import InvalidRequest, TooLarge
from bridge.identifiers import Document
from bridge.search.documents import values
from bridge.search.tags import DEPTH_LIMIT
from bridge.search.zones import OFFSET
from scp.models import IMAGE, PATIENT, SERIES, STUDY, UNIQUE_KEYS
from scp.operation import Call
from storage.records import Level

# Patients have no rows of their own: they are found among studies.
LEVELS = {PATIENT: Level.STUDY, STUDY: Level.STUDY, SERIES: Level.SERIES, IMAGE: Level.INSTANCE}

_LEVEL = "00080052"
_NO_KEYS = frozenset({0x00080005, 0x00080052, 0x00080053, 0x00080201})  # they say how the others are meant (E8)


@dataclass(frozen=True, slots=True)
class Identifier:
    """A query or retrieval, understood. `keys`: path -> value, empty where it is only to be returned."""

    level: str  # "PATIENT" | "STUDY" | "SERIES" | "IMAGE"
    keys: dict[tuple[int, ...], str]
    charsets: tuple[str, ...]
    utc_offset: str  # as &ZZXX; empty where the identifier has none

    @property
    def storage_level(self) -> Level:
        """The level of the rows to look at."""
        return LEVELS[self.level]


class Gathering:
    """An identifier while its fragments come in."""

    def __init__(self, call: Call, limit_bytes: int | None = None) -> None:
        self._call = call
        self._limit_bytes = limit_bytes or call.archive.settings.dimse.identifier_limit_bytes
        self._bytes = bytearray()
        if not call.command.has_data_set:
            raise InvalidRequest("the request has no identifier")

    def write(self, chunk: memoryview) -> None:
        """Append. Raises TooLarge beyond the limit."""
        self._bytes += chunk
        if len(self._bytes) > self._limit_bytes:
            raise TooLarge(f"the data set of the request is larger than {self._limit_bytes} bytes")

    def whole(self) -> Document:
        """All of it, decoded by its own character set. Raises InvalidInstance."""
        peer = self._call.caller.peer
        fallback = (peer.fallback_charset if peer else "") or self._call.archive.settings.ingest.fallback_charset
        return identifiers.read(bytes(self._bytes), self._call.context.transfer_syntax, fallback_charset=fallback)


def understand(document: Document, levels: tuple[str, ...], *, relational: bool) -> Identifier:
    """Level and keys. `levels` are those of the information model from the top. Raises InvalidRequest."""
    level = "".join(values(document, (int(_LEVEL, 16),))).strip()
    if level not in levels:
        raise InvalidRequest(f"QueryRetrieveLevel must be one of {', '.join(levels)}")
    keys: dict[tuple[int, ...], str] = {}
    _gather(document, (), keys)
    for above in levels[: levels.index(level)]:
        keyword, tag = UNIQUE_KEYS[above]
        if not relational and not _is_single(keys.get((tag,), "")):
            raise InvalidRequest(f"level {level} needs {keyword} as a single value")
    utc_offset = "".join(values(document, OFFSET))
    return Identifier(level, keys, identifiers.charsets_of(document), utc_offset)


def _gather(document: Document, outer: tuple[int, ...], keys: dict[tuple[int, ...], str]) -> None:
    """Paths and values; an empty sequence or item asks for the whole sequence (PS3.4 §C.2.2.2.6)."""
    if len(outer) >= DEPTH_LIMIT:
        raise InvalidRequest(f"keys may lie in at most {DEPTH_LIMIT - 1} sequences")
    for name, element in document.items():
        path = (*outer, int(name, 16))
        if path[-1] in _NO_KEYS:
            continue
        items = element.get("Value", ()) if element["vr"] == "SQ" else ()
        if len(items) > 1:
            raise InvalidRequest(f"the sequence {name} may have one item in a query")
        if items and items[0]:
            _gather(items[0], path, keys)
        else:
            keys[path] = "" if element["vr"] == "SQ" else "\\".join(values(document, path[-1:]))


def _is_single(value: str) -> bool:
    return bool(value) and not any(mark in value for mark in "\\*?")
