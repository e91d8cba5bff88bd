"""QIDO-RS, requirement by requirement; the id in front of each sentence is the row and the clause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.dicomweb.web import (
    CT,
    MR_SERIES,
    OTHER_SERIES,
    OTHER_STUDY,
    ROOT,
    SERIES,
    STUDY,
    Web,
    ct,
    fill,
    open_web,
    parts,
    uids,
)

STUDY_UID, SERIES_UID, SOP_UID = "0020000D", "0020000E", "00080018"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web")) as opened:
        fill(opened)
        opened.add(ct(9, study="1.2.3.9", series="1.2.3.9.1", PatientName="Other^Site"), site="elsewhere")
        yield opened


def studies(web: Web, query: str) -> list[str]:
    return uids(web.json(f"/studies?{query}"), STUDY_UID)


BOTH = [OTHER_STUDY, STUDY]


@pytest.mark.parametrize(
    ("resource", "tag", "expected"),
    [
        ("/studies", STUDY_UID, BOTH),
        ("/series", SERIES_UID, [OTHER_SERIES, SERIES, MR_SERIES]),
        (f"/studies/{STUDY}/series", SERIES_UID, [SERIES, MR_SERIES]),
        (f"{CT}/instances", SOP_UID, [f"{SERIES}.1", f"{SERIES}.2", f"{SERIES}.3"]),
        (f"/studies/{STUDY}/instances", SOP_UID, [f"{SERIES}.{n}" for n in (1, 2, 3)] + [f"{MR_SERIES}.1"]),
        (
            "/instances",
            SOP_UID,
            [f"{OTHER_SERIES}.1"] + [f"{SERIES}.{n}" for n in (1, 2, 3)] + [f"{MR_SERIES}.1"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("/") else "",
)
def test_10_6_1_all_six_resources_answer_in_a_stable_order(
    web: Web, resource: str, tag: str, expected: list[str]
) -> None:
    assert uids(web.json(resource), tag) == expected
    assert uids(web.json(resource), tag) == expected


@pytest.mark.parametrize(
    "key",
    [
        "00100020=P1",
        "PatientID=P1",
        "0020000d=" + STUDY,
        "0020000D=" + STUDY,
    ],
)
def test_q1_8_3_4_1_keys_are_tags_or_keywords(web: Web, key: str) -> None:
    assert studies(web, key) == [STUDY]


@pytest.fixture(scope="module")
def requested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    from pydicom.dataset import Dataset

    with open_web(tmp_path_factory.mktemp("requested")) as opened:
        for number, step in ((1, "STEP1"), (2, "STEP2")):
            request, other = Dataset(), Dataset()
            request.ScheduledProcedureStepID, request.RequestedProcedureID = step, f"RP{number}"
            other.PatientID, other.TypeOfPatientID = f"OTHER{number}", "TEXT"
            item = ct(1, study=f"1.2.{number}", series=f"1.2.{number}.1")
            item.RequestAttributesSequence = [request]
            item.OtherPatientIDsSequence = [other]
            item.add_new(0x00091001, "LO", f"private{number}")
            item.add_new(0x00090010, "LO", "MAKER")
            opened.add(item)
        yield opened


@pytest.mark.parametrize(
    "key",
    [
        "OtherPatientIDsSequence.PatientID=OTHER2",
        "00101002.00100020=OTHER2",
        "OtherPatientIDsSequence.00100020=OTHER*2",
        "RequestAttributesSequence.ScheduledProcedureStepID=STEP2",
        "00400275.00401001=RP2",
    ],
)
def test_q1_q5_8_3_4_1_keys_reach_into_sequences(requested: Web, key: str) -> None:
    assert uids(requested.json(f"/series?{key}"), SERIES_UID) == ["1.2.2.1"]


def test_q2_8_3_4_1_an_attribute_given_twice_is_refused(web: Web) -> None:
    response = web.get("/studies?PatientID=P1&00100020=P2")
    assert response.status_code == 400
    assert "more than once" in response.json()["detail"]


def test_q3_8_3_4_1_a_private_key_needs_its_creator_and_both_come_back(requested: Web) -> None:
    assert requested.get("/instances?00091001=private2").status_code == 400
    (found,) = requested.json("/instances?00091001=private2&00090010=MAKER")
    assert found["00091001"]["Value"] == ["private2"]
    assert found["00090010"]["Value"] == ["MAKER"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("StudyDate=20260305", [STUDY]),
        ("StudyTime=101500", [STUDY]),
        ("AccessionNumber=A1", [STUDY]),
        ("ModalitiesInStudy=MR", [STUDY]),
        ("ReferringPhysicianName=Wang*", [STUDY]),
        ("PatientName=Zhang*", [STUDY]),
        ("PatientID=P2", [OTHER_STUDY]),
        (f"StudyInstanceUID={OTHER_STUDY}", [OTHER_STUDY]),
        ("StudyID=S1", [STUDY]),
        ("StudyDescription=*HEAD*", [STUDY]),
        ("PatientBirthDate=19800102", [STUDY]),
        ("PatientSex=M", BOTH),
    ],
)
def test_q4_10_6_1_the_required_study_keys_match(web: Web, query: str, expected: list[str]) -> None:
    assert studies(web, query) == expected


@pytest.mark.parametrize("query", ["Modality=MR", f"SeriesInstanceUID={MR_SERIES}", "SeriesNumber=2"])
def test_q5_10_6_1_the_required_series_keys_match(web: Web, query: str) -> None:
    assert uids(web.json(f"/studies/{STUDY}/series?{query}"), SERIES_UID) == [MR_SERIES]


@pytest.mark.parametrize("query", [f"SOPInstanceUID={SERIES}.2", "InstanceNumber=2", "InstanceNumber=02"])
def test_q6_10_6_1_the_required_instance_keys_match(web: Web, query: str) -> None:
    assert uids(web.json(f"{CT}/instances?{query}")) == [f"{SERIES}.2"]
    assert len(web.json(f"{CT}/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.2")) == 3


def test_q7_10_6_1_higher_levels_match_and_lower_ones_are_refused(web: Web) -> None:
    assert uids(web.json("/instances?PatientID=P1&Modality=CT&InstanceNumber=3")) == [f"{SERIES}.3"]
    response = web.get("/studies?Modality=CT")
    assert response.status_code == 400
    assert "ModalitiesInStudy" in response.json()["detail"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientID=p1", []),
        ("PatientID=P1%20", [STUDY]),
        ("PatientName=ZHANG%5ESAN", [STUDY]),
        ("PatientName=muller%5Ejorg", [OTHER_STUDY]),
        ("PatientName=%E5%BC%A0*", [STUDY]),
        (f"StudyInstanceUID={STUDY}%00", [STUDY]),
    ],
)
def test_q8_c_2_2_2_1_single_values_match_exactly_and_names_without_case_or_accent(
    web: Web, query: str, expected: list[str]
) -> None:
    assert studies(web, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientID=P?", BOTH),
        ("PatientID=*1", [STUDY]),
        ("StudyDescription=*", BOTH),
        ("AccessionNumber=*", BOTH),
        ("StudyDescription=CT%20H??D", [STUDY]),
        ("PatientName=*ang*", [STUDY]),
    ],
)
def test_q9_c_2_2_2_4_wildcards_match_and_a_star_alone_matches_the_absent_too(
    web: Web, query: str, expected: list[str]
) -> None:
    assert studies(web, query) == expected


@pytest.mark.parametrize("query", ["StudyInstanceUID=1.2*", "StudyDate=2026*", "PatientBirthDate=198?"])
def test_q9_c_2_2_2_4_wildcards_are_refused_where_they_do_not_apply(web: Web, query: str) -> None:
    assert web.get(f"/studies?{query}").status_code == 400


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("StudyDate=20260301-20260331", [STUDY]),
        ("StudyDate=-20260331", [STUDY]),
        ("StudyDate=20260401-", [OTHER_STUDY]),
        ("StudyDate=20260305-20260401", BOTH),
        ("StudyTime=10-12", [STUDY]),
        ("StudyTime=-083000.5", [OTHER_STUDY]),
        ("StudyTime=0830-1015", BOTH),
        ("StudyTime=10", [STUDY]),
        ("StudyTime=08:30-", BOTH),
    ],
)
def test_q10_c_2_2_2_5_ranges_are_inclusive_and_cover_their_precision(
    web: Web, query: str, expected: list[str]
) -> None:
    assert studies(web, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("StudyDate=20260305-20260401&StudyTime=101600-0829", []),
        ("StudyDate=20260305-20260401&StudyTime=1016-0831", [OTHER_STUDY]),
        ("StudyDate=20260305-&StudyTime=1014-1016", BOTH),
        ("StudyDate=20260305-20260402&StudyTime=1014-0700", BOTH),
    ],
)
def test_q11_8_3_4_1_1_a_date_range_and_a_time_range_are_one_interval(
    web: Web, query: str, expected: list[str]
) -> None:
    assert studies(web, query) == expected


@pytest.mark.parametrize(
    "query",
    [
        f"StudyInstanceUID={STUDY},{OTHER_STUDY}",
        f"StudyInstanceUID={STUDY}%5C{OTHER_STUDY}",
        f"StudyInstanceUID={STUDY}&StudyInstanceUID={OTHER_STUDY}",
        f"0020000D={STUDY},1.2.3,{OTHER_STUDY}",
    ],
)
def test_q12_c_2_2_2_2_a_uid_list_has_commas_backslashes_or_repeats(web: Web, query: str) -> None:
    assert studies(web, query) == BOTH


def test_q13_8_3_4_an_empty_value_matches_all_and_asks_for_the_attribute(web: Web) -> None:
    found = web.json("/studies?StudyDescription=&PatientAge=")
    assert uids(found, STUDY_UID) == BOTH
    assert found[0]["00081030"] == {"vr": "LO"}
    assert found[1]["00081030"]["Value"] == ["CT HEAD"]
    assert found[0]["00101010"] == {"vr": "AS"}


def test_q13_8_3_4_5_empty_value_matching_finds_the_empty_and_the_absent(web: Web) -> None:
    response = web.get('/studies?emptyvaluematching=true&AccessionNumber=""')
    assert uids(response.json(), STUDY_UID) == [OTHER_STUDY]
    assert studies(web, 'emptyvaluematching=true&StudyDescription=""') == [OTHER_STUDY]
    assert "warning" not in response.headers


def test_q14_c_2_2_2_8_multiple_values_must_all_be_there(web: Web) -> None:
    assert studies(web, "multiplevaluematching=true&ModalitiesInStudy=CT%5CMR") == [STUDY]
    assert studies(web, "multiplevaluematching=true&ModalitiesInStudy=MR%5CCT%5CCT") == [STUDY]
    assert studies(web, "multiplevaluematching=true&ModalitiesInStudy=CT%5CCR") == []
    assert studies(web, "multiplevaluematching=false&ModalitiesInStudy=CT%5CCR") == BOTH
    assert web.get("/studies?multiplevaluematching=true&ModalitiesInStudy=CT%5CC*").status_code == 400


def test_q14_8_3_4_6_an_attribute_of_one_value_matches_any_of_a_list(web: Web) -> None:
    assert studies(web, "multiplevaluematching=true&PatientID=P1%5CP2") == BOTH
    assert studies(web, "PatientID=P9%5CP2") == [OTHER_STUDY]


@pytest.mark.parametrize(
    "name",
    ["zhang", "san zhang", "ZHANGSAN", "Zhang^San", "zs", "张三", "三", "sanzhang", "*zhang*", "zh s", "ZHĀNG SĀN"],
)
def test_q15_8_3_4_2_fuzzy_matching_knows_components_prefixes_pinyin_and_initials(web: Web, name: str) -> None:
    response = web.get(f"/studies?fuzzymatching=true&PatientName={quote(name)}")
    assert uids(response.json(), STUDY_UID) == [STUDY]
    assert "warning" not in response.headers


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientName=jorg", [OTHER_STUDY]),
        ("PatientName=Jorg+Muller", [OTHER_STUDY]),
        ("PatientName=rg", []),
        ("PatientName=zhang+si", []),
        ("PatientName=li\\jo", [OTHER_STUDY]),
        ("ReferringPhysicianName=wu", [STUDY]),
        ("ReferringPhysicianName=ww&PatientName=zs", [STUDY]),
        ("PatientID=P1", [STUDY]),
        ("PatientID=p1", []),
        ("PatientName=%5E", []),
    ],
)
def test_q15_c_2_2_2_1_1_fuzzy_matching_of_names_only(web: Web, query: str, expected: list[str]) -> None:
    assert studies(web, f"fuzzymatching=true&{query}") == expected


def test_q15_without_fuzzy_matching_names_match_as_a_whole(web: Web) -> None:
    assert studies(web, "fuzzymatching=false&PatientName=zhang") == []


def test_q15_a_name_that_is_not_indexed_is_matched_fuzzily_too(tmp_path: Path) -> None:
    with open_web(tmp_path) as own:
        own.add(ct(8, PerformingPhysicianName="张^三"))
        own.add(ct(9, PerformingPhysicianName="单^雄信"))
        assert uids(own.json("/instances?fuzzymatching=true&PerformingPhysicianName=sxx")) == [f"{SERIES}.9"]


def test_q15_8_3_4_2_a_private_key_is_matched_literally_with_the_warning(web: Web) -> None:
    response = web.get("/instances?fuzzymatching=true&00090010=ACME&00091001=x")
    assert response.headers["warning"] == (
        f"299 {_base()}: The fuzzymatching parameter is not supported. Only literal matching has been performed."
    )


def test_q16_8_3_4_3_fields_may_be_listed_and_repeated(web: Web) -> None:
    query = "includefield=StudyDescription,00101010&includefield=00080062&PatientID=P1"
    (found,) = web.json(f"/studies?{query}")
    assert found["00081030"]["Value"] == ["CT HEAD"]
    assert found["00101010"] == {"vr": "AS"}
    assert found["00080062"]["Value"] == ["1.2.840.10008.5.1.4.1.1.2"]


def test_q16_10_6_3_3_fields_of_a_lower_level_are_not_returned(web: Web) -> None:
    (found,) = web.json("/studies?includefield=Modality,KVP,InstanceNumber,00180060&PatientID=P1")
    assert not {"00080060", "00180060", "00200013"} & set(found)


def test_q16_fields_that_are_not_indexed_come_from_the_metadata(web: Web) -> None:
    found = web.json(f"{CT}/instances?includefield=KVP,PhotometricInterpretation,PatientWeight")
    assert [item["00180060"]["Value"] for item in found] == [[120], [120], [120]]
    assert found[0]["00280004"]["Value"] == ["MONOCHROME2"]
    assert found[0]["00101030"] == {"vr": "DS"}


def test_q16_a_field_inside_a_sequence_brings_only_itself(requested: Web) -> None:
    (found,) = requested.json("/studies?StudyInstanceUID=1.2.1&includefield=OtherPatientIDsSequence.PatientID")
    assert found["00101002"] == {"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["OTHER1"]}}]}


def test_q16_all_brings_everything_of_the_level(web: Web) -> None:
    instance = web.json(f"{CT}/instances?includefield=all&InstanceNumber=1")[0]
    assert {"00280010", "00180060", "7FE00010", "00081190", "00100010"} <= set(instance)
    assert instance["7FE00010"]["BulkDataURI"] == f"{_base()}{CT}/instances/{SERIES}.1/bulkdata/7FE00010"
    (study,) = web.json("/studies?includefield=all&PatientID=P1")
    assert "00081030" in study
    assert not {"00180060", "00080060", "7FE00010"} & set(study)


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "limit=", "limit=1.5", "offset=-1", "offset=%D9%A1", "limit=9999999999", "limit=1&limit=2"],
)
def test_q17_8_3_4_4_a_bad_limit_or_offset_is_refused(web: Web, query: str) -> None:
    assert web.get(f"/studies?{query}").status_code == 400


def test_q17_8_3_4_4_pages_put_together_are_the_whole(web: Web) -> None:
    whole = uids(web.json("/instances"))
    paged = [uid for offset in range(6) for uid in uids(web.json(f"/instances?limit=1&offset={offset}"))]
    assert paged == whole


def test_q18_8_3_4_4_1_more_results_are_told_in_a_warning(web: Web) -> None:
    response = web.get("/instances?limit=2&offset=1")
    assert len(response.json()) == 2
    assert response.headers["warning"] == f"299 {_base()}: There are 2 additional results that can be requested"
    assert "warning" not in web.get("/instances?limit=5").headers


@pytest.mark.parametrize("query", ["PatientID=nobody", "offset=100", "limit=0"])
def test_q19_q20_8_3_4_4_no_results_are_an_empty_array(web: Web, query: str) -> None:
    response = web.get(f"/studies?{query}")
    assert (response.status_code, response.json()) == (200, [])
    assert ("warning" in response.headers) == (query == "limit=0")


def test_q19_no_results_are_204_when_the_setting_says_so(tmp_path: Path) -> None:
    with open_web(tmp_path, empty_search=204) as empty:
        response = empty.get("/studies")
        assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize(
    "query",
    [
        "PatientNam=x",
        "patientid=P1",
        "0010002=P1",
        "001000200=P1",
        "00100020.PatientID=P1",
        "StudyDate=2026-03-05",
        "StudyDate=20261305",
        "StudyDate=-",
        "StudyTime=25",
        "SeriesNumber=one",
        "includefield=Nonsense",
        "fuzzymatching=maybe",
        "NumberOfStudyRelatedSeries=1",
        "PatientID=%FF",
        "00020010=1.2",
    ],
)
def test_q21_what_cannot_be_understood_is_refused_never_ignored(web: Web, query: str) -> None:
    response = web.get(f"/series?{query}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


def test_q21_a_misspelled_keyword_is_refused_with_the_nearest_one(web: Web) -> None:
    assert "did you mean PatientName?" in web.get("/studies?PatientNam=x").json()["detail"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [("KVP=120", [STUDY]), ("KVP=80", [OTHER_STUDY]), ("KVP=120&PatientID=P2", []), ("KVP=7", [])],
)
def test_q21_a_key_that_is_not_indexed_is_matched_over_the_metadata(web: Web, query: str, expected: list[str]) -> None:
    assert studies(web, query) == expected


def test_q21_a_scan_pages_like_any_search(web: Web) -> None:
    response = web.get("/instances?KVP=120&limit=1&offset=1")
    assert uids(response.json()) == [f"{SERIES}.2"]
    assert "There are 1 additional results" in response.headers["warning"]


def test_q21_a_scan_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with open_web(tmp_path, scan_limit=2) as small:
        for number in (1, 2, 3):
            small.add(ct(number))
        assert len(small.json("/instances?KVP=120&InstanceNumber=2")) == 1
        response = small.get("/instances?KVP=120")
        assert response.status_code == 400
        assert "00180060 is not indexed" in response.json()["detail"]


def test_q22_the_server_maximum_caps_the_limit(tmp_path: Path) -> None:
    with open_web(tmp_path, search_limit_max=2, search_limit_default=1) as small:
        for number in (1, 2, 3):
            small.add(ct(number))
        assert len(small.json("/instances")) == 1
        response = small.get("/instances?limit=100")
        assert len(response.json()) == 2
        assert "There are 1 additional" in response.headers["warning"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/dicom+json"),
        ("*/*", "application/dicom+json"),
        ("application/dicom+json", "application/dicom+json"),
        ("application/json", "application/json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
    ],
)
def test_q23_10_6_4_json_is_the_default(web: Web, accept: str | None, expected: str) -> None:
    response = web.get("/studies", accept)
    assert response.headers["content-type"] == expected
    assert len(response.json()) == 2


def test_q23_10_6_4_xml_has_one_part_a_result(web: Web) -> None:
    response = web.get("/studies", 'multipart/related; type="application/dicom+xml"')
    found = parts(response)
    assert [header["content-type"] for header, _ in found] == ["application/dicom+xml"] * 2
    assert b'<DicomAttribute tag="00100020" vr="LO" keyword="PatientID"><Value number="1">P2</Value>' in found[0][1]


def test_q23_an_impossible_type_is_not_acceptable(web: Web) -> None:
    assert web.get("/studies", "image/png").status_code == 406


@pytest.fixture(scope="module")
def zoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Three studies of 5 March 2026, 01:30 by their own clocks: in Shanghai, in UTC and 12 hours west of it."""
    with open_web(tmp_path_factory.mktemp("zoned")) as opened:
        for number, offset in ((1, None), (2, "+0000"), (3, "-1200")):
            more = {} if offset is None else {"TimezoneOffsetFromUTC": offset}
            study = f"1.2.{number}"
            one = ct(1, study=study, series=f"{study}.1", StudyTime="013000", **more)
            one.AcquisitionDate, one.AcquisitionTime = "20260305", "013000"
            opened.add(one)
        yield opened


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("StudyDate=20260305", "1 2 3"),
        ("StudyDate=20260304&TimezoneOffsetFromUTC=%2B0000", "1"),
        ("StudyDate=20260305&TimezoneOffsetFromUTC=%2B0000", "2 3"),
        ("StudyDate=20260305&TimezoneOffsetFromUTC=+0800", "1 2 3"),
        ("StudyDate=20260306&TimezoneOffsetFromUTC=%2B1400", "3"),
        ("StudyDate=20260304&TimezoneOffsetFromUTC=-1200", "1 2"),
        ("StudyDate=-20260304&TimezoneOffsetFromUTC=-1200", "1 2"),
        ("StudyDate=20260304%5C20260306&TimezoneOffsetFromUTC=%2B0000", "1"),
        ("StudyTime=17-18&TimezoneOffsetFromUTC=%2B0000", "1"),
        ("StudyTime=0130&TimezoneOffsetFromUTC=%2B0000", "2"),
        ("StudyDate=20260304-20260305&StudyTime=1700-0130&TimezoneOffsetFromUTC=%2B0000", "1 2"),
        ("StudyDate=20260305&PatientBirthDate=19800102&TimezoneOffsetFromUTC=%2B0000", "2 3"),
        ("PatientBirthDate=19800102&TimezoneOffsetFromUTC=-1200", "1 2 3"),
        ("PatientID=P1&TimezoneOffsetFromUTC=", "1 2 3"),
        ("AcquisitionDate=20260304&TimezoneOffsetFromUTC=%2B0000", "1"),
        ("AcquisitionTime=1330&TimezoneOffsetFromUTC=%2B0000", "3"),
    ],
)
def test_q24_dates_and_times_are_in_the_zone_of_the_search(zoned: Web, query: str, expected: str) -> None:
    assert sorted(studies(zoned, query)) == [f"1.2.{number}" for number in expected.split()]


def test_q24_the_offset_is_returned_and_pages_are_counted(zoned: Web) -> None:
    response = zoned.get("/studies?StudyDate=20260305&TimezoneOffsetFromUTC=%2B0000&limit=1")
    assert response.json()[0]["00080201"]["Value"] == ["+0000"]
    assert "There are 1 additional" in response.headers["warning"]


@pytest.mark.parametrize("offset", ["0800", "%2B1500", "-1300", "%2B08:00", "Z", "*"])
def test_q24_a_bad_offset_is_refused(zoned: Web, offset: str) -> None:
    assert zoned.get(f"/studies?StudyDate=20260305&TimezoneOffsetFromUTC={offset}").status_code == 400


def test_q24_a_search_in_a_zone_reads_no_more_rows_than_allowed(tmp_path: Path) -> None:
    with open_web(tmp_path, scan_limit=1) as small:
        for number in (1, 2):
            small.add(ct(1, study=f"1.2.{number}", series=f"1.2.{number}.1"))
        assert small.get("/studies?StudyTime=10-11&TimezoneOffsetFromUTC=%2B0800").status_code == 400
        assert len(small.json("/studies?StudyInstanceUID=1.2.1&StudyTime=10-11&TimezoneOffsetFromUTC=%2B0800")) == 1


REQUIRED = {
    "/studies": {
        "00080020": "DA", "00080030": "TM", "00080050": "SH", "00080061": "CS", "00080090": "PN", "00100010": "PN",
        "00100020": "LO", "00100030": "DA", "00100040": "CS", "0020000D": "UI", "00200010": "SH", "00201206": "IS",
        "00201208": "IS", "00081190": "UR", "00080056": "CS",
    },
    f"/studies/{STUDY}/series": {
        "00080060": "CS", "0020000E": "UI", "00200011": "IS", "00201209": "IS", "00081190": "UR", "0020000D": "UI",
    },
    f"{CT}/instances": {
        "00080016": "UI", "00080018": "UI", "00200013": "IS", "00081190": "UR", "00280010": "US", "00280011": "US",
        "00280100": "US", "00083002": "UI", "0020000D": "UI", "0020000E": "UI",
    },
}  # fmt: skip
REQUIRED["/series"] = REQUIRED["/studies"] | REQUIRED[f"/studies/{STUDY}/series"]
REQUIRED["/instances"] = REQUIRED["/series"] | REQUIRED[f"{CT}/instances"]
REQUIRED[f"/studies/{STUDY}/instances"] = REQUIRED[f"/studies/{STUDY}/series"] | REQUIRED[f"{CT}/instances"]


@pytest.mark.parametrize("resource", REQUIRED)
def test_q25_to_q29_10_6_3_required_attributes_are_there_even_when_empty(web: Web, resource: str) -> None:
    for item in web.json(resource):
        returned = {tag: element["vr"] for tag, element in item.items()}
        assert REQUIRED[resource].items() <= returned.items()
        assert list(item) == sorted(item)
        assert not any(element.get("Value") == [] for element in item.values())


def test_q29_an_empty_required_attribute_has_only_its_vr(web: Web) -> None:
    found = web.json(f"/studies?StudyInstanceUID={OTHER_STUDY}")[0]
    assert found["00080050"] == {"vr": "SH"}
    assert found["00080090"] == {"vr": "PN"}
    assert found["00100030"] == {"vr": "DA"}


def test_q28_hierarchical_resources_do_not_repeat_the_patient(web: Web) -> None:
    assert "00100010" not in web.json(f"/studies/{STUDY}/series")[0]
    assert "00100010" in web.json(f"/studies/{STUDY}/series?includefield=PatientName")[0]


def test_q30_types_of_computed_attributes(web: Web) -> None:
    found = web.json(f"/studies?StudyInstanceUID={STUDY}")[0]
    assert found["00201206"] == {"vr": "IS", "Value": [2]}
    assert found["00201208"] == {"vr": "IS", "Value": [4]}
    assert sorted(found["00080061"]["Value"]) == ["CT", "MR"]
    assert found["00081190"]["Value"] == [f"{_base()}/studies/{STUDY}"]
    assert found["00080056"]["Value"] == ["ONLINE"]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("CT", [STUDY]), ("CR", [OTHER_STUDY]), ("M*", [STUDY]), ("CT,CR", BOTH), ("CR%5CMR", BOTH), ("US", [])],
)
def test_q30_modalities_in_study_match_any_series(web: Web, value: str, expected: list[str]) -> None:
    assert studies(web, f"ModalitiesInStudy={value}") == expected


def test_q31_a_search_below_an_unknown_study_is_empty(web: Web) -> None:
    assert web.json("/studies/1.2.3.4/series") == []
    assert web.json("/studies/1.2.3.4/instances") == []


def test_q32_a_key_against_the_path_matches_nothing(web: Web) -> None:
    assert web.json(f"/studies/{STUDY}/series?StudyInstanceUID={OTHER_STUDY}") == []


def test_another_site_is_never_seen(web: Web) -> None:
    assert studies(web, "PatientName=Other*") == []
    assert web.json("/series?StudyInstanceUID=1.2.3.9") == []


def test_results_follow_when_an_instance_comes_in(tmp_path: Path) -> None:
    with open_web(tmp_path) as growing:
        growing.add(ct(1))
        assert _counts(growing.json("/studies")) == [1]
        growing.add(ct(2))
        assert _counts(growing.json("/studies")) == [2]


def _counts(found: list[dict[str, Any]]) -> list[int]:
    return [item["00201208"]["Value"][0] for item in found]


def _base() -> str:
    return f"http://pacs.test:8042{ROOT}"
