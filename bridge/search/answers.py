"""Search results as DICOM JSON (PS3.18 §10.6.3, Annex F), each made once per state of the resource and set of fields.

The service's URL stays the placeholder byte 0x00, so one cached object serves every name the service is known by.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from bridge.archive import Archive
from bridge.dictionary import vr_of
from bridge.search.documents import Document, dump, representative
from bridge.search.elements import encode_text, join, sequence
from bridge.search.levels import ORDER, reaches
from storage.attributes import ATTRIBUTES, COMPUTED, REQUIRED, IndexedAttribute
from storage.query import Found
from storage.records import Level, ResourceRef

_RETRIEVE_URL = 0x00081190
_UIDS = {  # the unique keys, returned at every level below too (DICOM.md Q28)
    "StudyInstanceUID": Level.STUDY,
    "SeriesInstanceUID": Level.SERIES,
    "SOPInstanceUID": Level.INSTANCE,
}
_ALWAYS_COMPUTED = frozenset(COMPUTED) - {"SOPClassesInStudy"}  # Tables 10.6.3-3 to 10.6.3-5
_NOT_OF_AN_INSTANCE = frozenset({0x00080005})  # the text of an answer is UTF-8 and says so by being JSON
_OVERHEAD_BYTES = 2000  # of one cache entry's key and bookkeeping
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Fields:
    """What comes back: the default attributes of these levels, the paths asked for, or everything there is."""

    levels: frozenset[Level]
    asked: tuple[tuple[int, ...], ...] = ()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """Fields resolved for one level: what is taken from where."""

    number: int  # one per plan, for cache keys
    always: tuple[IndexedAttribute, ...]  # returned empty when unknown (DICOM.md Q29)
    known: tuple[IndexedAttribute, ...]  # returned when there is a value
    computed: tuple[tuple[str, int, str], ...]  # keyword, tag, VR
    documents: tuple[tuple[int, ...], ...]  # paths taken from an instance's metadata
    everything: bool


class Answers:
    """Makes and keeps results. Thread-safe; one per process.

    Two generations: what is used moves to the young one; when that is full it becomes the old one and the old one goes.
    So a hit costs one look-up and no lock.
    """

    def __init__(self, archive: Archive, cache_bytes: int) -> None:
        self._archive = archive
        self._limit = cache_bytes // 2
        self._young: dict[Hashable, bytes] = {}
        self._old: dict[Hashable, bytes] = {}
        self._young_bytes = 0
        self._lock = threading.Lock()

    def objects(self, found: Iterable[Found], level: Level, fields: Fields) -> list[bytes]:
        """The JSON object of each match."""
        plan = _plan(level, fields)
        return [self._object(match, plan) for match in found]

    def _object(self, match: Found, plan: _Plan) -> bytes:
        # attributes of a higher level may change without this resource's revision, so they are part of the key
        attributes = match.attributes
        key = (plan.number, match.ref.site, match.revision, *attributes, *attributes.values())
        kept = self._young.get(key)
        if kept is None:
            kept = self._old.get(key) or _make(self._archive, match, plan)
            self._keep(key, kept)
        return kept

    def _keep(self, key: Hashable, made: bytes) -> None:
        with self._lock:
            self._young[key] = made
            self._young_bytes += len(made) + _OVERHEAD_BYTES
            if self._young_bytes > self._limit:
                self._old, self._young, self._young_bytes = self._young, {}, 0


@lru_cache(maxsize=256)
def _plan(level: Level, fields: Fields) -> _Plan:
    asked = tuple(path for path in fields.asked if reaches(level, path))
    visible = [attribute for attribute in ATTRIBUTES if ORDER[attribute.level] <= ORDER[level]]
    wanted = set(asked)
    always, known = [], []
    for attribute in visible:
        by_default = attribute.level in fields.levels
        if attribute.path in wanted or attribute.keyword in _UIDS or (by_default and attribute.returned == REQUIRED):
            always.append(attribute)
        elif fields.everything or (by_default and attribute.returned != "A"):
            known.append(attribute)
    computed = tuple(
        (keyword, tag, vr)
        for keyword, (tag, vr, owner) in COMPUTED.items()
        if ORDER[owner] <= ORDER[level]
        and (
            (tag,) in wanted
            or fields.everything
            or (keyword in _ALWAYS_COMPUTED and _is_default(owner, keyword, fields))
        )
    )
    mine = {attribute.path for attribute in visible} | {(tag,) for _, tag, _ in computed} | {(_RETRIEVE_URL,)}
    documents = tuple(path for path in asked if path not in mine)
    return _Plan(next(_NUMBERS), tuple(always), tuple(known), computed, documents, fields.everything)


def _is_default(owner: Level, keyword: str, fields: Fields) -> bool:
    return owner in fields.levels or keyword == "InstanceAvailability"


def _make(archive: Archive, match: Found, plan: _Plan) -> bytes:
    elements: dict[int, bytes] = {}
    if plan.everything or plan.documents:
        document = representative(archive, match.ref)
        if plan.everything:
            elements.update(_whole(document, match.ref.level))
        elements.update(_asked(document, plan.documents))
    nested: dict[int, dict[int, bytes]] = {}
    returned = [*plan.always, *(one for one in plan.known if match.attributes.get(one.keyword))]
    several = {one.path[0] for one in returned if _has_several_items(match, one)}
    if several:  # the index knows which values there are, not which of them stand together
        paths = [one.path for one in returned if one.path[0] in several]
        elements.update(_asked(representative(archive, match.ref), paths))
    for attributes, is_always in ((plan.always, True), (plan.known, False)):
        for attribute in attributes:
            text = match.attributes.get(attribute.keyword, "")
            if not text and not is_always:
                continue
            element = encode_text(attribute.vr, text)
            if len(attribute.path) == 1:
                elements[attribute.tag] = element
            else:
                nested.setdefault(attribute.path[0], {})[attribute.tag] = element
    for outer, inner in nested.items():
        elements.setdefault(outer, sequence([join(inner)]))
    for keyword, tag, vr in plan.computed:
        elements[tag] = encode_text(vr, match.attributes.get(keyword, ""))
    elements[_RETRIEVE_URL] = b'{"vr":"UR","Value":["\0%s"]}' % _resource_path(match.ref).encode()
    return join(elements)


def _has_several_items(match: Found, attribute: IndexedAttribute) -> bool:
    return len(attribute.path) > 1 and "\\" in match.attributes.get(attribute.keyword, "")


def _whole(document: Document, level: Level) -> dict[int, bytes]:
    """Every element of the level and the levels above."""
    tags = {int(key, 16): element for key, element in document.items()}
    return {
        tag: dump(element) for tag, element in tags.items() if tag not in _NOT_OF_AN_INSTANCE and reaches(level, (tag,))
    }


def _asked(document: Document, paths: Iterable[tuple[int, ...]]) -> dict[int, bytes]:
    """The elements at these paths; inside a sequence only what was asked for; unknown ones empty."""
    by_outer: dict[int, list[tuple[int, ...]]] = {}
    for path in paths:
        by_outer.setdefault(path[0], []).append(path[1:])
    return {tag: dump(_pruned(document, tag, inner)) for tag, inner in by_outer.items()}


def _pruned(document: Document, tag: int, inner: list[tuple[int, ...]]) -> Document:
    element = document.get(f"{tag:08X}")
    if not isinstance(element, dict):
        return {"vr": "SQ" if any(inner) else vr_of(tag).partition(" ")[0]}
    if () in inner:
        return element
    by_outer: dict[int, list[tuple[int, ...]]] = {}
    for path in inner:
        by_outer.setdefault(path[0], []).append(path[1:])
    items = [
        {f"{key:08X}": _pruned(item, key, rest) for key, rest in sorted(by_outer.items())}
        for item in element.get("Value", [])
        if isinstance(item, dict)
    ]
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def _resource_path(ref: ResourceRef) -> str:
    """The path of a resource below the service root (PS3.18 §10.1.1)."""
    path = f"/studies/{ref.study_instance_uid}"
    if ref.series_instance_uid:
        path += f"/series/{ref.series_instance_uid}"
    return f"{path}/instances/{ref.sop_instance_uid}" if ref.sop_instance_uid else path
