"""Builders for what /rendered shows: reports, and any data set as the archive's metadata have it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import orjson
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sr.coding import Code
from pydicom.uid import UID, ComprehensiveSRStorage, CTImageStorage, ExplicitVRLittleEndian

from bridge.attributes import Attributes
from bridge.describe import describe
from bridge.dicomjson import BULK_BASE
from bridge.part10 import read_preamble

GRAYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
BASE = "https://pacs.test/dicom-web"
STUDY, SERIES = "1.2.826.0.1.3680043.10.5", "1.2.826.0.1.3680043.10.5.1"
FINDING = Code("121071", "DCM", "Finding")


def as_metadata(item: Dataset) -> Attributes:
    """The data set as it reads from the archive's metadata."""
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
    file = io.BytesIO()
    dcmwrite(file, item, enforce_file_format=True)
    return file_as_metadata(file.getvalue())


def file_as_metadata(data: bytes) -> Attributes:
    """The same of a Part 10 file."""
    meta = read_preamble(data)
    found = describe(data[meta.data_set_offset :], meta.transfer_syntax_uid)
    return Attributes(orjson.loads(found.metadata_json.replace(BULK_BASE, BASE.encode())))


def real_file(path: Path) -> Attributes:
    """The same of a file on disk."""
    return file_as_metadata(path.read_bytes())


def instance(sop_class_uid: str, number: int = 1, **attributes: object) -> Dataset:
    """A data set with identity and patient; `attributes` replace or add."""
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.SOPClassUID, item.SOPInstanceUID = sop_class_uid, f"{SERIES}.{number}"
    item.StudyInstanceUID, item.SeriesInstanceUID = STUDY, SERIES
    item.PatientName, item.PatientID = "Zhang^San=张^三", "P1"
    item.PatientBirthDate, item.PatientSex, item.StudyDate = "19800102", "M", "20260305"
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def report(*content: Dataset, **attributes: object) -> Dataset:
    """A comprehensive SR with these content items below its root."""
    item = instance(ComprehensiveSRStorage)
    item.Modality, item.ValueType, item.ContinuityOfContent = "SR", "CONTAINER", "SEPARATE"
    item.ConceptNameCodeSequence = [coded(Code("126000", "DCM", "Imaging Measurement Report"))]
    item.CompletionFlag, item.VerificationFlag = "COMPLETE", "UNVERIFIED"
    item.ContentDate, item.ContentTime = "20260306", "081500"
    item.ContentSequence = list(content)
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def content(value_type: str, *children: Dataset, concept: Code = FINDING, **attributes: object) -> Dataset:
    """One content item that its source contains."""
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", value_type
    item.ConceptNameCodeSequence = [coded(concept)]
    if children:
        item.ContentSequence = list(children)
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def coded(code: Code) -> Dataset:
    """A code sequence item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def measured(value: str, unit: Code) -> Dataset:
    """An item of the Measured Value Sequence."""
    item = Dataset()
    item.NumericValue, item.MeasurementUnitsCodeSequence = value, [coded(unit)]
    return item


def referenced(uid: str, sop_class_uid: str = CTImageStorage, **attributes: object) -> Dataset:
    """An item of a Referenced SOP Sequence."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, uid
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def evidence(*instances: Dataset, study: str = STUDY, series: str = SERIES) -> Dataset:
    """An item of an evidence sequence: where these instances are."""
    inner, outer = Dataset(), Dataset()
    inner.SeriesInstanceUID, inner.ReferencedSOPSequence = series, list(instances)
    outer.StudyInstanceUID, outer.ReferencedSeriesSequence = study, [inner]
    return outer


class Page(HTMLParser):
    """An HTML page, read strictly: every element is closed in its order; ids and links are collected."""

    VOID = frozenset({"meta", "br", "img", "hr", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> does not close what is open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def presentation_state(*images: Dataset, sop_class_uid: str = GRAYSCALE_STATE, **attributes: object) -> Dataset:
    """A softcopy presentation state of these images (items of a Referenced SOP Sequence) that changes nothing."""
    state = instance(sop_class_uid, 900, Modality="PR")
    state.PresentationCreationDate, state.PresentationCreationTime = "20260306", "090000"
    state.ContentLabel, state.InstanceNumber = "TEST", "1"
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = SERIES, list(images)
    state.ReferencedSeriesSequence = [series]
    state.PresentationLUTShape = "IDENTITY"
    for keyword, value in attributes.items():
        setattr(state, keyword, value)
    return state


def sequence_item(**attributes: object) -> Dataset:
    """Any sequence item."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
