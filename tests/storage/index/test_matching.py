"""Searches agree with `storage.query.satisfies` on random archives, on every database."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.attributes import BY_KEYWORD, COMPUTED
from storage.index import SqlIndex
from storage.index.parameters import successor
from storage.index.values import canonical
from storage.query import (
    MULTIPLE_VALUE_VRS,
    RANGE_VRS,
    WILDCARD_VRS,
    AllOf,
    AnyOf,
    Criterion,
    DateTimeRange,
    Empty,
    Fuzzy,
    Matcher,
    Query,
    Range,
    Single,
    Universal,
    Wildcard,
    satisfies,
    satisfies_interval,
    sort_key,
)
from storage.records import InstanceRecord, Level, ResourceRef
from tests.storage.index.building import CT, MR, PERSON, keep, record, ref

TEXTS = ["a", "A", "ab", "aB ", "b%", "a_b", "[a]", "*", "张三", "张^三", "Zhang^San=张^三", "x\\ab", "", " ", "é", "e"]
NAMES = [
    "Zhang^San=张^三=",
    "zhang^si",
    "Müller^Jörg",
    "Li^Si\\Wang^Wu",
    "张三",
    "",
    "ZHANG",
    "San^Zhang",
    "吕^布",
    "单^雄信",
]
SOUNDS = [
    "zhang",
    "san zhang",
    "ZHANGSAN",
    "zs",
    "z s",
    "lv",
    "lü bu",
    "dan",
    "shan xx",
    "张",
    "三 张",
    "mul jo",
    "wu li",
    "^",
    "*a*",
]
DATES = ["20260101", "2026.01.02", "20260301", "unknown", "", "20251231\\20260301"]
TIMES = ["10", "1015", "10:15:00", "101500.5", "noon", "", "235959.999999"]
NUMBERS = ["1", "01", "2", " 10", "1.5", "x", "", "1\\2", "-3"]
VALUES = {"PN": NAMES, "DA": DATES, "TM": TIMES, "IS": NUMBERS, "US": NUMBERS}
KEYWORDS = (
    "PatientName", "PatientID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber", "PatientBirthDate",
    "Modality", "SeriesNumber", "SeriesDescription", "PerformedProcedureStepStartDate",
    "RequestAttributesSequence.RequestedProcedureID", "InstanceNumber", "NumberOfFrames", "ContentTime",
)  # fmt: skip
EXAMPLES = 40  # archives; each is asked about a dozen questions
LISTS = ("ModalitiesInStudy", "SOPClassesInStudy")
LEVELS = {Level.STUDY: 0, Level.SERIES: 1, Level.INSTANCE: 2}


def values_of(keyword: str) -> list[str]:
    """Values an attribute may have."""
    return ["CT", "MR", "CT\\SR", ""] if keyword == "Modality" else VALUES.get(BY_KEYWORD[keyword].vr, TEXTS)


@st.composite
def records(draw: st.DrawFn) -> list[InstanceRecord]:
    """A small archive: up to three studies of two series of two instances, whose instances may disagree."""
    places = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
    found = []
    for place in draw(st.lists(places, min_size=1, max_size=8, unique=True)):
        attributes = {
            keyword: draw(st.sampled_from(values_of(keyword))) for keyword in draw(st.sets(st.sampled_from(KEYWORDS)))
        }
        found.append(record(*place, attributes=attributes, sop_class_uid=draw(st.sampled_from([CT, MR]))))
    return found


@st.composite
def matchers(draw: st.DrawFn, keyword: str, vr: str) -> Matcher:
    """Any matching that the VR knows."""
    texts = ["CT", "MR", "SR"] if keyword in LISTS[:1] else [CT, MR] if keyword in LISTS else values_of(keyword)
    value = st.sampled_from([text for text in texts if text]) | st.sampled_from(["zzz", "1", "b"])
    kinds: list[st.SearchStrategy[Matcher]] = [
        value.map(Single),
        st.lists(value, max_size=3).map(lambda some: AnyOf(tuple(some))),
        st.just(Universal()),
        st.just(Empty()),
    ]
    if vr in WILDCARD_VRS:
        pieces = st.lists(
            st.sampled_from(["*", "?", "a", "B", "张", "三", "zh", "ng", "^", "s", "%", "_", "["]), min_size=1
        )
        patterns = pieces.map("".join)
        kinds += [patterns.map(Wildcard), patterns.map(lambda one: AnyOf((one, "ab")))]
    if vr == "PN":
        kinds.append(
            st.lists(st.sampled_from(SOUNDS) | value, min_size=1, max_size=2).map(lambda some: Fuzzy((*some,)))
        )
    if vr in MULTIPLE_VALUE_VRS:
        kinds.append(st.lists(value, min_size=1, max_size=2).map(lambda some: AllOf((*some,))))
    if vr in RANGE_VRS:
        keys = st.sampled_from([key for text in texts if isinstance(key := sort_key(vr, text), str)])
        kinds.append(st.builds(Range, st.none() | keys, st.none() | keys))
    return draw(st.one_of(kinds))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """A search at any level, with keys of that level and above, an interval now and then, in or out of a scope."""
    level = draw(st.sampled_from(list(Level)))
    known = [keyword for keyword in KEYWORDS if LEVELS[BY_KEYWORD[keyword].level] <= LEVELS[level]]
    chosen = draw(st.lists(st.sampled_from([*known, *LISTS]), unique=True, max_size=3))
    criteria = []
    for keyword in chosen:
        path, vr = ((COMPUTED[keyword][0],), COMPUTED[keyword][1]) if keyword in LISTS else _path(keyword)
        criteria.append(Criterion(path, vr, draw(matchers(keyword, vr))))
    sides = st.none() | st.sampled_from(["20260101101500.000000", "20260101235959.000000", "20260301000000.000000"])
    pair = (BY_KEYWORD["StudyDate"].path, BY_KEYWORD["StudyTime"].path)
    intervals = draw(st.lists(st.builds(DateTimeRange, st.just(pair[0]), st.just(pair[1]), sides, sides), max_size=1))
    scopes = [None, ref(1, None, None), *([ref(2, 1, None)] if level is not Level.STUDY else [])]
    scope = draw(st.none() | st.sampled_from(scopes))
    return Query(
        site="default", level=level, criteria=tuple(criteria), intervals=tuple(intervals), scope=scope, limit=50
    )


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    archive=records(),
    asked=st.lists(queries(), min_size=8, max_size=16),
    limit=st.integers(0, 3),
    offset=st.integers(0, 3),
)
def test_a_search_finds_exactly_what_satisfies(
    index: SqlIndex, archive: list[InstanceRecord], asked: list[Query], limit: int, offset: int
) -> None:
    site = _next_site(index)
    for one in archive:
        keep(
            index,
            replace(one, ref=replace(one.ref, site=site), location=replace(one.location, key=f"{site}/{one.ref}")),
        )
    for query in asked:
        scope = query.scope and replace(query.scope, site=site)
        query = replace(query, site=site, scope=scope)
        expected = _oracle(archive, query)
        page = index.search(query)
        assert [found.ref for found in page.found] == expected
        assert page.remaining == 0
        part = index.search(replace(query, limit=limit, offset=offset))
        assert [found.ref for found in part.found] == expected[offset : offset + limit]
        assert part.remaining == max(0, len(expected) - offset - len(part.found))


@pytest.mark.parametrize(
    ("prefix", "after"), [("ab", "ac"), ("a\U0010ffff", "b"), ("\ud7ff", "\ue000"), ("张", "弡"), ("\U0010ffff", None)]
)
def test_the_successor_follows_everything_with_the_prefix(prefix: str, after: str | None) -> None:
    assert successor(prefix) == after


def _moved(one: InstanceRecord, site: str) -> InstanceRecord:
    return replace(one, ref=replace(one.ref, site=site), location=replace(one.location, key=f"{site}/{one.ref}"))


def _next_site(index: SqlIndex) -> str:
    return f"site-{len(index.events(after=0, limit=1 << 30))}"


def _path(keyword: str) -> tuple[tuple[int, ...], str]:
    return BY_KEYWORD[keyword].path, BY_KEYWORD[keyword].vr


def _oracle(archive: list[InstanceRecord], query: Query) -> list[ResourceRef]:
    """The answer by brute force: rows of the level from the first received instances, filtered and sorted."""
    rows = {}
    for one in archive:
        attributes = _row(archive, one, query.level)
        if _in_scope(one.ref, query.scope) and _matches(attributes, query):
            rows[_cut(one.ref, query)] = attributes
    return sorted(rows, key=lambda here: _order(here, rows[here], query.level))


def _row(archive: list[InstanceRecord], one: InstanceRecord, level: Level) -> dict[str, list[str]]:
    """Values by keyword of the resource that `one` belongs to."""

    def first(*same: str) -> InstanceRecord:
        siblings = [other for other in archive if all(getattr(other.ref, n) == getattr(one.ref, n) for n in same)]
        return min(siblings, key=lambda other: (other.received_at, other.ref.sop_instance_uid))

    study = [other for other in archive if other.ref.study_instance_uid == one.ref.study_instance_uid]
    found = dict(canonical(first("study_instance_uid").attributes, Level.STUDY))
    if level is not Level.STUDY:
        found |= canonical(first("study_instance_uid", "series_instance_uid").attributes, Level.SERIES)
    if level is Level.INSTANCE:
        found |= canonical(one.attributes, Level.INSTANCE)
    values = {keyword: text.split("\\") for keyword, text in found.items()}
    heads = {other.ref.series_instance_uid: other for other in study}
    series = [
        min(
            (other for other in study if other.ref.series_instance_uid == uid),
            key=lambda other: (other.received_at, other.ref.sop_instance_uid),
        )
        for uid in heads
    ]
    values["ModalitiesInStudy"] = [
        part for head in series for part in canonical(head.attributes, Level.SERIES).get("Modality", "").split("\\")
    ]
    values["SOPClassesInStudy"] = [other.sop_class_uid for other in study]
    return values


def _matches(attributes: dict[str, list[str]], query: Query) -> bool:
    by_path = {BY_KEYWORD[keyword].path: keyword for keyword in KEYWORDS} | {(COMPUTED[one][0],): one for one in LISTS}
    return all(satisfies(one.matcher, one.vr, attributes.get(by_path[one.path], [])) for one in query.criteria) and all(
        satisfies_interval(one, attributes.get("StudyDate", []), attributes.get("StudyTime", []))
        for one in query.intervals
    )


def _in_scope(here: ResourceRef, scope: ResourceRef | None) -> bool:
    if scope is None:
        return True
    wanted = (scope.study_instance_uid, scope.series_instance_uid)
    return here.study_instance_uid == wanted[0] and wanted[1] in (None, here.series_instance_uid)


def _cut(here: ResourceRef, query: Query) -> ResourceRef:
    parts = (here.study_instance_uid, here.series_instance_uid, here.sop_instance_uid)
    kept = [part if LEVELS[query.level] >= depth else None for depth, part in enumerate(parts)]
    return ResourceRef(query.site, str(kept[0]), kept[1], kept[2])


def _order(here: ResourceRef, attributes: dict[str, list[str]], level: Level) -> tuple[object, ...]:
    """Q17: studies newest first, undated last; then numbers, those without one last; then UIDs."""
    date, time = _first("DA", attributes.get("StudyDate")), _first("TM", attributes.get("StudyTime"))
    moment = f"{date}{time or ''}" if date else ""
    newest_first = (*(-ord(char) for char in moment), 1)
    order: list[object] = [newest_first, here.study_instance_uid]
    for keyword, uid in (("SeriesNumber", here.series_instance_uid), ("InstanceNumber", here.sop_instance_uid)):
        number = _first("IS", attributes.get(keyword))
        order += [(number is None, number or 0.0), uid or ""]
    return tuple(order)


def _first(vr: str, values: list[str] | None) -> str | float | None:
    present = [value for value in values or [] if value]
    return sort_key(vr, present[0]) if present else None


def test_what_was_removed_is_not_found_by_any_of_its_values(index: SqlIndex) -> None:
    keep(index, record(1, attributes={"PatientName": "Li^Si=李^四", "StudyDescription": "head\\neck"}))
    index.remove(ref(1, None, None), PERSON)
    for path, vr, matcher in (
        ((0x00100010,), "PN", Wildcard("*李*")),
        ((0x00100010,), "PN", Wildcard("li*")),
        ((0x00100010,), "PN", Fuzzy(("ls",))),
        ((0x00081030,), "LO", Single("neck")),
        ((0x00080061,), "CS", Single("CT")),
    ):
        query = Query(site="default", level=Level.STUDY, criteria=(Criterion(path, vr, matcher),))
        assert list(index.search(query).found) == []
