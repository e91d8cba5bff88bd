"""The verb search: Query -> matches (PS3.18 §8.3.4, PS3.4 §C.2.2.2).

`search` gives plain values to either door; `Answers` turns them into DICOM JSON. A key that the index does not hold is
matched over the metadata of the instances that the other keys leave, up to `http.scan_limit` of them, never ignored
(DICOM.md Q21).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.archive import Archive
from bridge.errors import InvalidRequest, Unavailable
from bridge.search.answers import Answers, Fields
from bridge.search.documents import Document, documents, values
from bridge.search.levels import reaches
from storage.attributes import BY_PATH, COMPUTED, MATCHABLE_COMPUTED
from storage.errors import StorageUnavailable
from storage.query import Criterion, DateTimeRange, Found, Page, Query, satisfies, satisfies_interval

__all__ = ["Answers", "Fields", "search"]

_PAGE = 500
_INDEXED_COMPUTED = frozenset((COMPUTED[keyword][0],) for keyword in MATCHABLE_COMPUTED)
_TEXT_NUMBERS = frozenset({"FL", "FD", "UV", "SV"})  # compared by value, as DS is


def search(archive: Archive, query: Query) -> Page:
    """One page of matches in the stable order of DICOM.md Q17. Raises InvalidRequest or Unavailable."""
    indexed, rest = _split(query)
    try:
        if rest.is_empty:
            return archive.index.search(indexed)
        return _scan(archive, indexed, rest)
    except StorageUnavailable as error:
        raise Unavailable(f"the index does not answer: {error}") from error


@dataclass(frozen=True, slots=True)
class _Rest:
    """What the index cannot match."""

    criteria: tuple[Criterion, ...]
    intervals: tuple[DateTimeRange, ...]

    @property
    def is_empty(self) -> bool:
        return not self.criteria and not self.intervals

    def names(self) -> str:
        """The attributes, for the refusal's sentence."""
        paths = [criterion.path for criterion in self.criteria] + [span.date_path for span in self.intervals]
        return ", ".join(".".join(f"{tag:08X}" for tag in path) for path in paths)

    def matches(self, document: Document) -> bool:
        """Whether one instance satisfies all of it."""
        return all(_satisfied(criterion, document) for criterion in self.criteria) and all(
            satisfies_interval(span, values(document, span.date_path), values(document, span.time_path))
            for span in self.intervals
        )


def _split(query: Query) -> tuple[Query, _Rest]:
    """The part the index matches, and the rest; an attribute of a lower level is matched over the instances too."""

    def is_indexed(path: tuple[int, ...]) -> bool:
        return (path in BY_PATH or path in _INDEXED_COMPUTED) and reaches(query.level, path)

    criteria = tuple(criterion for criterion in query.criteria if is_indexed(criterion.path))
    intervals = tuple(s for s in query.intervals if is_indexed(s.date_path) and is_indexed(s.time_path))
    rest = _Rest(
        tuple(criterion for criterion in query.criteria if criterion not in criteria),
        tuple(span for span in query.intervals if span not in intervals),
    )
    return replace(query, criteria=criteria, intervals=intervals), rest


def _scan(archive: Archive, indexed: Query, rest: _Rest) -> Page:
    """Matches of the whole query, found by reading metadata; a study or series matches by any one of its instances."""
    kept: list[Found] = []
    left = archive.settings.http.scan_limit
    for found in _candidates(archive, indexed):
        matched = False
        for _, document in documents(archive, found.ref):
            if left == 0:
                raise InvalidRequest(
                    f"{rest.names()} is not indexed and this search would read the metadata of more than "
                    f"{archive.settings.http.scan_limit} instances; narrow it by another key"
                )
            left -= 1
            if rest.matches(document):
                matched = True
                break
        if matched:
            kept.append(found)
    page = kept[indexed.offset : indexed.offset + indexed.limit]
    return Page(page, max(0, len(kept) - indexed.offset - len(page)))


def _candidates(archive: Archive, query: Query) -> Iterator[Found]:
    offset = 0
    while True:
        page = archive.index.search(replace(query, offset=offset, limit=_PAGE))
        yield from page.found
        offset += len(page.found)
        if not page.remaining or not page.found:
            return


def _satisfied(criterion: Criterion, document: Document) -> bool:
    vr = "DS" if criterion.vr in _TEXT_NUMBERS else criterion.vr
    if vr == "UN" and len(criterion.path) == 1:  # private: the instance itself knows its VR
        vr = str(document.get(f"{criterion.path[0]:08X}", {}).get("vr", "UN"))
    return satisfies(criterion.matcher, vr, values(document, criterion.path))
