"""Query strings: what they mean, and that none of them breaks the door."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import InvalidRequest
from bridge.search.matchers import ALL_LIMIT, FUZZY_LIMIT, LIST_LIMIT, Ways, matcher
from bridge.search.tags import parse_path
from dicomweb.params import FIELDS_LIMIT, SearchRequest, Target, parse
from storage.query import AllOf, AnyOf, DateTimeRange, Empty, Fuzzy, Range, Single, Universal, Wildcard
from storage.records import Level

STUDIES = Target(level=Level.STUDY, scope=None, returned=frozenset({Level.STUDY}))
INSTANCES = Target(level=Level.INSTANCE, scope=None, returned=frozenset(Level))


def understand(query: str, target: Target = STUDIES) -> SearchRequest:
    return parse(query, target, site="default", limit_default=100, limit_max=1000)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("PatientID", (0x00100020,)),
        ("00100020", (0x00100020,)),
        ("7fe00010", (0x7FE00010,)),
        ("OtherPatientIDsSequence.PatientID", (0x00101002, 0x00100020)),
        ("00101002.PatientID", (0x00101002, 0x00100020)),
        ("00091001.00100020", (0x00091001, 0x00100020)),
    ],
)
def test_names_become_paths(name: str, path: tuple[int, ...]) -> None:
    assert parse_path(name) == path


@pytest.mark.parametrize(
    "name", ["", ".", "patientID", "0010020", "001000200", "PatientID.PatientID", "A" * 9999, "PatientID.", "Ｐ"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_path(name)


@pytest.mark.parametrize(
    ("vr", "text", "meaning"),
    [
        ("LO", "", Universal()),
        ("LO", "*", Universal()),
        ("PN", "**", Universal()),
        ("LO", "a*", Wildcard("a*")),
        ("LO", " a ", Single("a")),
        ("LT", "a\\b", Single("a\\b")),
        ("SH", "a\\b*", AnyOf(("a", "b*"))),
        ("CS", "CT,MR", AnyOf(("CT", "MR"))),
        ("LO", "a,b", Single("a,b")),
        ("UI", "1.2\\1.3,1.4", AnyOf(("1.2", "1.3", "1.4"))),
        ("UI", "1.2\0", Single("1.2")),
        ("IS", "+07", Single("+07")),
        ("DA", "20260305", Single("20260305")),
        ("DA", "2026.03.05", Single("20260305")),
        ("DA", "20260305-", Range("20260305", None)),
        ("DA", " 20260305 - 20260306 ", Range("20260305", "20260306")),
        ("TM", "10", Range("100000.000000", "105959.999999")),
        ("TM", "1030", Range("103000.000000", "103059.999999")),
        ("TM", "10:30:15", Single("103015.000000")),
        ("TM", "103015.5", Single("103015.500000")),
        ("TM", "10-12", Range("100000.000000", "125959.999999")),
        ("TM", "-1030", Range(None, "103059.999999")),
        ("DT", "2026", Range("20260101000000.000000", "20261231235959.999999")),
        ("DT", "20260305-0500", Range("20260305000000.000000", "20260305235959.999999")),
        ("DT", "20260305-20260306", Range("20260305000000.000000", "20260306235959.999999")),
        ("DT", "20260305103015-", Range("20260305103015.000000", None)),
    ],
)
def test_values_become_matchers(vr: str, text: str, meaning: object) -> None:
    assert matcher(vr, text) == meaning


@pytest.mark.parametrize(
    ("vr", "text"),
    [
        ("UI", "1.2.x"), ("UI", "1.2?"), ("DA", "2026-03-05"), ("DA", "20260005"), ("DA", "-"), ("DA", "*"),
        ("DA", "20260305\\20260306-"), ("TM", "24"), ("TM", "1"), ("TM", "10.5"), ("IS", "x"), ("DS", "1*"),
        ("SQ", "x"), ("OB", "x"), ("LO", "a\0b"), ("LO", "\\"), ("LO", "x" * 2000), ("DT", "20261301"), ("DT", "-"),
        ("UI", ",".join(["1.2"] * (LIST_LIMIT + 1))),
    ],
)  # fmt: skip
def test_values_that_a_vr_cannot_have_are_refused(vr: str, text: str) -> None:
    with pytest.raises(InvalidRequest):
        matcher(vr, text)


def test_two_quotes_are_the_empty_value_only_when_asked() -> None:
    assert matcher("LO", '""', Ways(empty_value=True)) == Empty()
    assert matcher("LO", '""') == Single('""')


def test_fuzzy_matching_is_for_person_names_alone() -> None:
    fuzzy = Ways(fuzzy=True)
    assert matcher("PN", "zhang san", fuzzy) == Fuzzy(("zhang san",))
    assert matcher("PN", "a\\b", fuzzy) == Fuzzy(("a", "b"))
    assert matcher("PN", "*", fuzzy) == Universal()
    assert matcher("LO", "zhang san", fuzzy) == Single("zhang san")
    with pytest.raises(InvalidRequest, match="at most"):
        matcher("PN", "\\".join(map(str, range(FUZZY_LIMIT + 1))), fuzzy)


def test_multiple_values_must_all_be_there_where_an_attribute_may_have_several() -> None:
    multiple = Ways(multiple_value=True)
    assert matcher("CS", "CT\\PT", multiple, is_multi_valued=True) == AllOf(("CT", "PT"))
    assert matcher("CS", "CT", multiple, is_multi_valued=True) == Single("CT")
    assert matcher("CS", "CT\\PT", multiple) == AnyOf(("CT", "PT"))
    assert matcher("UI", "1.2\\1.3", multiple, is_multi_valued=True) == AnyOf(("1.2", "1.3"))
    for refused in ("CT\\P*", "\\".join(map(str, range(ALL_LIMIT + 1)))):
        with pytest.raises(InvalidRequest):
            matcher("CS", refused, multiple, is_multi_valued=True)


@pytest.mark.parametrize(
    ("query", "warned"), [("PatientName=x", False), ("", False), ("00091001=x&00090010=ACME", True)]
)
def test_a_name_that_fuzzy_matching_cannot_know_is_warned_of(query: str, warned: bool) -> None:
    assert bool(understand(f"fuzzymatching=true&{query}", INSTANCES).warnings) == warned


def test_two_ranges_are_one_interval_and_other_pairs_stay_two_keys() -> None:
    request = understand("StudyDate=20260101-20260131&StudyTime=10-12")
    assert request.query.criteria == ()
    assert request.query.intervals == (
        DateTimeRange((0x00080020,), (0x00080030,), "20260101100000.000000", "20260131125959.999999"),
    )
    assert len(understand("StudyDate=20260101-20260131&StudyTime=1015").query.criteria) == 2


def test_keys_are_asked_for_and_universal_ones_are_not_matched() -> None:
    request = understand("PatientName=&PatientID=*&StudyID=1&includefield=StudyDescription,StudyID")
    assert [criterion.path for criterion in request.query.criteria] == [(0x00200010,)]
    assert set(request.asked) == {(0x00081030,), (0x00200010,), (0x00100010,), (0x00100020,)}


def test_all_with_others_is_all() -> None:
    assert understand("includefield=PatientName,all").everything


def test_the_limit_is_capped_and_defaulted() -> None:
    assert understand("").query.limit == 100
    assert understand("limit=5000").query.limit == 1000
    assert understand("limit=0").query.limit == 0


@pytest.mark.parametrize(
    "query", ["accept=a&accept=b", "charset=latin1", "&".join(f"_={n}" for n in range(FIELDS_LIMIT + 1))]
)
def test_bad_reserved_parameters_are_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        understand(query)


def test_the_character_set_is_no_key_and_an_underscore_is_a_cache_buster() -> None:
    assert understand("SpecificCharacterSet=GB18030&_=17").query.criteria == ()


def test_a_lower_level_may_be_named_without_a_value() -> None:
    assert understand("Modality=").query.criteria == ()
    assert len(understand("Modality=CT", INSTANCES).query.criteria) == 1


NAMES = st.sampled_from(
    ["PatientName", "StudyDate", "StudyTime", "00080061", "limit", "offset", "includefield", "fuzzymatching", "0010",
     "_", "OtherPatientIDsSequence.PatientID", "00091001", "00090010", "TimezoneOffsetFromUTC", "ContentDate", "KVP"]
)  # fmt: skip
VALUES = st.one_of(st.text(max_size=20), st.from_regex(r"[0-9.:,\\*?\-+%]{0,25}", fullmatch=True))


@given(
    st.lists(st.tuples(st.one_of(NAMES, st.text(max_size=12)), VALUES), max_size=5),
    st.sampled_from([STUDIES, INSTANCES]),
)
def test_no_query_string_makes_anything_but_a_refusal(pairs: list[tuple[str, str]], target: Target) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    try:
        request = understand(query, target)
    except InvalidRequest:
        return
    for criterion in request.query.criteria:
        if isinstance(criterion.matcher, Range):
            assert criterion.matcher.low is not None or criterion.matcher.high is not None


@given(st.text(alphabet="0123456789-+.&", max_size=24), st.sampled_from(["DA", "TM", "DT"]))
def test_bounds_have_one_shape_so_that_they_sort(text: str, vr: str) -> None:
    try:
        found = matcher(vr, text)
    except InvalidRequest:
        return
    length = {"DA": 8, "TM": 13, "DT": 21}[vr]
    if isinstance(found, Range):
        assert all(side is None or len(side) == length for side in (found.low, found.high))
    elif isinstance(found, Single):
        assert len(found.value) == length
