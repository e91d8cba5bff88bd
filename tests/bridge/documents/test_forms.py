"""What is particular to plain text and to XML (docs/dicomweb.md)."""

from __future__ import annotations

from xml.etree import ElementTree

from pydicom.sr.coding import Code

from bridge.documents import render
from tests.bridge.shown import BASE, as_metadata, coded, content, evidence, measured, referenced, report

NAMESPACE = {"r": "urn:dicom-bridge:report"}
NODULE = content(
    "NUM",
    content("TEXT", TextValue="solid\r\npart"),
    concept=Code("410668003", "SCT", "Length"),
    MeasuredValueSequence=[measured("8.4", Code("mm", "UCUM", "millimeter"))],
    ObservationDateTime="20260305101500",
)
REPORT = report(
    NODULE,
    content("IMAGE", ReferencedSOPSequence=[referenced("1.2.3", ReferencedFrameNumber=[1, 2])]),
    CurrentRequestedProcedureEvidenceSequence=[evidence(referenced("1.2.3"))],
)


def text() -> str:
    return b"".join(render(as_metadata(REPORT), "text/plain", BASE)).decode()


def tree() -> ElementTree.Element:
    return ElementTree.fromstring(b"".join(render(as_metadata(REPORT), "text/xml", BASE)))


def test_plain_text_begins_with_its_title_and_the_patient() -> None:
    lines = text().splitlines()
    assert lines[:2] == ["Imaging Measurement Report", "=" * len("Imaging Measurement Report")]
    assert lines[3:5] == ["Patient: Zhang, San (张 三)", "Patient ID: P1"]


def test_plain_text_indents_what_lies_below_and_the_lines_of_a_text() -> None:
    assert "Length: 8.4 mm (observed 2026-03-05 10:15:00)\n  Finding: solid\n    part\n" in text()


def test_plain_text_ends_with_what_the_report_lists() -> None:
    assert text().splitlines()[-1].startswith("Evidence: CT Image 1.2.3 <https://pacs.test/dicom-web/studies/")


def test_xml_has_the_patient_as_facts() -> None:
    facts = {fact.get("name"): fact.text for fact in tree().findall("r:patient/r:fact", NAMESPACE)}
    assert facts == {"Patient": "Zhang, San (张 三)", "Patient ID": "P1", "Born": "1980-01-02", "Sex": "M"}


def test_xml_has_concept_value_and_unit_with_their_codes() -> None:
    item = tree().find("r:item/r:item[@type='NUM']", NAMESPACE)
    assert item is not None
    concept, value, unit = (item.find(f"r:{name}", NAMESPACE) for name in ("concept", "value", "unit"))
    assert concept is not None
    assert value is not None
    assert unit is not None
    assert (concept.get("value"), concept.get("scheme"), concept.text) == ("410668003", "SCT", "Length")
    assert value.text == "8.4 mm"
    assert (unit.get("value"), unit.get("scheme"), unit.text) == ("mm", "UCUM", "millimeter")
    assert item.get("observed") == "2026-03-05 10:15:00"


def test_xml_has_references_with_uids_frames_and_links() -> None:
    inner, listed = tree().findall(".//r:reference", NAMESPACE)
    assert (inner.get("instance"), inner.get("frames")) == ("1.2.3", "1 2")
    assert (inner.get("href") or "").endswith("/instances/1.2.3/frames/1,2/rendered")
    assert (listed.get("list"), listed.get("instance")) == ("Evidence", "1.2.3")


def test_a_code_without_a_meaning_is_shown_by_its_value() -> None:
    bare = coded(Code("X-1", "99TEST", ""))
    written = b"".join(render(as_metadata(report(content("CODE", ConceptCodeSequence=[bare]))), "text/plain", BASE))
    assert "Finding: X-1" in written.decode()
