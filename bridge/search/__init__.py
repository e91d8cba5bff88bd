"""The verb search: Query -> matches (PS3.18 §8.3.4, PS3.4 §C.2.2.2).

`search` gives a page of plain values, `matches` all of them one by one; `Answers` turns them into DICOM JSON. A key
that the index does not hold is matched over the metadata of the instances that the other keys leave, up to
`http.scan_limit` of them, never ignored (DICOM.md Q21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import chain, repeat

from bridge.archive import Archive
from bridge.errors import InvalidRequest, Unavailable
from bridge.retention.base import zone_named
from bridge.search.answers import Answers, Fields
from bridge.search.documents import Document, documents, values
from bridge.search.levels import reaches
from bridge.search.zones import Reading, Zone
from storage.attributes import BY_PATH, COMPUTED, MATCHABLE_COMPUTED
from storage.errors import StorageUnavailable
from storage.query import Criterion, DateTimeRange, Found, Page, Query, satisfies, satisfies_interval

__all__ = ["Answers", "Fields", "matches", "search"]

_PAGES = (500, 1000, 2000, 4000)  # each page takes the search once more, so they grow: the first one must be quick
_INDEXED_COMPUTED = frozenset((COMPUTED[keyword][0],) for keyword in MATCHABLE_COMPUTED)
_TEXT_NUMBERS = frozenset({"FL", "FD", "UV", "SV"})  # compared by value, as DS is


def search(archive: Archive, query: Query, utc_offset: timedelta | None = None) -> Page:
    """One page of matches in the stable order of DICOM.md Q17. Raises InvalidRequest or Unavailable.

    With `utc_offset` the dates and times of the query are in that zone.
    """
    indexed, rest = _planned(archive, query, utc_offset)
    try:
        if rest.is_empty and rest.zone is None:
            return archive.index.search(indexed)
        return _scan(archive, indexed, rest)
    except StorageUnavailable as error:
        raise Unavailable(f"the index does not answer: {error}") from error


def matches(archive: Archive, query: Query, utc_offset: timedelta | None = None) -> Iterator[Found]:
    """All matches in the same order, whatever the query's page; a bounded number is held. Raises as `search` does."""
    indexed, rest = _planned(archive, query, utc_offset)
    try:
        yield from _scanned(archive, indexed, rest)
    except StorageUnavailable as error:
        raise Unavailable(f"the index does not answer: {error}") from error


@dataclass(frozen=True, slots=True)
class _Rest:
    """What the index cannot match, and the zone that dates and times are in."""

    criteria: tuple[Criterion, ...]
    intervals: tuple[DateTimeRange, ...]
    zone: Zone | None = None

    @property
    def is_empty(self) -> bool:
        return not self.criteria and not self.intervals

    def names(self) -> str:
        """The attributes, for the refusal's sentence."""
        paths = [criterion.path for criterion in self.criteria] + [span.date_path for span in self.intervals]
        return ", ".join(".".join(f"{tag:08X}" for tag in path) for path in paths)

    def matches(self, document: Document) -> bool:
        """Whether one instance satisfies all of it."""
        read: Reading = partial(values, document)
        read = self.zone.moved(read) if self.zone else read
        together, alone = _grouped(self.criteria)
        return (
            all(_satisfied(criterion, document, read) for criterion in alone)
            and all(_in_one_item(document, group) for group in together)
            and all(satisfies_interval(span, read(span.date_path), read(span.time_path)) for span in self.intervals)
        )


def _is_zoned(query: Query, zone: Zone) -> bool:
    return any(map(zone.concerns, (one.path for one in query.criteria))) or any(
        map(zone.concerns, (span.date_path for span in query.intervals))
    )


def _matches_in_zone(query: Query, zone: Zone, found: Found) -> bool:
    """Whether a row that the widened query finds satisfies the dates and times of the query itself."""

    def stored(path: tuple[int, ...]) -> list[str]:
        attribute = BY_PATH.get(path)
        text = found.attributes.get(attribute.keyword, "") if attribute else ""
        return text.split("\\") if text else []

    read = zone.moved(stored)
    return all(
        satisfies(one.matcher, one.vr, read(one.path)) for one in query.criteria if zone.concerns(one.path)
    ) and all(
        satisfies_interval(span, read(span.date_path), read(span.time_path))
        for span in query.intervals
        if zone.concerns(span.date_path)
    )


def _planned(archive: Archive, query: Query, utc_offset: timedelta | None) -> tuple[Query, _Rest]:
    """The part that the index matches, and the rest; with a zone where one concerns the query."""
    indexed, rest = _split(query)
    if utc_offset is None:
        return indexed, rest
    zone = Zone(utc_offset, zone_named(archive.settings.retention.timezone))
    return indexed, replace(rest, zone=zone) if not rest.is_empty or _is_zoned(indexed, zone) else rest


def _split(query: Query) -> tuple[Query, _Rest]:
    """The part the index matches, and the rest; an attribute of a lower level is matched over the instances too."""

    def is_indexed(path: tuple[int, ...]) -> bool:
        return (path in BY_PATH or path in _INDEXED_COMPUTED) and reaches(query.level, path)

    criteria = tuple(criterion for criterion in query.criteria if is_indexed(criterion.path))
    together = [criterion for group in _grouped(query.criteria)[0] for criterion in group]
    intervals = tuple(s for s in query.intervals if is_indexed(s.date_path) and is_indexed(s.time_path))
    rest = _Rest(
        tuple(criterion for criterion in query.criteria if criterion not in criteria or criterion in together),
        tuple(span for span in query.intervals if span not in intervals),
    )
    return replace(query, criteria=criteria, intervals=intervals), rest


def _scan(archive: Archive, indexed: Query, rest: _Rest) -> Page:
    """One page of the matches of the whole query."""
    kept = list(_scanned(archive, indexed, rest))
    page = kept[indexed.offset : indexed.offset + indexed.limit]
    return Page(page, max(0, len(kept) - indexed.offset - len(page)))


def _scanned(archive: Archive, indexed: Query, rest: _Rest) -> Iterator[Found]:
    """Matches of the whole query, found by reading rows and metadata; a study or series matches by any one instance."""
    found = _candidates(archive, rest.zone.widened(indexed) if rest.zone else indexed)
    if rest.zone is not None:
        found = _in_zone(archive, indexed, rest.zone, found)
    return found if rest.is_empty else _by_metadata(archive, rest, found)


def _in_zone(archive: Archive, indexed: Query, zone: Zone, candidates: Iterable[Found]) -> Iterator[Found]:
    limit = archive.settings.http.scan_limit
    for number, found in enumerate(candidates):
        if number == limit:
            raise InvalidRequest(
                f"dates and times in a zone of their own would be read of more than {limit} results; "
                "narrow the search by a date range or another key"
            )
        if _matches_in_zone(indexed, zone, found):
            yield found


def _by_metadata(archive: Archive, rest: _Rest, candidates: Iterable[Found]) -> Iterator[Found]:
    left = archive.settings.http.scan_limit
    for found in candidates:
        for _, document in documents(archive, found.ref):
            if left == 0:
                raise InvalidRequest(
                    f"{rest.names()} is not indexed and this search would read the metadata of more than "
                    f"{archive.settings.http.scan_limit} instances; narrow it by another key"
                )
            left -= 1
            if rest.matches(document):
                yield found
                break


def _candidates(archive: Archive, query: Query) -> Iterator[Found]:
    offset = 0
    before: Page | None = None
    for limit in chain(_PAGES, repeat(_PAGES[-1])):
        page = archive.index.search(replace(query, offset=offset, limit=limit))
        yield from page.found if before is None or before.seq == page.seq else _without(page.found, before.found)
        before = page
        offset += len(page.found)
        if not page.remaining or not page.found:
            return


def _without(found: Iterable[Found], before: Iterable[Found]) -> Iterator[Found]:
    """What comes in meanwhile pushes results on to the next page."""
    seen = frozenset(one.ref for one in before)
    return (one for one in found if one.ref not in seen)


def _grouped(criteria: Iterable[Criterion]) -> tuple[list[list[Criterion]], list[Criterion]]:
    """(groups of criteria that lie in one sequence and must hold in one item of it, those that stand alone)."""
    by_sequence: dict[int, list[Criterion]] = {}
    alone = []
    for criterion in criteria:
        if len(criterion.path) == 1:
            alone.append(criterion)
        else:
            by_sequence.setdefault(criterion.path[0], []).append(criterion)
    together = [group for group in by_sequence.values() if len(group) > 1]
    return together, alone + [group[0] for group in by_sequence.values() if len(group) == 1]


def _in_one_item(document: Document, group: Sequence[Criterion]) -> bool:
    """Whether one item of the group's sequence satisfies all of it (PS3.4 §C.2.2.2.6); none counts as an empty one."""
    element = document.get(f"{group[0].path[0]:08X}", {})
    items = [item for item in element.get("Value", ()) if isinstance(item, dict)] or [{}]
    inner = [replace(criterion, path=criterion.path[1:]) for criterion in group]
    together, alone = _grouped(inner)
    return any(
        all(_satisfied(criterion, item, partial(values, item)) for criterion in alone)
        and all(_in_one_item(item, deeper) for deeper in together)
        for item in items
    )


def _satisfied(criterion: Criterion, document: Document, read: Reading) -> bool:
    vr = "DS" if criterion.vr in _TEXT_NUMBERS else criterion.vr
    if vr == "UN" and len(criterion.path) == 1:  # private: the instance itself knows its VR
        vr = str(document.get(f"{criterion.path[0]:08X}", {}).get("vr", "UN"))
    return satisfies(criterion.matcher, vr, read(criterion.path))
