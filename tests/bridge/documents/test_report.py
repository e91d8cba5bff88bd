"""Reports as HTML, plain text and XML (PS3.3 §C.17, PS3.18 Table 8.7.4-1)."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage, KeyObjectSelectionDocumentStorage

from bridge.documents import FORMS, render
from tests.bridge.shown import (
    BASE,
    FINDING,
    SERIES,
    STUDY,
    Page,
    as_metadata,
    coded,
    content,
    evidence,
    measured,
    real_file,
    referenced,
    report,
)  # fmt: skip
from tests.conftest import Dcmtk

IMAGE = f"{SERIES}.77"
MILLIMETRE = Code("mm", "UCUM", "millimeter")
HREF = f"{BASE}/studies/{STUDY}/series/{SERIES}/instances/{IMAGE}"
NAMESPACE = {"r": "urn:dicom-bridge:report"}


def shown(item: Dataset, media_type: str = "text/html") -> str:
    return b"".join(render(as_metadata(item), media_type, BASE)).decode()


def page(item: Dataset) -> Page:
    return Page(shown(item))


VALUES = [
    ("TEXT", {"TextValue": "Two nodules\r\nin the left lung"}, "Two nodules\nin the left lung"),
    ("CODE", {"ConceptCodeSequence": [coded(Code("M-1", "SRT", "Mass"))]}, "Mass"),
    ("NUM", {"MeasuredValueSequence": [measured("12.3", MILLIMETRE)]}, "12.3 mm"),
    ("NUM", {"MeasuredValueSequence": [measured("0.5", Code("1", "UCUM", "no units"))]}, "0.5"),
    ("NUM", {"NumericValueQualifierCodeSequence": [coded(Code("114000", "DCM", "Not a number"))]}, "(Not a number)"),
    ("PNAME", {"PersonName": "Li^Si=李^四"}, "Li, Si (李 四)"),
    ("DATE", {"Date": "20260305"}, "2026-03-05"),
    ("TIME", {"Time": "101500"}, "10:15:00"),
    ("DATETIME", {"DateTime": "20260305101500+0800"}, "2026-03-05 10:15:00 +0800"),
    ("UIDREF", {"UID": "1.2.3.4"}, "1.2.3.4"),
    ("SCOORD", {"GraphicType": "CIRCLE", "GraphicData": [10, 20, 30, 40]}, "CIRCLE 10, 20, 30, 40"),
    ("SCOORD3D", {"GraphicType": "POINT", "GraphicData": [1, 2, 3.5], "ReferencedFrameOfReferenceUID": "1.9"},
     "POINT 1, 2, 3.5; frame of reference 1.9"),
    ("TCOORD", {"TemporalRangeType": "SEGMENT", "ReferencedSamplePositions": [1, 200]}, "SEGMENT; samples 1, 200"),
    ("TCOORD", {"TemporalRangeType": "POINT", "ReferencedTimeOffsets": [0.25]}, "POINT; 0.25 s"),
]  # fmt: skip


@pytest.mark.parametrize("media_type", FORMS)
@pytest.mark.parametrize(("value_type", "attributes", "text"), VALUES)
def test_every_value_type_is_written(
    value_type: str, attributes: dict[str, object], text: str, media_type: str
) -> None:
    written = shown(report(content(value_type, **attributes)), media_type)
    assert " ".join(text.split()) in " ".join(re.sub("<[^>]*>", " ", written).split())


@pytest.mark.parametrize("value_type", ["IMAGE", "COMPOSITE", "WAVEFORM"])
def test_a_reference_links_to_the_rendered_object_when_the_report_says_where_it_is(value_type: str) -> None:
    item = content(value_type, ReferencedSOPSequence=[referenced(IMAGE)])
    assert page(report(item)).links == []
    listed = report(item, CurrentRequestedProcedureEvidenceSequence=[evidence(referenced(IMAGE))])
    assert page(listed).links == [f"{HREF}/rendered"] * 2  # in the tree and in the list
    assert f"<{HREF}/rendered>" in shown(listed, "text/plain")


def test_a_reference_to_frames_links_to_these_frames_rendered() -> None:
    item = content("IMAGE", ReferencedSOPSequence=[referenced(IMAGE, ReferencedFrameNumber=[5, 2])])
    listed = report(item, PertinentOtherEvidenceSequence=[evidence(referenced(IMAGE))])
    assert f"{HREF}/frames/5,2/rendered" in page(listed).links
    assert "frames 5 2" in page(listed).text


def test_the_presentation_state_of_an_image_is_named_beside_it() -> None:
    state = referenced(f"{SERIES}.78", GrayscaleSoftcopyPresentationStateStorage)
    item = content("IMAGE", ReferencedSOPSequence=[referenced(IMAGE, ReferencedSOPSequence=[state])])
    assert f"Grayscale Softcopy Presentation State {SERIES}.78" in page(report(item)).text


def test_channels_and_segments_of_a_reference_are_named() -> None:
    item = content("WAVEFORM", ReferencedSOPSequence=[referenced(IMAGE, ReferencedWaveformChannels=[1, 2, 3, 0])])
    assert "channels 1.2 3.0" in page(report(item)).text
    item = content("IMAGE", ReferencedSOPSequence=[referenced(IMAGE, ReferencedSegmentNumber=4)])
    assert "segment 4" in page(report(item)).text


def test_an_item_by_reference_points_at_the_item_meant() -> None:
    pointer = Dataset()
    pointer.RelationshipType, pointer.ReferencedContentItemIdentifier = "INFERRED FROM", [1, 1]
    read = page(report(content("TEXT", TextValue="a"), content("TEXT", pointer, TextValue="b")))
    assert read.links == ["#item-1.1"]
    assert "item-1.1" in read.ids
    assert "inferred from" in read.text


def test_the_whole_tree_is_there_in_its_order_and_depth() -> None:
    tree = report(
        content("CONTAINER", content("TEXT", content("TEXT", TextValue="grandchild"), TextValue="child")),
        content("TEXT", TextValue="last"),
    )
    assert re.findall("grandchild|child|last", page(tree).text) == ["child", "grandchild", "last"]
    assert page(tree).ids == ["item-1.1", "item-1.1.1", "item-1.1.1.1", "item-1.2"]
    root = ElementTree.fromstring(shown(tree, "text/xml"))
    assert root.find("r:item/r:item/r:item/r:item", NAMESPACE).get("position") == "1.1.1.1"
    assert "    Finding: grandchild" in shown(tree, "text/plain")


def test_relationships_are_named() -> None:
    item = content("CODE", ConceptCodeSequence=[coded(FINDING)], RelationshipType="HAS OBS CONTEXT")
    assert "context" in page(report(item)).text
    assert "[context] Finding: Finding" in shown(report(item), "text/plain")


def test_patient_title_and_state_stand_above_the_content() -> None:
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = "Wang^Wu=王^五", "Hospital 1"
    observer.VerificationDateTime = "20260306120000"
    item = report(VerificationFlag="VERIFIED", VerifyingObserverSequence=[observer], AccessionNumber="A1")
    text = page(item).text
    for expected in (
        "Zhang, San (张 三)", "P1", "1980-01-02", "Imaging Measurement Report", "Complete", "Verified", "A1",
        "Wang, Wu (王 五), Hospital 1, 2026-03-06 12:00:00",
    ):  # fmt: skip
        assert expected in text
        assert expected in shown(item, "text/plain")


@pytest.mark.parametrize("charset", ["ISO_IR 192", "GB18030", "GBK"])
def test_text_of_every_character_set_comes_out_as_utf_8(charset: str) -> None:
    item = report(
        content("TEXT", TextValue="左肺上叶结节"), SpecificCharacterSet=charset, PatientName="Zhang^San=张^三"
    )
    assert "左肺上叶结节" in page(item).text
    assert "张 三" in page(item).text


def test_the_language_of_the_report_is_the_language_of_the_page() -> None:
    said = coded(Code("zh-CN", "RFC5646", "Chinese"))
    item = content("CODE", concept=Code("121049", "DCM", "Language"), ConceptCodeSequence=[said])
    assert '<html lang="zh-CN">' in shown(report(item))
    assert '<html lang="en">' in shown(report())


HOSTILE = "</span><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x1b"


@pytest.mark.filterwarnings("ignore:Invalid value for VR", "ignore:The value length")
def test_hostile_text_stays_text_everywhere() -> None:
    code = Code(HOSTILE[:16], HOSTILE[:16], HOSTILE)
    item = report(
        content("TEXT", TextValue=HOSTILE, concept=code, RelationshipType='"><SCRIPT>'),
        content("CODE", concept=code, ConceptCodeSequence=[coded(code)]),
        content('"><SCRIPT>', UID="x"),
        content("IMAGE", ReferencedSOPSequence=[referenced('"><script>')]),
        PatientName=HOSTILE, ConceptNameCodeSequence=[coded(code)],
        CurrentRequestedProcedureEvidenceSequence=[evidence(referenced('"><script>'), study='"><script>')],
    )  # fmt: skip
    read = page(item)
    assert not read.tags & {"script", "img"}
    assert read.attributes <= {"lang", "charset", "name", "content", "class", "id", "title", "href"}
    assert read.links == []
    assert "alert(1)" in read.text
    ElementTree.fromstring(shown(item, "text/xml"))


def test_a_page_asks_for_nothing_and_runs_nothing() -> None:
    read = page(report(content("TEXT", TextValue="a")))
    assert not read.tags & {"script", "link", "img", "iframe", "object", "form", "base"}


def test_deep_nesting_ends_where_the_metadata_end_and_says_so() -> None:
    item = content("TEXT", TextValue="bottom")
    for _ in range(200):
        item = content("CONTAINER", item)
    read = page(report(item))
    assert "Deeper content is not shown" in read.text
    assert "bottom" not in read.text
    ElementTree.fromstring(shown(report(item), "text/xml"))
    assert "(deeper content is not shown)" in shown(report(item), "text/plain")


def test_a_report_without_anything_is_still_a_page() -> None:
    item = report()
    del item.ConceptNameCodeSequence, item.ContentSequence, item.PatientName
    assert "Structured report" in page(item).text


def test_a_key_object_selection_is_a_report_of_its_images() -> None:
    item = report(
        content("TEXT", TextValue="worst slice", concept=Code("113012", "DCM", "Key Object Description")),
        content("IMAGE", ReferencedSOPSequence=[referenced(IMAGE)]),
        SOPClassUID=KeyObjectSelectionDocumentStorage,
        ConceptNameCodeSequence=[coded(Code("113000", "DCM", "Of Interest"))],
        CurrentRequestedProcedureEvidenceSequence=[evidence(referenced(IMAGE))],
    )
    read = page(item)
    assert "Of Interest" in read.text
    assert "worst slice" in read.text
    assert f"{HREF}/rendered" in read.links


DCMTK_WORDS = {
    "Annex",
    "with",
    "Footnote",
    "Observation",
    "Properties",
    "unknown",
    "BasicTextSRStorage",
    "HemodynamicWaveformStorage",
}  # of its layout, and of classes that we name with spaces
REAL = ["pydicom-pydicom__test_files__test-SR.dcm", "ImagingDataCommons-highdicom__sr_document.dcm",
        "pydicom-pydicom__test_files__reportsi.dcm"]  # fmt: skip


@pytest.mark.server
@pytest.mark.parametrize("name", REAL)
def test_every_word_that_dcmtk_prints_of_a_real_report_is_on_the_page(
    name: str, dcmtk: Dcmtk, shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "variety" / name
    theirs = dcmtk.run("dsr2html", "-Ei", "-Er", "-Ec", "-Ev", "+U8", path, tmp_path / "theirs.html")
    assert theirs.returncode == 0, theirs.stderr
    html = (tmp_path / "theirs.html").read_text().partition("<hr>")[2].rpartition("<hr>")[0]
    words = set(re.findall(r"[^\W_]{3,}", re.sub("<[^>]*>|&[a-z]+;", " ", html))) - DCMTK_WORDS
    ours = b"".join(render(real_file(path), "text/html", BASE)).decode().lower()
    missing = sorted(word for word in words if word.lower() not in ours)
    assert missing == []
