"""Search beyond the index: metadata in rows and in bundles, levels, elements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from bridge.archive import Archive
from bridge.bundling import bundle_quiet_series
from bridge.errors import InvalidRequest, Unavailable
from bridge.search import Answers, Fields, matches, search
from bridge.search.elements import encode_text, join
from bridge.search.levels import level_of, reaches
from storage.attributes import ATTRIBUTES
from storage.errors import StorageUnavailable
from storage.query import Criterion, DateTimeRange, Query, Range, Single
from storage.records import Level, ResourceRef
from tests.bridge.archives import SERIES, STUDY, data_set, open_test_archive, receive

KVP, SLICE_LOCATION = (0x00180060,), (0x00201041,)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_test_archive(tmp_path)
    for number in (1, 2, 3):
        receive(opened, data_set(number, KVP="120" if number < 3 else "80", AcquisitionDate=f"2026030{number}"))
    yield opened
    opened.close()


def quiet(archive: Archive) -> None:
    """Let time pass until the series is bundled."""
    archive.now.forward(hours=1)  # type: ignore[attr-defined]  # the tests' clock
    assert bundle_quiet_series(archive) == 1


def numbers(archive: Archive, *criteria: Criterion, level: Level = Level.INSTANCE, **values: object) -> list[str]:
    query = Query(site="default", level=level, criteria=criteria, **values)  # type: ignore[arg-type]
    return [found.attributes.get("InstanceNumber", "") for found in search(archive, query).found]


def test_all_matches_come_once_though_newer_ones_come_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.search._PAGES", (1, 2))
    opened = open_test_archive(tmp_path)

    def take(day: int) -> None:
        study = f"1.2.{day}"
        receive(
            opened, data_set(study=study, series=f"{study}.1", StudyDate=f"202603{day:02}", AccessionNumber=str(day))
        )

    for day in range(1, 8):
        take(day)
    found = matches(opened, Query(site="default", level=Level.STUDY))
    days = [next(found).attributes["StudyDate"] for _ in range(3)]
    take(20)
    take(9)
    days += [one.attributes["StudyDate"] for one in found]
    assert days == [f"202603{day:02}" for day in range(7, 0, -1)]
    opened.close()


@pytest.mark.parametrize("bundled", [False, True])
def test_an_attribute_without_index_is_matched_over_the_metadata(archive: Archive, bundled: bool) -> None:
    if bundled:
        quiet(archive)
    assert numbers(archive, Criterion(KVP, "DS", Single("120"))) == ["1", "2"]
    assert numbers(archive, Criterion(KVP, "DS", Single("80.0"))) == ["3"]
    assert numbers(archive, Criterion(KVP, "DS", Single("80")), level=Level.STUDY) == [""]
    assert numbers(archive, Criterion(KVP, "DS", Single("99")), level=Level.STUDY) == []


def test_dates_without_index_are_matched_as_ranges_and_intervals(archive: Archive) -> None:
    assert numbers(archive, Criterion((0x00080022,), "DA", Range("20260302", None))) == ["2", "3"]
    interval = DateTimeRange((0x00080022,), (0x00080032,), "20260302000000.000000", "20260302235959.999999")
    assert numbers(archive, intervals=(interval,)) == ["2"]


def test_an_attribute_of_a_lower_level_is_matched_over_the_instances(archive: Archive) -> None:
    number = (0x00200013,)
    assert numbers(archive, Criterion(number, "IS", Single("3")), level=Level.STUDY) == [""]
    assert numbers(archive, Criterion(number, "IS", Single("4")), level=Level.STUDY) == []


@pytest.mark.parametrize("bundled", [False, True])
def test_fields_without_index_come_from_the_metadata(archive: Archive, bundled: bool) -> None:
    if bundled:
        quiet(archive)
    answers = Answers(archive, 1 << 20)
    page = search(archive, Query(site="default", level=Level.INSTANCE))
    made = answers.objects(page.found, Level.INSTANCE, Fields(frozenset({Level.INSTANCE}), (KVP, SLICE_LOCATION)))
    objects = [orjson.loads(item.replace(b"\0", b"http://x")) for item in made]
    assert [item["00180060"]["Value"] for item in objects] == [[120], [120], [80]]
    assert objects[0]["00201041"] == {"vr": "DS"}
    assert objects[0]["00081190"]["Value"] == [f"http://x/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"]


def test_results_are_made_once_and_made_anew_when_something_changes(archive: Archive) -> None:
    answers, fields = Answers(archive, 1 << 20), Fields(frozenset({Level.STUDY}))
    query = Query(site="default", level=Level.STUDY)
    first = answers.objects(search(archive, query).found, Level.STUDY, fields)
    again = answers.objects(search(archive, query).found, Level.STUDY, fields)
    assert first[0] is again[0]
    receive(archive, data_set(4))
    assert answers.objects(search(archive, query).found, Level.STUDY, fields) != first


def test_kept_results_stay_within_their_bytes(archive: Archive) -> None:
    answers = Answers(archive, 10_000)
    found = search(archive, Query(site="default", level=Level.INSTANCE)).found
    for tag in range(50):
        answers.objects(found, Level.INSTANCE, Fields(frozenset(), ((0x00180000 + tag,),)))
    assert len(answers._young) + len(answers._old) < 10


def test_an_index_that_is_away_is_told_as_such(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StorageUnavailable("away")

    monkeypatch.setattr(type(archive.index), "search", away)
    with pytest.raises(Unavailable):
        search(archive, Query(site="default", level=Level.STUDY))


def test_the_scan_limit_counts_instances(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    object.__setattr__(archive.settings.http, "scan_limit", 2)
    with pytest.raises(InvalidRequest, match="00180060 is not indexed"):
        numbers(archive, Criterion(KVP, "DS", Single("80")))


def test_scope_and_site_hold_in_a_scan_too(archive: Archive) -> None:
    receive(archive, data_set(9, study="1.2.9", series="1.2.9.1", KVP="120"), site="elsewhere")
    criterion = Criterion(KVP, "DS", Single("120"))
    assert numbers(archive, criterion) == ["1", "2"]
    assert numbers(archive, criterion, scope=ResourceRef("default", "1.2.9")) == []


@pytest.mark.parametrize(
    ("path", "level"),
    [
        ((0x00100010,), Level.STUDY),
        ((0x00101030,), Level.STUDY),
        ((0x00081032, 0x00080100), Level.STUDY),
        ((0x00081070,), Level.SERIES),
        ((0x00400275, 0x00400009), Level.SERIES),
        ((0x00180060,), Level.INSTANCE),
        ((0x00091001,), Level.INSTANCE),
        ((0x00201208,), Level.STUDY),
    ],
)
def test_attributes_belong_to_a_level(path: tuple[int, ...], level: Level) -> None:
    assert level_of(path) is level
    assert reaches(Level.INSTANCE, path)
    assert reaches(Level.STUDY, path) is (level is Level.STUDY)


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda attribute: attribute.keyword)
def test_the_index_decides_the_level_of_what_it_holds(attribute: object) -> None:
    assert level_of(attribute.path) is attribute.level  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("vr", "text", "element"),
    [
        ("LO", "", {"vr": "LO"}),
        ("LO", " ", {"vr": "LO"}),
        ("LO", 'a"b', {"vr": "LO", "Value": ['a"b']}),
        ("CS", "CT\\MR", {"vr": "CS", "Value": ["CT", "MR"]}),
        ("CS", "CT\\\\MR", {"vr": "CS", "Value": ["CT", None, "MR"]}),
        ("IS", "12", {"vr": "IS", "Value": [12]}),
        ("IS", "twelve", {"vr": "IS", "Value": ["twelve"]}),
        ("US", "512", {"vr": "US", "Value": [512]}),
        ("PN", "A^B=张^三=", {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Ideographic": "张^三"}]}),
        ("PN", "==a", {"vr": "PN", "Value": [{"Phonetic": "a"}]}),
        ("PN", "=", {"vr": "PN"}),
        ("UI", "1.2\0", {"vr": "UI", "Value": ["1.2"]}),
    ],
)
def test_text_becomes_an_element(vr: str, text: str, element: object) -> None:
    assert orjson.loads(encode_text(vr, text)) == element


def test_elements_are_joined_in_the_order_of_their_tags() -> None:
    made = join({0x00100020: b'{"vr":"LO"}', 0x00080020: b'{"vr":"DA"}'})
    assert list(orjson.loads(made)) == ["00080020", "00100020"]
