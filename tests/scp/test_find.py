"""C-FIND over a real socket: levels, keys, character sets, cancel, limits (PS3.4 §C.4.1)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from bridge.settings import Peer as KnownPeer
from tests.bridge.archives import SERIES, STUDY, data_set, receive
from tests.scp.asking import PATIENT_ROOT, STUDY_ROOT, encoded, find, keys, open_query, send_find
from tests.scp.running import RunningDoor, running_door, settings
from tests.scp.wire import COMMAND, EXPLICIT, IMPLICIT, Peer, command, message

OTHER, OTHER_SERIES = "1.2.826.0.1.3680043.10.2", "1.2.826.0.1.3680043.10.2.1"
MR_SERIES = f"{STUDY}.2"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    """Two patients: P1 with a CT of three images and an MR, P2 with a CT a year before."""
    with running_door(tmp_path_factory.mktemp("door")) as opened:
        step = Dataset()
        step.ScheduledProcedureStepID, step.RequestedProcedureID = "STEP1", "RP1"
        for number in (1, 2, 3):
            receive(opened.archive, data_set(number, RequestAttributesSequence=[step]))
        receive(opened.archive, data_set(1, series=MR_SERIES, Modality="MR", SeriesNumber=2, KVP="80"))
        other: dict[str, Any] = {
            "PatientName": "Müller^Jörg",
            "PatientID": "P2",
            "StudyDate": "20250101",
            "StudyTime": "2300",
        }
        receive(opened.archive, data_set(1, study=OTHER, series=OTHER_SERIES, **other))
        yield opened


@pytest.fixture
def peer(door: RunningDoor) -> Iterator[Peer]:
    with Peer(door.address) as opened:
        open_query(opened)
        yield opened


def found(peer: Peer, keyword: str = "StudyInstanceUID", **values: Any) -> list[str]:
    """The values of one key in all answers; the query succeeds."""
    answers, statuses = find(peer, keys(**{keyword: None, **values}))
    assert statuses[-1] == 0x0000
    return [str(answer[keyword].value) for answer in answers]


def test_e6_what_was_asked_for_comes_back_and_nothing_else(peer: Peer) -> None:
    (answer,), statuses = find(peer, keys(PatientID="P1", StudyDate=None, ModalitiesInStudy=None, StudyID=None))
    assert statuses == [0xFF00, 0x0000]
    assert {element.keyword for element in answer} == {
        "QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability",
        "PatientID", "StudyDate", "ModalitiesInStudy", "StudyID",
    }  # fmt: skip
    assert (answer.QueryRetrieveLevel, answer.RetrieveAETitle, answer.InstanceAvailability) == (
        "STUDY",
        "BRIDGE",
        "ONLINE",
    )
    assert (answer.StudyDate, list(answer.ModalitiesInStudy), answer.StudyID) == ("20260305", ["CT", "MR"], "")


def test_studies_come_newest_first(peer: Peer) -> None:
    assert found(peer) == [STUDY, OTHER]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"PatientID": "P2"}, [OTHER], id="single-value"),
        pytest.param({"PatientID": "p2"}, [], id="single-value-is-case-sensitive"),
        pytest.param({"PatientName": "muller*"}, [OTHER], id="names-without-case-and-accents"),
        pytest.param({"PatientID": "P?"}, [STUDY, OTHER], id="wildcard"),
        pytest.param({"StudyDate": "20250101-20251231"}, [OTHER], id="range"),
        pytest.param({"StudyDate": "-20251231"}, [OTHER], id="open-range"),
        pytest.param({"StudyInstanceUID": [STUDY, OTHER, "1.2"]}, [STUDY, OTHER], id="list-of-uids"),
        pytest.param({"ModalitiesInStudy": "MR"}, [STUDY], id="modalities-in-study"),
        pytest.param({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2"}, [STUDY, OTHER], id="classes-in-study"),
        pytest.param({"StudyTime": "22-23"}, [OTHER], id="time-range-spans-its-last-hour"),
    ],
)
def test_c_2_2_2_kinds_of_matching(peer: Peer, values: dict[str, Any], expected: list[str]) -> None:
    assert found(peer, **values) == expected


def test_an_attribute_without_index_is_matched_and_returned(peer: Peer) -> None:
    answers, statuses = find(peer, keys(level="SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=None, KVP="80"))
    assert statuses == [0xFF01, 0x0000]  # matched, but it is an attribute of instances
    assert [answer.SeriesInstanceUID for answer in answers] == [MR_SERIES]


def test_series_and_images_below_their_unique_keys(peer: Peer) -> None:
    assert found(peer, "SeriesInstanceUID", level="SERIES", StudyInstanceUID=STUDY) == [SERIES, MR_SERIES]
    images = {"level": "IMAGE", "StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
    assert found(peer, "SOPInstanceUID", **images) == [f"{SERIES}.{number}" for number in (1, 2, 3)]
    assert found(peer, "SOPInstanceUID", **images, InstanceNumber=2) == [f"{SERIES}.2"]


def test_e7_the_counts(peer: Peer) -> None:
    study = keys(StudyInstanceUID=STUDY, NumberOfStudyRelatedSeries=None, NumberOfStudyRelatedInstances=None)
    study.NumberOfPatientRelatedStudies = None
    (answer,), _ = find(peer, study)
    assert (answer.NumberOfStudyRelatedSeries, answer.NumberOfStudyRelatedInstances) == (2, 4)
    assert answer.NumberOfPatientRelatedStudies == 1
    (answer,), _ = find(
        peer,
        keys(level="SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES, NumberOfSeriesRelatedInstances=None),
    )
    assert answer.NumberOfSeriesRelatedInstances == 3


def test_c_2_2_2_6_sequence_matching(peer: Peer) -> None:
    wanted = Dataset()
    wanted.ScheduledProcedureStepID, wanted.RequestedProcedureID = "STEP1", None
    (answer,), _ = find(
        peer,
        keys(level="SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=None, RequestAttributesSequence=[wanted]),
    )
    assert answer.SeriesInstanceUID == SERIES
    (item,) = answer.RequestAttributesSequence
    assert (item.ScheduledProcedureStepID, item.RequestedProcedureID) == ("STEP1", "RP1")


@pytest.mark.parametrize(
    ("step", "procedure", "expected"), [("A", "1", 1), ("B", "2", 1), ("A", "2", 0), ("B*", None, 1), ("A", "?", 1)]
)
def test_c_2_2_2_6_two_keys_of_a_sequence_must_hold_in_one_item(
    tmp_path: Path, step: str, procedure: str | None, expected: int
) -> None:
    items = [Dataset(), Dataset()]
    for item, (one, two) in zip(items, (("A", "1"), ("B", "2")), strict=True):
        item.ScheduledProcedureStepID, item.RequestedProcedureID = one, two
    wanted = Dataset()
    wanted.ScheduledProcedureStepID, wanted.RequestedProcedureID = step, procedure
    with running_door(tmp_path) as door, Peer(door.address) as peer:
        receive(door.archive, data_set(RequestAttributesSequence=items))
        open_query(peer)
        answers, _ = find(peer, keys(level="SERIES", StudyInstanceUID=STUDY, RequestAttributesSequence=[wanted]))
        assert len(answers) == expected
        assert all(len(answer.RequestAttributesSequence) == 2 for answer in answers)


def test_e8_an_empty_sequence_is_universal_and_comes_back_whole(peer: Peer) -> None:
    answers, _ = find(
        peer, keys(level="SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=None, RequestAttributesSequence=[])
    )
    assert [len(answer.RequestAttributesSequence) for answer in answers] == [1, 0]


def test_e8_group_lengths_character_set_and_time_zone_are_no_keys(peer: Peer) -> None:
    query = keys(PatientID="P1", SpecificCharacterSet="ISO_IR 192", TimezoneOffsetFromUTC="+0300")
    query[0x00080000] = DataElement(0x00080000, "UL", 42)
    (answer,), statuses = find(peer, query)
    assert statuses == [0xFF00, 0x0000]
    assert {element.keyword for element in answer} == {
        "QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability", "PatientID",
    }  # fmt: skip


def test_e8_two_items_in_a_key_are_refused(peer: Peer) -> None:
    query = keys(level="SERIES", StudyInstanceUID=STUDY, RequestAttributesSequence=[Dataset(), Dataset()])
    assert find(peer, query)[1] == [0xA900]


def test_patients_of_the_patient_root(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        open_query(peer, root=PATIENT_ROOT)
        query = keys(level="PATIENT", PatientID=None, PatientName=None, NumberOfPatientRelatedStudies=None)
        query.NumberOfPatientRelatedInstances = None
        answers, statuses = find(peer, query, root=PATIENT_ROOT)
        assert statuses == [0xFF00, 0xFF00, 0x0000]
        assert [(one.PatientID, one.NumberOfPatientRelatedInstances) for one in answers] == [("P1", 4), ("P2", 1)]
        answers, _ = find(peer, keys(PatientID="P2", StudyInstanceUID=None), root=PATIENT_ROOT)
        assert [answer.StudyInstanceUID for answer in answers] == [OTHER]


@pytest.mark.parametrize(
    ("root", "query"),
    [
        pytest.param(STUDY_ROOT, keys(level=""), id="no-level"),
        pytest.param(STUDY_ROOT, keys(level="PATIENT", PatientID="P1"), id="level-of-the-other-root"),
        pytest.param(STUDY_ROOT, keys(level="SERIES", SeriesInstanceUID=None), id="no-study"),
        pytest.param(STUDY_ROOT, keys(level="SERIES", StudyInstanceUID=[STUDY, OTHER]), id="two-studies"),
        pytest.param(STUDY_ROOT, keys(level="IMAGE", StudyInstanceUID=STUDY), id="no-series"),
        pytest.param(PATIENT_ROOT, keys(StudyInstanceUID=None), id="no-patient"),
        pytest.param(PATIENT_ROOT, keys(PatientID="P*"), id="wildcard-above"),
        pytest.param(PATIENT_ROOT, keys(level="PATIENT", StudyDate="20260305"), id="key-of-a-lower-level"),
        pytest.param(STUDY_ROOT, keys(Modality="CT"), id="series-key-at-study-level"),
        pytest.param(STUDY_ROOT, keys(NumberOfStudyRelatedInstances=4), id="computed"),
    ],
)
def test_e5_what_the_model_forbids_is_a900(door: RunningDoor, root: str, query: Dataset) -> None:
    with Peer(door.address) as peer:
        open_query(peer, root=root)
        assert find(peer, query, root=root) == ([], [0xA900])


def test_e6_a_key_of_a_lower_level_comes_back_empty_and_is_said_to_be_unsupported(peer: Peer) -> None:
    (answer,), statuses = find(peer, keys(PatientID="P1", Modality=None))
    assert (answer.Modality, statuses) == ("", [0xFF01, 0x0000])


def test_relational_queries_need_no_keys_above(door: RunningDoor) -> None:
    with Peer(door.address) as peer:
        open_query(peer, options=b"\1")
        answers, statuses = find(peer, keys(level="IMAGE", PatientID="P1", SOPInstanceUID=None, StudyInstanceUID=None))
        assert (len(answers), statuses[-1]) == (4, 0x0000)


def test_dates_and_times_are_one_interval_only_when_that_was_negotiated(door: RunningDoor) -> None:
    query = keys(StudyInstanceUID=None, StudyDate="20250101-20260305", StudyTime="220000-110000")
    with Peer(door.address) as peer:
        open_query(peer)
        assert find(peer, query)[0] == []
    with Peer(door.address) as peer:
        open_query(peer, options=b"\0\1")
        assert [answer.StudyInstanceUID for answer in find(peer, query)[0]] == [STUDY, OTHER]


def test_names_are_found_by_their_sound_only_when_that_was_negotiated(door: RunningDoor) -> None:
    query = keys(PatientName="zs", StudyInstanceUID=None)
    for options, expected in ((b"", []), (b"\0\0\1", [STUDY])):
        with Peer(door.address) as peer:
            open_query(peer, options=options)
            assert [answer.StudyInstanceUID for answer in find(peer, query)[0]] == expected


def test_empty_values_are_matched_only_when_that_was_negotiated(door: RunningDoor) -> None:
    query = keys(AccessionNumber='""', StudyInstanceUID=None)
    for options, expected in ((b"", 0), (b"\0\0\0\0\0\1", 2)):
        with Peer(door.address) as peer:
            open_query(peer, options=options)
            assert len(find(peer, query)[0]) == expected


def test_the_time_zone_of_the_query_counts_only_when_that_was_negotiated(door: RunningDoor) -> None:
    query = keys(StudyDate="20250101", StudyInstanceUID=None, TimezoneOffsetFromUTC="+1400")  # 23:00+0800 is next day
    for options, expected in ((b"", [OTHER]), (b"\0\0\0\1", [])):
        with Peer(door.address) as peer:
            open_query(peer, options=options)
            assert [answer.StudyInstanceUID for answer in find(peer, query)[0]] == expected


@pytest.mark.parametrize(
    ("charset", "key", "name", "answered"),
    [
        ("GB18030", "*张*", "Zhang^San=张^三", "GB18030"),
        ("GBK", "Zhang^San=张^?", "Zhang^San=张^三", "GBK"),
        ("ISO_IR 192", "张^三", "Zhang^San=张^三", "ISO_IR 192"),
        ("ISO_IR 100", "Zhang*", "Zhang^San=张^三", "ISO_IR 192"),
        (["", "ISO 2022 IR 58"], "Zhang*", "Zhang^San=张^三", "ISO_IR 192"),
        ("ISO_IR 100", "Müller^Jörg", "Müller^Jörg", "ISO_IR 100"),
        (None, "Zhang*", "Zhang^San=张^三", "ISO_IR 192"),
    ],
)
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_e9_questions_and_answers_in_the_askers_character_set(
    door: RunningDoor, charset: Any, key: str, name: str, answered: str, syntax: str
) -> None:
    query = keys(PatientName=key)
    if charset:
        query.SpecificCharacterSet = charset
    with Peer(door.address) as peer:
        open_query(peer, syntax=syntax)
        (answer,), _ = find(peer, query, syntax=syntax)
        assert (str(answer.PatientName), answer.SpecificCharacterSet) == (name, answered)


def test_e6_plain_answers_name_no_character_set(peer: Peer) -> None:
    (answer,), _ = find(peer, keys(PatientID="P1"))
    assert "SpecificCharacterSet" not in answer


def test_e10_a_cancel_ends_the_query(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scp.find._BETWEEN_CANCELS", 1)
    cancel = command([(0x0100, b"\xff\x0f"), (0x0120, b"\1\0"), (0x0800, b"\1\1")])
    with Peer(door.address) as peer:
        open_query(peer)
        send_find(peer, keys(StudyInstanceUID=None))
        peer.send(message(1, COMMAND, cancel))
        statuses = [peer.message()[0][0x0900]]
        while statuses[-1] == b"\x00\xff":
            statuses.append(peer.message()[0][0x0900])
        assert statuses[-1] in (b"\x00\xfe", b"\0\0")
        assert find(peer, keys(PatientID="P2"))[1] == [0xFF00, 0x0000]


def test_e10_more_matches_than_the_limit_are_out_of_resources(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(search_limit=1)) as door, Peer(door.address) as peer:
        receive(door.archive, data_set())
        receive(door.archive, data_set(study=OTHER, series=OTHER_SERIES))
        open_query(peer)
        assert find(peer, keys(StudyInstanceUID=None))[1] == [0xFF00, 0xA700]


@pytest.mark.parametrize(
    ("identifier", "status"),
    [
        pytest.param(b"\xff" * 100, 0xC000, id="no-data-set"),
        pytest.param(encoded(keys(PatientID="P1"))[:-1], 0xC000, id="truncated"),
        pytest.param(bytes(2 << 20), 0xA700, id="too-large"),
        pytest.param(encoded(keys(StudyDate="yesterday")), 0xA900, id="no-date"),
    ],
)
def test_a_hostile_identifier_gets_its_status(peer: Peer, identifier: bytes, status: int) -> None:
    assert find(peer, identifier)[1] == [status]
    assert find(peer, keys(PatientID="P1"))[1][-1] == 0x0000


def test_other_sites_are_not_seen(tmp_path: Path) -> None:
    here = KnownPeer(name="ws", ae_title="SENDER", site="there", services=("find",))
    with running_door(tmp_path, settings(peers=(here,))) as door, Peer(door.address) as peer:
        receive(door.archive, data_set())
        receive(door.archive, data_set(study=OTHER, series=OTHER_SERIES), site="there")
        open_query(peer)
        assert found(peer) == [OTHER]


def test_the_audit_trail_has_the_search_and_the_log_no_patient(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        find(peer, keys(PatientID="SECRET*"))
        find(peer, encoded(keys(level="PATIENT", PatientID="SECRET")))
    assert '"action":"search"' in caplog.text
    assert "SECRET" not in caplog.text
